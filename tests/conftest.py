"""What every test needs."""

import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch

from semiverse.cli.main import main
from tests.tiny import UNIVERSAL, train_words

# Test processes that run side by side ignore Ctrl-C; tests of what it does need the usual.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Before an exporter makes torch believe in further devices: processes that are forked later could not back-propagate.
torch.zeros(1, requires_grad=True).sum().backward()


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text wraps at the same column wherever tests run."""
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Places for the caches of all tests; to make thousands of folders would take longer than some of these tests."""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def cache(caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, so that none finds what another left; made when something is kept."""
    folder = next(caches)
    monkeypatch.setenv("SEMIVERSE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of Universal on streets and rooms."""
    folder = tmp_path_factory.mktemp("trained")
    assert (
        main(train_words(folder, {"method": UNIVERSAL, "networks_trainer": {"max_steps": 1, "accelerator": "cpu"}}))
        == 0
    )
    return folder / "run"
