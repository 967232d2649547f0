"""A trained run that tests may read but not change."""

from pathlib import Path

import pytest

from semiverse.cli import main
from tests.commands.tiny import UNIVERSAL, train_words


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of Universal on streets and rooms."""
    folder = tmp_path_factory.mktemp("trained")
    assert (
        main(train_words(folder, {"method": UNIVERSAL, "networks_trainer": {"max_steps": 1, "accelerator": "cpu"}}))
        == 0
    )
    return folder / "run"
