"""Read the entries of tar and zip archives, of whichever compression, up to a limit."""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
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
