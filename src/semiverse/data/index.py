"""The images below a folder in columns, and the file in the cache that keeps those of a large one.

An index is one file: folders with the times at which they last changed, and the names of the images in them, one after
the other, memory-mapped. It counts as long as no folder changed. One that is damaged or of another folder is none.
"""

import json
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from semiverse.data.images import OTHER_PICTURES
from semiverse.data.pairing import Record, composed
from semiverse.data.records import Columns, records_of
from semiverse.files import cache_folder, changed_at, write_cached

MAGIC = b"SVI1"
HEAD = struct.Struct("<4s16sIQQ")
"""``MAGIC``, digest of what follows, length of the description, number of images, bytes of their names."""


@dataclass
class Visited:
    """A folder as it was when it was looked into.

    Args:
        name: Its path below the first one; empty for that itself.
        changed: When it last changed, in nanoseconds; 0: it has to be looked into again.
        folders: Names of the folders in it.
        others: Names of the files in it that are no images by their ending.
        images: Number of the images in it.
    """

    name: str
    changed: int
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    images: int = 0


class ListedImages(Columns):
    """The images below a folder, in the order of their paths.

    Args:
        root: The folder.
        suffix: End of their names before the extension, which the ids of records lack.
        folders: It and those below it.
        owner: Number of the folder of each image, (N,) int32.
        ends: Where the name of each image ends in ``names``, with a 0 in front, (N + 1,) int64.
        names: File names one after the other, bytes of UTF-8.

    Attributes:
        ending: What ids of records have after their name.
    """

    def __init__(
        self, root: Path, suffix: str, folders: list[Visited], owner: np.ndarray, ends: np.ndarray, names: np.ndarray
    ) -> None:
        self.folder, self.suffix, self.folders = root, suffix, folders
        self.owner, self.ends, self.names = owner, ends, names
        self.ending = ""
        self._below = [f"{one.name}/" if one.name else "" for one in folders]
        self._given = f"{root}/" if str(root) != "/" else "/"

    def __len__(self) -> int:
        return len(self.owner)

    def file(self, number: int) -> str:
        """Path of an image below the folder."""
        name = os.fsdecode(bytes(self.names[self.ends[number] : self.ends[number + 1]]))
        return f"{self._below[self.owner[number]]}{name}"

    def name(self, number: int) -> str:
        """What the image is called: its path below the folder without extension and suffix, accents composed."""
        return title_of(self.file(number)).removesuffix(self.suffix)

    def records(self) -> Sequence[Record]:
        """The images without masks: a list, or columns where there are many."""
        return records_of(self)

    def path(self, number: int) -> Path:
        """Path of an image."""
        return Path(self._given + self.file(number))

    def record(self, number: int) -> Record:
        """The image, without mask."""
        file = self.file(number)
        return Record(Path(self._given + file), None, title_of(file).removesuffix(self.suffix) + self.ending)

    def masked(self) -> np.ndarray:
        """None has a mask."""
        return np.zeros(len(self), dtype=bool)

    @property
    def root(self) -> Path:
        """The folder."""
        return self.folder

    def find(self, path: Path) -> int | None:
        """Number of an image; None where it is not among them."""
        if not path.is_relative_to(self.folder):
            return None
        wanted = path.relative_to(self.folder).as_posix().split("/")
        number = bisect_left(range(len(self)), wanted, key=lambda one: self.file(one).split("/"))
        return number if number < len(self) and self.path(number) == path else None

    @property
    def others(self) -> list[Path]:
        """Files that are no images by their ending."""
        folders = zip(self._below, self.folders, strict=True)
        return [Path(f"{self._given}{below}{name}") for below, one in folders for name in one.others]

    @property
    def other_pictures(self) -> list[Path]:
        """Pictures of kinds that are not read."""
        return [path for path in self.others if path.name.lower().endswith(OTHER_PICTURES)]


def title_of(file: str) -> str:
    """Path of an image file without its extension, accents composed."""
    title = file.rpartition(".")[0]
    return title if title.isascii() else composed(title)


class Kept:
    """An index that was read: the images, and what lies in each folder."""

    def __init__(self, images: ListedImages) -> None:
        self.images = images
        self._numbers = {one.name: number for number, one in enumerate(images.folders)}
        self._order: np.ndarray | None = None
        self._starts = np.cumsum([0, *(one.images for one in images.folders)])

    def unchanged(self) -> bool:
        """Whether every folder is as it was."""
        given = str(self.images.root)
        try:
            states = (os.stat(os.path.join(given, one.name)) for one in self.images.folders)
            return all(changed_at(state) == one.changed for state, one in zip(states, self.images.folders, strict=True))
        except OSError:
            return False

    def inside(self, name: str, changed: int) -> tuple[Visited, list[str]] | None:
        """A folder and the names of its images, sorted; None if it changed since, or is not known."""
        number = self._numbers.get(name)
        if number is None or (visited := self.images.folders[number]).changed != changed:
            return None
        if self._order is None:
            self._order = np.argsort(self.images.owner, kind="stable")
        images, ends = self._order[self._starts[number] : self._starts[number + 1]], self.images.ends
        names = (self.images.names[ends[i] : ends[i + 1]].tobytes() for i in images.tolist())
        return visited, [os.fsdecode(name) for name in names]


def index_place(folder: Path, suffix: str, without: str | None) -> Path:
    """Where the index of a folder is kept."""
    described = json.dumps([os.path.abspath(folder), suffix, without])
    return cache_folder() / "listings" / f"{blake2b(described.encode(), digest_size=16).hexdigest()}.index"


def write_index(kept: Path, images: ListedImages) -> None:
    """Keep an index, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    folders = [[one.name, one.changed, one.folders, one.others, one.images] for one in images.folders]
    about: dict[str, Any] = {"root": os.path.abspath(images.root), "folders": folders}
    described = json.dumps(about).encode()
    described += b" " * (-(HEAD.size + len(described)) % 8)
    content = described + images.ends.tobytes() + images.owner.tobytes() + images.names.tobytes()
    head = HEAD.pack(MAGIC, blake2b(content, digest_size=16).digest(), len(described), len(images), len(images.names))
    write_cached(kept, head + content)


def read_index(kept: Path, root: Path, suffix: str) -> Kept | None:
    """An index that was kept; None if there is none, it is not whole, or of another folder."""
    with suppress(OSError, ValueError, LookupError, TypeError, struct.error), kept.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        magic, digest, described, count, size = HEAD.unpack_from(content)
        start = HEAD.size + described
        whole = start + 8 * (count + 1) + 4 * count + size
        if magic != MAGIC or len(content) != whole or blake2b(content[HEAD.size :], digest_size=16).digest() != digest:
            return None
        about = json.loads(bytes(content[HEAD.size : start]))
        if about["root"] != os.path.abspath(root):
            return None
        folders = [Visited(*one) for one in about["folders"]]
        ends = np.frombuffer(content, np.int64, count + 1, start)
        owner = np.frombuffer(content, np.int32, count, start + 8 * (count + 1))
        names = np.frombuffer(content, np.uint8, size, whole - size)
        return Kept(ListedImages(root, suffix, folders, owner, ends, names))
    return None
