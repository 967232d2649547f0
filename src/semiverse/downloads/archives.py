"""Read the entries of tar and zip archives, of whichever compression, up to a limit."""

import bz2
import gzip
import hashlib
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

BLOCK = 1 << 20
ZIP = b"PK"
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
"""What readers raise when they meet it; the decoders also raise errors of the disk without a number."""


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    kind: str  # "file", "folder", or what else it is
    open: Callable[[], IO[bytes]]


def members(archive: Path, limit: int) -> Generator[Member]:
    """Entries in the order of the archive; each can be read until the next is asked for.

    Args:
        archive: A tar (plain, gzip, bzip2, xz) or zip file.
        limit: Bytes that it may hold unpacked.

    Raises:
        ValueError: If it is no archive, or holds more.
    """
    head = _head(archive)
    if head.startswith(ZIP):
        return _zip_members(archive, limit)
    if head.startswith(tuple(COMPRESSIONS)) or head[257:262] == b"ustar":
        return _tar_members(archive, limit)
    raise ValueError(
        f"{archive}: no archive, it begins with {head[:20]!r}; expected a tar or zip file: a web page in its place "
        "means that the address has changed, find the archive elsewhere and name it by --mirror"
    )


def stated_commit(archive: Path) -> str | None:
    """The commit that an archive made by git names in its header, if it names one."""
    try:
        if _head(archive).startswith(ZIP):
            with zipfile.ZipFile(archive) as file:
                found = re.fullmatch(rb"([0-9a-f]{40})", file.comment)
        else:
            with _decompressed(archive) as stream:
                found = re.search(rb"comment=([0-9a-f]{40})\n", stream.read(2048))
    except (*DAMAGE, OSError) as error:
        raise damaged(archive, error) from error
    return found[1].decode() if found else None


def _tar_members(archive: Path, limit: int) -> Generator[Member]:
    with _decompressed(archive) as raw:
        stream = _Limited(archive, raw, limit)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
            for info in tar:
                kind = "file" if info.isreg() else "folder" if info.isdir() else "device"
                kind = "link" if info.issym() or info.islnk() else kind
                yield Member(info.name, kind, partial(_open_tar, tar, info))
        while stream.read(BLOCK):  # the checksum of a compressed file comes last
            pass
        if stream.tail.strip(b"\0"):
            raise EOFError("the end of the archive is missing")


def _zip_members(archive: Path, limit: int) -> Generator[Member]:
    with zipfile.ZipFile(archive) as file:
        if sum(info.file_size for info in file.infolist()) > limit:
            raise _too_much(archive, limit)
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            named = "link" if kind == stat.S_IFLNK else "file" if kind in (0, stat.S_IFREG) else "device"
            named = "folder" if info.is_dir() else "encrypted file" if info.flag_bits & 1 else named
            yield Member(info.filename, named, partial(file.open, info))


def _head(archive: Path) -> bytes:
    with archive.open("rb") as file:
        return file.read(512)


def _open_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast(IO[bytes], tar.extractfile(info))  # None only for what is no file


def _decompressed(archive: Path) -> IO[bytes]:
    head = _head(archive)
    openers = [opener for magic, opener in COMPRESSIONS.items() if head.startswith(magic)]
    stream: IO[bytes] = openers[0](archive, "rb") if openers else archive.open("rb")
    return stream


class _Limited:
    """A stream that counts what is read from it, headers and padding too, and stops at a limit."""

    def __init__(self, archive: Path, stream: IO[bytes], limit: int) -> None:
        self.archive, self.stream, self.limit = archive, stream, limit
        self.count, self.tail = 0, b""

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.count += len(data)
        if self.count > self.limit:
            raise _too_much(self.archive, self.limit)
        self.tail = (self.tail + data)[-1024:]
        return data


def _too_much(archive: Path, limit: int) -> ValueError:
    return ValueError(
        f"{archive}: the archive holds more than {limit:,} bytes unpacked, far more than a dataset of its size would; "
        "nothing of it is kept: take it from its owner"
    )


def damaged(archive: Path, error: Exception) -> ValueError:
    """What to tell of a broken archive."""
    return ValueError(
        f"{archive}: the archive is damaged or cut short ({error or type(error).__name__}); expected a complete tar or "
        "zip file: download it again"
    )


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
    """Unpack parts of a tar or zip archive, and the owner's notices.

    Files are written anew with their bytes alone, never with links, owners or permissions from the archive. A single
    folder around everything, as GitHub adds it, is left out.

    Args:
        archive: The archive: tar (plain, gzip, bzip2, xz) or zip.
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
    limit = min(largest, max(SMALL, ratio * archive.stat().st_size))
    written: dict[str, str] = {}
    try:
        with closing(members(archive, limit)) as entries:
            for member in entries:
                place = _place(_safe_parts(archive, member.name), contents)
                if place is None or member.kind == "folder" or (_is_notice(place) and place in written):
                    continue
                written[place] = _write(archive, member, folder / place)
    except DAMAGE as error:
        raise damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # a decoder's; those of the disk have numbers
            raise damaged(archive, error) from error
        raise
    missing = [part for part in contents if not (folder / part).exists()]
    if missing:
        raise ValueError(
            f"{archive}: the archive holds no {', '.join(missing)}; expected {', '.join(contents)}: is it the right "
            "one? Correct --mirror"
        )
    return written


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """Folders and file name of an entry."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{archive}: entry {name!r} leads out of the folder; expected paths inside it: do not use this archive, "
            "take it from its owner"
        )
    return path.parts


def _place(parts: tuple[str, ...], contents: Sequence[str]) -> str | None:
    """Where an entry goes, with or without the folder around everything; None: it is not asked for."""
    for inside in (parts, parts[1:]):
        path = "/".join(inside)
        if any(f"{path}/".startswith(f"{part}/") for part in contents):
            return path
        if len(inside) == 1 and _is_notice(path):
            return path
    return None


def _is_notice(path: str) -> bool:
    return path.upper().startswith(NOTICES)


def _write(archive: Path, member: Member, path: Path) -> str:
    """Write a new file; its SHA-256."""
    strange = re.search(r"[\\:\0]", member.name)  # separators of other systems
    if member.kind != "file" or strange:
        what = "has a name that leads elsewhere on other systems" if strange else f"is a {member.kind}"
        raise ValueError(
            f"{archive}: entry {member.name!r} {what}; expected plain files: do not use this archive, take it from its "
            "owner"
        )
    if path.exists():
        raise ValueError(f"{archive}: entry {member.name!r} stands twice; expected every file once: take another copy")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with member.open() as source, path.open("xb") as goal:
        while block := source.read(BLOCK):
            digest.update(block)
            goal.write(block)
    return digest.hexdigest()
