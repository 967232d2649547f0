"""What every test needs."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test, so that none finds what another left."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SEMIVERSE_CACHE", str(folder))
    return folder
