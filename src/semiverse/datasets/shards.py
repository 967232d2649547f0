"""Images without masks in tar files, or on other file systems such as object stores."""

import io
import json
import os
import re
import tarfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from torch import Tensor

from semiverse.data import ALL, Record, SegmentationDataset, image_records
from semiverse.data.images import IMAGE_EXTENSIONS, decode_image, pixels_of, read_image
from semiverse.data.pairing import composed
from semiverse.data.records import Columns, records_of
from semiverse.files import DataProblem, MissingData, cache_folder, data_root, reading, write_cached
from semiverse.labels import LabelSpace

REMEDY = "correct the root, or set SEMIVERSE_DATA to the folder that holds your datasets"
INSIDE = "!"
"""What stands between a tar file and a member of it."""


class Images(SegmentationDataset):
    """Images without labels in a folder, in tar files, or on another file system; its only split is ``all``.

    They are in the label space of the domain that they help. A tar file is not unpacked: where each image lies in it is
    read once and kept in ``cache_folder()``, and again when the file changes. What another file system holds is listed
    in every process anew.

    Args:
        root: A folder, a tar file, or several as in ``shards/*.tar``; or the URL of one for ``fsspec``, such as
            ``s3://bucket/shards/*.tar``, whose package (``s3fs``, ``gcsfs``, ``adlfs``) has to be installed.
        labels: The label space.
    """

    splits = (ALL,)

    def __init__(self, root: str, labels: LabelSpace) -> None:
        super().__init__(Path(root))
        self.root = root  # type: ignore[assignment]  # a path has no // in it
        self.labels = labels
        self._columns: Members | None = None

    def records(self, split: str) -> Sequence[Record]:  # noqa: ARG002  (there is only one)
        """Every image, in the order of files and names.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If a package is missing, or a tar file is compressed or damaged.
        """
        files, place = self._open()
        if isinstance(files, LocalFileSystem) and Path(place).is_dir():
            return image_records(Path(place))
        self._columns = columns = _members(files, place, str(self.root))
        if not len(columns):
            raise MissingData(f"{self.root}: no image found", "images, or tar files of some", REMEDY)
        return records_of(columns)

    def _open(self) -> tuple[Any, str]:
        """The file system, and the place on it."""
        given = str(self.root)
        if "://" not in given:
            path = Path(given).expanduser()
            base = path.parent if set(path.name) & set("*?[") or path.suffix == ".tar" else path
            if not base.is_absolute() and not base.exists():
                path = data_root() / path
            given = str(path.absolute())
        try:
            files, place = url_to_fs(given)
        except (ImportError, ValueError) as error:  # no such protocol, or its package is missing
            raise DataProblem(f"{given}: {error}", "a URL that fsspec can open", "install its package") from error
        return files, str(place)

    def read_image(self, path: Path) -> Tensor:
        """One image, (3, H, W) uint8, read from its place in its file.

        Raises:
            FileNotFoundError: If it is not there.
            ValueError: If it is no image; the message names it as ``URL!member``.
        """
        if path.is_file():
            return read_image(path)
        if self._columns is None:
            self.records(ALL)
        number = None if self._columns is None else self._columns.find(path)
        if self._columns is None or number is None:
            raise MissingData(f"{path}: no such image", f"one of {self.root}", "check the root")
        name = self._columns.name(number)
        with reading(name, "an image", "copy or download it again"):
            return pixels_of(decode_image(io.BytesIO(self._columns.content(self._open()[0], number)), name), name)


