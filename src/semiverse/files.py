"""Files and folders: where they are, how they are read whole and written whole, and what is wrong with them."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from platformdirs import user_cache_path

FULL_DISK = (
    "expected free space and write access: provide them and repeat the call; what stood there before is untouched"
)


class DataProblem(ValueError):
    """What is wrong with data, in the three parts of a message, so that nobody has to read them back from its text.

    Args:
        found: What was found, with the file.
        expected: What was expected; empty where ``found`` says everything, as the text of somebody else's error does.
        remedy: What to do; empty likewise.
        listing: The list file that is wrong; None where it is about something else.
    """

    def __init__(self, found: str, expected: str = "", remedy: str = "", listing: Path | None = None) -> None:
        super().__init__(found, expected, remedy, listing)
        self.found, self.expected, self.remedy, self.listing = found, expected, remedy, listing

    @property
    def finding(self) -> str:
        """What was found and expected, without what to do."""
        return f"{self.found}; expected {self.expected}" if self.expected else self.found

    def __str__(self) -> str:
        return f"{self.finding}: {self.remedy}" if self.remedy else self.finding


class MissingData(DataProblem, FileNotFoundError):
    """A file or folder that is not there, in the same three parts."""


def as_problem(error: Exception) -> DataProblem:
    """An error that reading raised, in parts; those of somebody else's code have only one."""
    return error if isinstance(error, DataProblem) else DataProblem(str(error))


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
    raise MissingData(
        f"{owner}: no folder {places}",
        "the images there",
        "correct the path, or set SEMIVERSE_DATA to the folder that holds your datasets",
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
        raise MissingData(f"{path}: no such file", wanted, "correct the path")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # no UTF-8, or no JSON
        raise DataProblem(f"{path}: not readable as JSON ({error})", wanted, "export or download it again") from error
    if not isinstance(content, dict):
        raise DataProblem(
            f"{path}: found a {type(content).__name__} in this JSON",
            f"an object with {wanted}",
            "is it another kind of file? Export it again",
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
        raise DataProblem(
            f"{where} has {found} {name!r}",
            " or ".join(each.__name__ for each in kinds),
            "correct the file, or export it again",
        )
    return value


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that a reader, a crash or a full disk never sees half of it: the old one stays until then.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        _replace(path, content, ".part", durable=True)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}); {FULL_DISK}") from error


def write_cached(path: Path, content: str | bytes | memoryview) -> None:
    """Write what can be made again, whole or not at all: several processes may do so at once, and it may get lost.

    Raises:
        OSError: If it cannot be written; who keeps a cache goes on without it.
    """
    _replace(path, content, f".{uuid4().hex}.part", durable=False)


def _replace(path: Path, content: str | bytes | memoryview, ending: str, durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{ending}")
    try:
        with partial.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into that takes the place of ``folder`` once everything in it is written.

    Until then, and for good if writing fails, the previous folder stays as it was.

    Args:
        folder: The folder to make or replace.

    Yields:
        An empty folder beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = folder.with_name(f".{folder.name}.new"), previous_folder(folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def previous_folder(folder: Path) -> Path:
    """Where ``replaced_folder`` keeps the old version for the moment of the replacement, or for good after a crash."""
    return folder.with_name(f".{folder.name}.previous")
