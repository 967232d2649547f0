"""Files and folders: where they are, how they are read whole and written whole."""

import json
import os
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

FULL_DISK = (
    "expected free space and write access: provide them and repeat the call; what stood there before is untouched"
)


def expand(path: Path) -> Path:
    """A path with ``~`` and environment variables filled in."""
    return Path(os.path.expandvars(path)).expanduser()


def data_root(root: Path | None = None) -> Path:
    """The folder of all datasets: as given, or else ``$SEMIVERSE_DATA``, or else ``data``."""
    return expand(root or Path(os.environ.get("SEMIVERSE_DATA") or "data"))


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
        candidates.append(data_root() / given)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    places = " nor ".join(str(candidate.absolute()) for candidate in candidates)
    raise FileNotFoundError(
        f"{owner}: no folder {places}; expected the images there: correct the path, or set SEMIVERSE_DATA to "
        "the folder that holds your datasets"
    )


def read_json(path: Path, wanted: str) -> dict[str, Any]:
    """The content of a JSON file whose outermost value is an object.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or another value.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {wanted}: correct the path")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # no UTF-8, or no JSON
        raise ValueError(
            f"{path}: not readable as JSON ({error}); expected {wanted}: export or download it again"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: found a {type(content).__name__} in this JSON; expected an object with {wanted}: is it another "
            "kind of file? Export it again"
        )
    return content


def value_of(entry: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:  # noqa: ANN401  (JSON)
    """A value of a JSON object that has to be there and of its type.

    Args:
        entry: The object.
        name: The key.
        kind: Type or types that it may have.
        where: What the object is, for the message.

    Raises:
        ValueError: If it is missing or of another type.
    """
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        found = "no" if value is None else f"a {type(value).__name__} as"
        raise ValueError(
            f"{where} has {found} {name!r}; expected {' or '.join(each.__name__ for each in kinds)}: correct the file, "
            "or export it again"
        )
    return value


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that a reader, a crash or a full disk never sees half of it: the old one stays until then.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}); {FULL_DISK}") from error


def _replace(path: Path, content: bytes | memoryview) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