class Members(Columns):
    """Images in files, in the order of the files and of their names.

    Args:
        files: Addresses of tar files; or, where images are files of their own, of the folder that they lie in.
        owner: Number of the file of each image, (N,) int32.
        places: Where it begins in its file, (N,) int64; -1: it is a file of its own.
        sizes: How many bytes it has, (N,) int64.
        ends: Where its name ends in ``names``, with a 0 in front, (N + 1,) int64.
        names: Names one after the other, bytes of UTF-8.
    """

    def __init__(
        self,
        files: list[str],
        owner: np.ndarray,
        places: np.ndarray,
        sizes: np.ndarray,
        ends: np.ndarray,
        names: np.ndarray,
    ) -> None:
        self.files, self.owner, self.places, self.sizes, self.ends, self.names = (
            files,
            owner,
            places,
            sizes,
            ends,
            names,
        )

    def __len__(self) -> int:
        return len(self.owner)

    def _key(self, number: int) -> tuple[int, bytes]:
        return int(self.owner[number]), bytes(self.names[self.ends[number] : self.ends[number + 1]])

    def member(self, number: int) -> str:
        """Name of an image in its file."""
        return self._key(number)[1].decode("utf-8", "surrogateescape")

    def name(self, number: int) -> str:
        """What messages call an image: ``URL!member``."""
        return f"{self.files[self.owner[number]]}{self._between(number)}{self.member(number)}"

    def _between(self, number: int) -> str:
        return INSIDE if self.places[number] >= 0 else "/"

    def record(self, number: int) -> Record:
        """An image, called by the file it lies in and its name there."""
        name = composed(self.member(number)).rpartition(".")[0]
        several = len(self.files) > 1
        title = Path(self.files[self.owner[number]]).stem + "/" if several else ""
        return Record(Path(self.name(number)), None, title + name)

    def masked(self) -> np.ndarray:
        """None has a mask."""
        return np.zeros(len(self), dtype=bool)

    @property
    def root(self) -> Path:
        """What all files lie in; none of their images is in them twice."""
        return Path(os.path.commonpath([Path(file) for file in self.files]))

    def find(self, path: Path) -> int | None:
        """Number of an image; None where it is not among them."""
        text = str(path)
        for number, file in enumerate(self.files):
            start = str(Path(file))
            if text.startswith((start + INSIDE, start + "/")):
                wanted = number, text[len(start) + 1 :].encode("utf-8", "surrogateescape")
                found = bisect_left(range(len(self)), wanted, key=self._key)
                if found < len(self) and Path(self.name(found)) == path:
                    return found
        return None

    def content(self, files: Any, number: int) -> bytes:  # noqa: ANN401  (a file system of fsspec)
        """Bytes of an image."""
        file, start = self.files[self.owner[number]], int(self.places[number])
        if start < 0:
            return bytes(files.cat_file(f"{file}/{self.member(number)}"))
        return bytes(files.cat_file(file, start=start, end=start + int(self.sizes[number])))


def _members(files: Any, place: str, root: str) -> Members:  # noqa: ANN401  (a file system of fsspec)
    """Images at a place: in tar files, or in a folder."""
    with reading(root, "a folder or tar files", "check the address, and what you may read there", "cannot be listed"):
        shards = sorted(files.glob(place)) if set(place) & set("*?[") else [place] if place.endswith(".tar") else None
        if shards is None:
            found = [name[len(place.rstrip("/")) + 1 :] for name in files.find(place)]
            rows = ((0, name.encode("utf-8", "surrogateescape"), -1, 0) for name in found if _wanted(name))
            return _columns([_address(files, place).rstrip("/")], [rows])
        missing = [shard for shard in shards if not files.exists(shard)]
        if missing or not shards:
            raise MissingData(f"{missing[0] if missing else root}: no such file", "a tar file", REMEDY)
        states = [[str(shard), str(files.ukey(shard))] for shard in shards]
    names = [_address(files, shard) for shard in shards]
    described = json.dumps([names, states])
    kept = cache_folder() / "shards" / f"{blake2b(described.encode(), digest_size=16).hexdigest()}.npz"
    # A damaged one is made anew.
    with suppress(Exception), kept.open("rb") as file, np.load(file, allow_pickle=False) as content:
        columns = [content[name] for name in ("owner", "places", "sizes", "ends", "names")]
        if {len(column) for column in columns[:3]} == {len(columns[3]) - 1} and columns[3][-1] == len(columns[4]):
            return Members(names, *columns)
    members = _columns(names, (_inside(files, shard, i, names[i]) for i, shard in enumerate(shards)))
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(members, name) for name in ("owner", "places", "sizes", "ends", "names")})
    with suppress(OSError):  # without a cache the next call takes as long as this one
        write_cached(kept, buffer.getvalue())
    return members


def _address(files: Any, place: str) -> str:  # noqa: ANN401  (a file system of fsspec)
    """What a place is called: its URL, or its path on this machine."""
    return place if isinstance(files, LocalFileSystem) else str(files.unstrip_protocol(place))


