"""Files and folders: where they are, how they are read whole and written whole, and what is wrong with them."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4
from warnings import warn

from platformdirs import user_cache_path

from semiverse.problems import DataProblem, MissingData, as_problem, missing, reading

__all__ = ["DataProblem", "MissingData", "as_problem"]  # who reads and writes files tells what is wrong with them

FULL_DISK = (
    "expected free space and write access: provide them and repeat the call; what stood there before is untouched"
)


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


def read_json(path: Path, wanted: str) -> dict[str, Any]:
    """The content of a JSON file whose outermost value is an object.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or another value.
    """
    with reading(path, wanted, "export or download it again", "not readable as JSON"):
        content = json.loads(read_text(path, wanted))
    if not isinstance(content, dict):
        found = f"{path}: found a {type(content).__name__} in this JSON"
        raise DataProblem(found, f"an object with {wanted}", "is it another kind of file? Export it again")
    return content


def read_text(path: Path, wanted: str = "UTF-8 text") -> str:
    """The text of a file of the user's, without the mark that Windows' programs put before it.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it may not be read, or is no UTF-8.
    """
    with reading(path, wanted):
        if not path.is_file():
            raise missing(path, wanted)
        content = path.read_bytes()
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found = "UTF-16, as PowerShell writes it" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else f"{error}"
            raise DataProblem(f"{path}: no UTF-8 text ({found})", wanted, "save it as UTF-8") from error


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
        found = "no" if value is None else f"a {type(value).__name__} as"
        expected = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise DataProblem(f"{where} has {found} {name!r}", expected, "correct the file, or export it again")
    return value


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that a reader, a crash or a full disk never sees half of it: the old one stays until then.

    Raises:
        OSError: If it cannot be written.
        ValueError: If it is text with a file name in it that is no UTF-8.
    """
    if isinstance(content, str):
        try:
            content = content.encode("utf-8")
        except UnicodeEncodeError as error:
            around = str(error.object)[max(0, error.start - 40) : error.end + 20].split("\n")
            found = f"{path} would name a file whose name is no UTF-8: {max(around, key=len)!r}"
            raise DataProblem(found, "names in UTF-8", "rename the file (convmv -t utf-8)") from error
    try:
        write_cached(path, content, durable=True)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}); {FULL_DISK}") from error


def write_cached(path: Path, content: str | bytes | memoryview, durable: bool = False) -> None:
    """Write what can be made again, whole or not at all: several processes may do so at once, and it may get lost.

    If ``durable``, only one process may do so at a time, and it does not get lost.

    Raises:
        OSError: If it cannot be written; who keeps a cache goes on without it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part" if durable else f".{path.name}.{uuid4().hex}.part")
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
