"""Where things lie: paths as the user writes them, the folder of all datasets, and the cache."""

import os
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from warnings import warn

from platformdirs import user_cache_path

from semiverse.files.problems import DataProblem, MissingData


def expand(path: Path) -> Path:
    """A path with ``~`` and environment variables filled in."""
    try:
        return Path(os.path.expandvars(path)).expanduser()
    except RuntimeError as error:  # no home
        remedy = "write the whole path, or set HOME"
        raise DataProblem(f"{path}: this user has no home folder", "one to stand for ~", remedy) from error


def data_root(root: Path | None = None) -> Path:
    """The folder of all datasets: as given, or else ``$SEMIVERSE_DATA``, or else ``data``."""
    return expand(root or Path(os.environ.get("SEMIVERSE_DATA") or "data"))


def cache_folder() -> Path:
    """Where the library keeps what it can make again: ``$SEMIVERSE_CACHE``, or else the user's cache folder."""
    given = os.environ.get("SEMIVERSE_CACHE")
    return expand(Path(given)) if given else _users_cache()


def _users_cache() -> Path:
    """The user's cache folder; in containers a user may have neither ``$HOME`` nor an entry in the list of users."""
    try:
        return user_cache_path("semiverse")
    except RuntimeError:
        return _temporary_cache()


@cache
def _temporary_cache() -> Path:
    """A cache in the temporary folder, and one warning, for a user who has no home."""
    place = Path(gettempdir()) / f"semiverse-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    warn(
        f"this user has no home folder; expected one for what can be made again: it is kept in {place}; set "
        "SEMIVERSE_CACHE to keep it elsewhere",
        stacklevel=4,
    )
    return place


def find_folder(path: Path, owner: str) -> Path:
    """A folder: as given if absolute or present from the working directory, otherwise below ``$SEMIVERSE_DATA``.

    Args:
        path: As the configuration names it.
        owner: Who needs it, for the message.

    Raises:
        FileNotFoundError: If neither place exists; the message names both.
    """
    given = expand(path)
    candidates = [given] if given.is_absolute() or given.exists() else [given, data_root() / given]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    places = " nor ".join(str(candidate.absolute()) for candidate in candidates)
    remedy = "correct the path, or set SEMIVERSE_DATA to the folder that holds your datasets"
    raise MissingData(f"{owner}: no folder {places}", "the images there", remedy)
