"""Unpack archives (tar, compressed by gzip): parts of them, up to a limit, and nothing dangerous."""

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

BLOCK = 1 << 20
GZIP = b"\x1f\x8b"
DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
"""What readers raise when they meet it."""
LARGEST = 20 * 10**9
"""Bytes that an archive may hold unpacked."""
RATIO = 200
"""How many times its own size an archive may hold; photographs reach 2, a bomb 1000."""
SMALL = 16 * 10**6
"""Bytes that are never too many."""
NOTICES = ("README", "LICENSE", "LICENCE", "COPYING")
"""Beginnings of file names by which owners say what others may do."""


def unpack(
    archive: Path, folder: Path, contents: Sequence[str], largest: int = LARGEST, ratio: int = RATIO
) -> dict[str, str]:
    """Unpack parts of an archive, and the owner's notices.

    Files are written anew with their bytes alone, never with links, owners or permissions from the archive. A single
    folder around everything, as GitHub adds it, is left out.

    Args:
        archive: A tar file compressed by gzip.
        folder: An empty folder to unpack to.
        contents: Files and folders of the archive to take; all of them have to be in it.
        largest: Bytes that it may hold unpacked.
        ratio: How many times its own size it may hold unpacked.

    Returns:
        SHA-256 of every file written, by its path in the folder.

    Raises:
        ValueError: If it is no archive, damaged, or cut short; if a part is missing from it; if an entry leads out of
            the folder, is a link or a device, or stands twice; or if it holds more than the limits.
    """
    written: dict[str, str] = {}
    with _decompressed(archive, min(largest, max(SMALL, ratio * archive.stat().st_size))) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                place = _place(archive, entry.name, contents)
                if place is None or entry.isdir() or (_is_notice(place) and place in written):
                    continue
                written[place] = _write(archive, tar, entry, folder / place)
        while stream.read(BLOCK):  # the checksum comes last
            pass
    missing = [part for part in contents if not (folder / part).exists()]
    if missing:
        raise ValueError(
            f"{archive}: the archive holds no {', '.join(missing)}; expected {', '.join(contents)}: is it the right "
            "one? Correct --mirror"
        )
    return written


def stated_commit(archive: Path) -> str | None:
    """The commit that an archive made by git names in its header, if it names one.

    Raises:
        ValueError: If it is no archive, or damaged.
    """
    with _decompressed(archive, SMALL) as stream:
        found = re.search(rb"comment=([0-9a-f]{40})\n", stream.read(2048))
    return found[1].decode() if found else None


class _Limited(gzip.GzipFile):
    """Bytes of an archive, its headers and padding too, up to a limit."""

    def __init__(self, archive: Path, limit: int) -> None:
        super().__init__(archive, "rb")
        self.archive, self.limit = archive, limit

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > self.limit:
            raise ValueError(
                f"{self.archive}: the archive holds more than {self.limit:,} bytes unpacked, far more than a dataset "
                "of its size would; nothing of it is kept: take it from its owner"
            )
        return data


@contextmanager
def _decompressed(archive: Path, limit: int) -> Iterator[_Limited]:
    """The bytes that an archive holds; what shows while they are read that it is damaged is told as such."""
    with archive.open("rb") as file:
        head = file.read(20)
    if not head.startswith(GZIP):
        raise ValueError(
            f"{archive}: no tar.gz archive, it begins with {head!r}; expected a tar file compressed by gzip: a web "
            "page in its place means that the address has changed, find the archive elsewhere and name it by --mirror"
        )
    try:
        with _Limited(archive, limit) as stream:
            yield stream
    except DAMAGE as error:
        raise ValueError(
            f"{archive}: the archive is damaged or cut short ({error or type(error).__name__}); expected a complete "
            "tar.gz file: download it again"
        ) from error


def _place(archive: Path, name: str, contents: Sequence[str]) -> str | None:
    """Where an entry goes, with or without the folder around everything; None: it is not asked for."""
    whole = PurePosixPath(name)
    if whole.is_absolute() or ".." in whole.parts:
        raise ValueError(
            f"{archive}: entry {name!r} leads out of the folder; expected paths inside it: do not use this archive, "
            "take it from its owner"
        )
    for inside in (whole.parts, whole.parts[1:]):
        path = "/".join(inside)
        if any(f"{path}/".startswith(f"{part}/") for part in contents) or (len(inside) == 1 and _is_notice(path)):
            return path
    return None


def _is_notice(path: str) -> bool:
    return path.upper().startswith(NOTICES)


def _write(archive: Path, tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> str:
    """Write a new file; its SHA-256."""
    source = tar.extractfile(entry) if entry.isreg() else None
    strange = re.search(r"[\\:\0]", entry.name)  # separators of other systems
    if source is None or strange:
        kind = "link" if entry.issym() or entry.islnk() else "device"
        what = "has a name that leads elsewhere on other systems" if strange else f"is a {kind}"
        raise ValueError(
            f"{archive}: entry {entry.name!r} {what}; expected plain files: do not use this archive, take it from its "
            "owner"
        )
    if path.exists():
        raise ValueError(f"{archive}: entry {entry.name!r} stands twice; expected every file once: take another copy")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source, path.open("xb") as goal:
        while block := source.read(BLOCK):
            digest.update(block)
            goal.write(block)
    return digest.hexdigest()
