"""Which images lie below a folder, and which masks are theirs; of a large one only what changed is looked at again.

Of a folder that changed since its index was kept, and of those below which it had none, the entries are read again.
"""

import os
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.data.index import Kept, ListedImages, Visited, index_place, read_index, title_of, write_index
from semiverse.data.pairing import Record, composed, pair, refuse_other_encoding
from semiverse.data.records import LARGE, Paired, records_of
from semiverse.data.walking import Place, look_into, place_of, state_of
from semiverse.files import DataProblem, MissingData, changed_at, settled


def images_below(
    folder: Path, suffix: str = "", without: str | None = None, problems: list[DataProblem] | None = None
) -> ListedImages:
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
    kept = index_place(folder, suffix, without)
    old = read_index(kept, folder, suffix)
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
            write_index(kept, images)
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


def paired(images: ListedImages, masks: ListedImages, where: Path, unlabeled: bool) -> Sequence[Record]:
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
    return records_of(Paired(images, masks, numbers))


def _partners(images: ListedImages, masks: ListedImages) -> np.ndarray:
    """Number of the mask that has the name of each image, (N,) int64; -1: none."""
    hashes = [np.fromiter((hash(one.name(i)) for i in range(len(one))), np.int64, len(one)) for one in (images, masks)]
    order = np.argsort(hashes[1], kind="stable")
    found = order[np.minimum(np.searchsorted(hashes[1], hashes[0], sorter=order), len(order) - 1)]
    # Two names may have one hash.
    same = (images.name(number) == masks.name(mask) for number, mask in enumerate(found.tolist()))
    return np.where(np.fromiter(same, bool, len(images)), found, -1)


class _Listing:
    """Looks into folders, those apart that an index knows and that did not change, and collects columns."""

    def __init__(self, root: Path, suffix: str, without: str | None, old: Kept | None, any_encoding: bool) -> None:
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
        known = None if self.old is None else self.old.inside(name, changed_at(state))
        visited, files = known or self._look(folder, name, changed_at(state), problems)
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
        lasting = inside.lasting and settled(changed)
        visited, files = Visited(name, 0, inside.folders), list[str]()
        for file in sorted(inside.files):
            if not file.lower().endswith(IMAGE_EXTENSIONS):
                visited.others.append(file)
                continue
            title = title_of(file)
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
        hashes = np.fromiter((hash(title_of(file)) for file in files), np.int64, len(files))
        _, first, times = np.unique(hashes, return_index=True, return_counts=True)
        known: dict[str, str] = {}
        for number in (
            np.flatnonzero(np.isin(hashes, hashes[first[times > 1]])).tolist() if times.max(initial=1) > 1 else ()
        ):
            file = files[number]
            one = known.setdefault(title_of(file), file)
            if one != file:
                differ = "in how accents are stored" if Path(file).suffix == Path(one).suffix else "in their extension"
                found = f"{self.root}: {one} and {file} differ only {differ}"
                raise DataProblem(found, "one image of a name", "remove or rename one")

    def images(self) -> ListedImages:
        """What was found.

        Raises:
            ValueError: If files in folders whose names differ in how accents are stored have one name.
        """
        owner, ends = np.frombuffer(self._owner, np.int32), np.frombuffer(self._ends, np.int64)
        found = ListedImages(self.root, self.suffix, self.folders, owner, ends, np.frombuffer(self._names, np.uint8))
        if len({composed(one.name) for one in self.folders}) < len(self.folders):
            self._refuse_twins([found.file(number) for number in range(len(found))])
        return found


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
