"""Which images lie in a folder; of a large one it is kept, in columns, and only what changed is looked at again.

An index is one file in the cache: folders with the times at which they last changed, and the names of the images in
them, one after the other, memory-mapped. It counts as long as no folder changed; of one that did, and of those below
which it had no index, the entries are read again. One that is damaged or of another folder is made anew.
"""

import json
import mmap
import os
import struct
import time
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from semiverse.data.images import IMAGE_EXTENSIONS, OTHER_PICTURES
from semiverse.data.pairing import Record, composed, pair, refuse_other_encoding
from semiverse.data.records import LARGE, Columns, Paired, Records
from semiverse.data.walking import Place, look_into, place_of, state_of
from semiverse.files import DataProblem, MissingData, cache_folder, write_cached

MAGIC = b"SVI1"
HEAD = struct.Struct("<4s16sIQQ")
"""``MAGIC``, digest of what follows, length of the description, number of images, bytes of their names."""
SETTLED = 2.0
"""Seconds after which the time of a folder tells later changes: clocks of file systems tick coarsely."""


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


class Images(Columns):
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
        return _title(self.file(number)).removesuffix(self.suffix)

    def records(self) -> Sequence[Record]:
        """The images without masks: a list, or columns where there are many."""
        return Records([self]) if len(self) > LARGE else [self.record(number) for number in range(len(self))]

    def path(self, number: int) -> Path:
        """Path of an image."""
        return Path(self._given + self.file(number))

    def record(self, number: int) -> Record:
        """The image, without mask."""
        file = self.file(number)
        return Record(Path(self._given + file), None, _title(file).removesuffix(self.suffix) + self.ending)

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
    def other_pictures(self) -> list[Path]:
        """Pictures of kinds that are not read."""
        others = (f"{self._given}{below}{name}" for below, one in zip(self._below, self.folders, strict=True)
                  for name in one.others)  # fmt: skip
        return [Path(path) for path in others if path.lower().endswith(OTHER_PICTURES)]


def _title(file: str) -> str:
    """Path of an image file without its extension, accents composed."""
    title = file.rpartition(".")[0]
    return title if title.isascii() else composed(title)


