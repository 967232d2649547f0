"""Where folders and files are that a configuration names."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def expand(path: Path) -> Path:
    """A path with ``~`` and environment variables filled in."""
    return Path(os.path.expandvars(path)).expanduser()


def cache_folder() -> Path:
    """Where the library keeps what it can make again: ``$SEMIVERSE_CACHE``, or else the user's cache folder."""
    given = os.environ.get("SEMIVERSE_CACHE")
    return expand(Path(given)) if given else user_cache_path("semiverse")


def find_folder(path: Path, owner: str) -> Path:
    """A folder: as given if absolute or present from the working directory, otherwise below ``$SEMIVERSE_DATA``.

    Args:
        path: As the configuration names it.
        owner: Who needs it, for the message.

    Raises:
        FileNotFoundError: If neither place exists; the message names both.
    """
    given = expand(path)
    candidates = [given]
    if not given.is_absolute() and not given.exists():
        candidates.append(expand(Path(os.environ.get("SEMIVERSE_DATA", "data"))) / given)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    places = " nor ".join(str(candidate.absolute()) for candidate in candidates)
    raise FileNotFoundError(
        f"{owner}: no folder {places}; expected the images there: correct the path, or set SEMIVERSE_DATA to "
        "the folder that holds your datasets"
    )
