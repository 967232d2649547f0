"""What every test needs."""

import signal
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


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, so that none finds what another left."""
    folder = tmp_path_factory.mktemp("cache")
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