def images_below(
    folder: Path, suffix: str = "", without: str | None = None, problems: list[DataProblem] | None = None
) -> Images:
    """Image files below a folder, in sorted order; hidden ones are left out, links are followed.

    Args:
        folder: The folder.
        suffix: End of the name before the extension, such as ``_mask``: it is removed, other files are left out.
        without: Files whose names end in this are left out: masks among images; None: none.
        problems: Takes what cannot be looked into; None: that is an error.

    Raises:
        FileNotFoundError: If the folder is missing or holds no image.
        ValueError: If two files differ only in their extension, a folder may not be opened, or a name is no UTF-8.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder}: no such folder", "images in it", "check the dataset's root")
    kept = _place(folder, suffix, without)
    old = _read(kept, folder, suffix)
    hindered = list[DataProblem]()
    if old is not None and old.unchanged():
        return old.images
    listing = _Listing(folder, suffix, without, old, problems is not None)
    listing.visit("", frozenset(), hindered)
    if problems is not None:
        problems += hindered
    elif hindered:
        raise hindered[0]
    images = listing.images()
    if not len(images):
        if problems:
            raise problems[0]
        message = f"{folder}: no image found{f' whose name ends in {suffix}' if suffix else ''}"
        remedy = f"check the root{' and the suffix' if suffix else ''}"
        raise MissingData(message, f"files ending in {', '.join(IMAGE_EXTENSIONS)}", remedy)
    with suppress(OSError):  # without a cache the next call takes as long as this one
        if len(images) > LARGE:
            _write(kept, images)
        elif old is not None:
            kept.unlink()
    return images


def image_records(
    folder: Path, suffix: str = "", without: str | None = None, problems: list[DataProblem] | None = None
) -> Sequence[Record]:
    """Records without masks of the images below a folder, in their order: a list, or columns where there are many.

    Arguments and errors are those of ``images_below``.
    """
    return images_below(folder, suffix, without, problems).records()


def list_images(
    folder: Path, suffix: str = "", without: str | None = None, problems: list[DataProblem] | None = None
) -> dict[str, Path]:
    """Image files below a folder, by their path in it without extension, in sorted order; hidden ones are left out.

    Links are followed. Names are composed (Unicode's NFC), as Macs store accents apart from their letters: an image and
    its mask belong together however each was copied. Arguments and errors are those of ``images_below``.
    """
    images = images_below(folder, suffix, without, problems)
    return {images.name(number): images.path(number) for number in range(len(images))}


def paired(images: Images, masks: Images, where: Path, unlabeled: bool) -> Sequence[Record]:
    """Images with the masks of the same names, in the order of the images: a list, or columns where there are many.

    Args:
        images: The images.
        masks: The masks.
        where: The folder that the masks are expected in, for the message.
        unlabeled: Take images without mask as they are.

    Raises:
        FileNotFoundError: If images have no mask, and may not be without.
    """
    numbers = _partners(images, masks)
    alone = np.flatnonzero(numbers < 0)
    if len(alone) and not unlabeled:
        files = {images.name(number): images.path(number) for number in alone.tolist()}
        pair(files, {masks.name(number): masks.path(number) for number in range(len(masks))}, where, len(images))
    columns = Paired(images, masks, numbers)
    return Records([columns]) if len(columns) > LARGE else [columns.record(number) for number in range(len(columns))]


def _partners(images: Images, masks: Images) -> np.ndarray:
    """Number of the mask that has the name of each image, (N,) int64; -1: none."""
    hashes = [np.fromiter((hash(one.name(i)) for i in range(len(one))), np.int64, len(one)) for one in (images, masks)]
    order = np.argsort(hashes[1], kind="stable")
    found = order[np.minimum(np.searchsorted(hashes[1], hashes[0], sorter=order), len(order) - 1)]
    # Two names may have one hash.
    same = (images.name(number) == masks.name(mask) for number, mask in enumerate(found.tolist()))
    return np.where(np.fromiter(same, bool, len(images)), found, -1)


class _Listing:
    """Looks into folders, those apart that an index knows and that did not change, and collects columns."""

    def __init__(self, root: Path, suffix: str, without: str | None, old: "_Kept | None", any_encoding: bool) -> None:
        self.root, self.suffix, self.without, self.old, self.any_encoding = root, suffix, without, old, any_encoding
        self.folders: list[Visited] = []
        self._owner, self._ends, self._names = array("i"), array("q", [0]), bytearray()

    def visit(self, name: str, above: frozenset[Place], problems: list[DataProblem]) -> None:
        """Collect the images of a folder and of those below it, in the order of their paths."""
        folder = self.root / name if name else self.root
        state = state_of(folder, problems)
        if state is None and self.folders:
            self.folders[0].changed = 0  # the next call has to try again
        if state is None or place_of(state) in above:
            return
        known = None if self.old is None else self.old.inside(name, _changed(state))
        visited, files = known or self._look(folder, name, _changed(state), problems)
        number, below = len(self.folders), f"{name}/" if name else ""
        self.folders.append(visited)
        entries = [*((file, False) for file in files), *((inner, True) for inner in visited.folders)]
        for entry, is_folder in sorted(entries) if visited.folders else entries:
            if is_folder:
                self.visit(below + entry, above | {place_of(state)}, problems)
            else:
                self._names += os.fsencode(entry)
                self._ends.append(len(self._names))
                self._owner.append(number)

    def _look(self, folder: Path, name: str, changed: int, problems: list[DataProblem]) -> tuple[Visited, list[str]]:
        """A folder and the names of its images, sorted."""
        inside = look_into(folder, problems)
        lasting = inside.lasting and time.time() - changed / 1e9 > SETTLED
        visited, files = Visited(name, 0, inside.folders), list[str]()
        for file in sorted(inside.files):
            if not file.lower().endswith(IMAGE_EXTENSIONS):
                visited.others.append(file)
                continue
            title = _title(file)
            if (self.without is not None and title.endswith(self.without)) or not title.endswith(self.suffix):
                continue
            if not file.isascii() and not _is_utf8(file):
                lasting = False
                if not self.any_encoding:
                    refuse_other_encoding(folder / file)
            files.append(file)
        self._refuse_twins(files)
        visited.images, visited.changed = len(files), changed if lasting else 0
        return visited, files

    def _refuse_twins(self, files: Sequence[str]) -> None:
        """Make sure that no two files have one name; only those whose hashes are equal are compared."""
        hashes = np.fromiter((hash(_title(file)) for file in files), np.int64, len(files))
        _, first, times = np.unique(hashes, return_index=True, return_counts=True)
        known: dict[str, str] = {}
        for number in (
            np.flatnonzero(np.isin(hashes, hashes[first[times > 1]])).tolist() if times.max(initial=1) > 1 else ()
        ):
            file = files[number]
            one = known.setdefault(_title(file), file)
            if one != file:
                differ = "in how accents are stored" if Path(file).suffix == Path(one).suffix else "in their extension"
                found = f"{self.root}: {one} and {file} differ only {differ}"
                raise DataProblem(found, "one image of a name", "remove or rename one")

    def images(self) -> Images:
        """What was found.

        Raises:
            ValueError: If files in folders whose names differ in how accents are stored have one name.
        """
        owner, ends = np.frombuffer(self._owner, np.int32), np.frombuffer(self._ends, np.int64)
        found = Images(self.root, self.suffix, self.folders, owner, ends, np.frombuffer(self._names, np.uint8))
        if len({composed(one.name) for one in self.folders}) < len(self.folders):
            self._refuse_twins([found.file(number) for number in range(len(found))])
        return found


def _changed(state: os.stat_result) -> int:
    """When a folder last changed, in nanoseconds; copying programs set one of the two times, but not the other."""
    return max(state.st_mtime_ns, state.st_ctime_ns)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _Kept:
    """An index that was read: the images, and what lies in each folder."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self._numbers = {one.name: number for number, one in enumerate(images.folders)}
        self._order: np.ndarray | None = None
        self._starts = np.cumsum([0, *(one.images for one in images.folders)])

    def unchanged(self) -> bool:
        """Whether every folder is as it was."""
        given = str(self.images.root)
        try:
            states = (os.stat(os.path.join(given, one.name)) for one in self.images.folders)
            return all(_changed(state) == one.changed for state, one in zip(states, self.images.folders, strict=True))
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


def _place(folder: Path, suffix: str, without: str | None) -> Path:
    """Where the index of a folder is kept."""
    described = json.dumps([os.path.abspath(folder), suffix, without])
    return cache_folder() / "listings" / f"{blake2b(described.encode(), digest_size=16).hexdigest()}.index"


def _write(kept: Path, images: Images) -> None:
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


def _read(kept: Path, root: Path, suffix: str) -> _Kept | None:
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
        return _Kept(Images(root, suffix, folders, owner, ends, names))
    return None