Row = tuple[int, bytes, int, int]
"""Number of the file, name, place in the file, size."""


def _inside(files: Any, shard: str, number: int, name: str) -> Iterator[Row]:  # noqa: ANN401
    """Images in a tar file."""
    remedy = "pack it again, without compression (tar cf), as places in it are read alone"
    with reading(name, "a complete tar file", remedy), files.open(shard, "rb") as file:
        members = _plain(file)
        for title, place, size in _any(file, name) if members is None else members:
            if _wanted(title):
                yield number, title.removeprefix("./").encode("utf-8", "surrogateescape"), place, size


Member = tuple[str, int, int]
"""Name of a file in a tar file, its place there, its size."""
BLOCK = 512
"""Bytes of a header; what follows it fills whole blocks."""
SAYS_MORE = re.compile(b"path=|size=|sparse|charset")
"""In notes on the next member: what its header does not say. Others are about times and owners."""


def _any(file: BinaryIO, name: str) -> Iterator[Member]:
    """Files in any tar file.

    Raises:
        tarfile.TarError: If it is none, or is cut off.
        ValueError: If something else than a member stands in it.
    """
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if member.isreg():
                yield member.name, member.offset_data, member.size
            archive.members = []  # type: ignore[attr-defined]  # it keeps all otherwise
        place = archive.offset
        file.seek(place)
        if file.read(BLOCK).strip(b"\0"):  # tarfile takes a damaged header for the end
            found = f"{name}: no header of a member stands at byte {place}"
            raise DataProblem(found, "a complete tar file", "pack it again")


def _plain(file: BinaryIO) -> list[Member] | None:
    """Files in a tar file of plain members; None where there are others, which need ``tarfile``.

    Plain are files, folders and links whose names stand in their headers. This takes a third of the time of
    ``tarfile``, which reads every field and makes an object of each member.
    """
    found, place, end = list[Member](), 0, file.seek(0, os.SEEK_END)
    while place < end:
        file.seek(place)
        head = file.read(BLOCK)
        if not head.strip(b"\0"):
            return found
        name, size, kind = _name(head), _octal(head[124:136]), head[156:157]
        marked = _octal(head[148:156]) == sum(head) - sum(head[148:156]) + 8 * ord(" ")
        place += BLOCK
        if (
            size is None
            or not marked
            or len(head) < BLOCK
            or kind not in b"0\x00125x"
            or (kind == b"\0" and name.endswith("/"))
        ):
            return None
        if kind == b"x" and SAYS_MORE.search(file.read(size)):
            return None
        if kind in b"0\0":
            found.append((name, place, size))
        if kind in b"0\x00x":
            place += -(-size // BLOCK) * BLOCK
    return found if 0 < place == end else None


def _name(head: bytes) -> str:
    """The name in a header, with the folder that may stand apart."""
    name, folder = (part.partition(b"\0")[0].decode("utf-8", "surrogateescape") for part in (head[:100], head[345:500]))
    return f"{folder}/{name}" if folder else name


def _octal(field: bytes) -> int | None:
    """A number in a header; None where it is written otherwise."""
    digits = field.partition(b"\0")[0].strip()
    return int(digits or b"0", 8) if all(digit in b"01234567" for digit in digits) else None


def _wanted(name: str) -> bool:
    """Whether a file is an image that is not hidden."""
    hidden = any(part.startswith(".") for part in name.removeprefix("./").split("/"))
    return name.lower().endswith(IMAGE_EXTENSIONS) and not hidden


def _columns(files: list[str], parts: Iterable[Iterable[Row]]) -> Members:
    """Columns of the rows of each file; of members of one name the last in it counts, as it does for tar."""
    owner, places, sizes, ends, names = array("i"), array("q"), array("q"), array("q", [0]), bytearray()
    for part in parts:
        for name, (number, _, place, size) in sorted({row[1]: row for row in part}.items()):
            owner.append(number)
            places.append(place)
            sizes.append(size)
            names += name
            ends.append(len(names))
    numbers = (np.array(places, np.int64), np.array(sizes, np.int64), np.array(ends, np.int64))
    return Members(files, np.array(owner, np.int32), *numbers, np.frombuffer(names, np.uint8))
