"""Files and folders written whole or not at all."""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from semiverse.files.problems import DataProblem

FULL_DISK = (
    "expected free space and write access: provide them and repeat the call; what stood there before is untouched"
)


def disk_failure(error: BaseException) -> str | None:
    """What a disk that failed where nobody reckoned with it means, such as when something is removed; or None."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        return None
    return f"{error.filename or 'a file'}: {error.strerror}; {FULL_DISK}"


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
    if not durable:
        _sweep(path.parent)
    partial = path.with_name(f".{path.name}.part" if durable else f".{path.name}.{uuid4().hex}.part")
    try:
        with partial.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        try:
            partial.replace(path)
        except FileNotFoundError:
            if durable:
                raise
            # A process whose clock is a day ahead took it for left behind: it is made again when it is next needed.
    finally:
        partial.unlink(missing_ok=True)


@cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder of a cache; once in a process."""
    for partial in folder.glob(".*.part"):
        with suppress(OSError):  # another process has just finished it
            if time.time() - partial.stat().st_mtime > 24 * 3600:  # nobody writes for a day
                partial.unlink()


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


@contextmanager
def work_beside(path: Path) -> Iterator[Path]:
    """An empty folder beside a file that is going to be made, on the same drive; afterwards it is gone.

    What a killed call left of it is removed.

    Raises:
        OSError: If it cannot be made.
    """
    folder = path.with_name(f".{path.name}.new")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}); {FULL_DISK}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def previous_folder(folder: Path) -> Path:
    """Where ``replaced_folder`` keeps the old version for the moment of the replacement, or for good after a crash."""
    return folder.with_name(f".{folder.name}.previous")
