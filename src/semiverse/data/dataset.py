"""Reading a dataset, written once: a dataset declares where its files are and how a mask is coded."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from semiverse.data.headers import read_header
from semiverse.data.images import read_image
from semiverse.data.masks import look_up, read_indices
from semiverse.data.pairing import Record, refuse_changed, select
from semiverse.data.records import Records, is_large, joined
from semiverse.files import DataProblem, MissingData, as_problem, expand, find_folder, reading
from semiverse.labels import IGNORE, LabelSpace, merge, transfer_table

ALL = "all"
"""The split that every dataset has: the images of all its splits."""


class SegmentationDataset(ABC):
    """A dataset on disk: its label space, its splits, its coding.

    A subclass sets ``labels`` and writes ``records``; it overrides ``read_mask`` where masks hold something else
    than train ids. Constructor arguments are kept under their own names, so that a configuration can be written from
    the object.

    Args:
        root: The folder with the owner's layout: as given if absolute or present from the working directory, otherwise
            below ``$SEMIVERSE_DATA`` (default ``./data``). ``~`` and environment variables are expanded.
    """

    labels: LabelSpace
    splits: Collection[str] = ("train", "val")
    """The owner's splits, by name."""
    lists: Mapping[str, Path] = {}
    """Further splits by list files: protocols that the owner did not name."""
    source: ClassVar[str]
    """Where to obtain it, where that can be said; likewise ``terms``, what its owner allows, and ``image_counts``."""
    terms: ClassVar[str]
    image_counts: ClassVar[Mapping[str, int]]

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def folder(self) -> Path:
        """Where the files are.

        Raises:
            FileNotFoundError: If neither place exists; the message names both.
        """
        return find_folder(self.root, type(self).__name__)

    def split_names(self) -> tuple[str, ...]:
        """What ``records`` can be asked for; overridden where only the folder can tell."""
        return tuple(self.splits)

    def watched(self) -> Sequence[Path]:
        """Folders of which every file should be used, so that the doctor lists what no split uses.

        None where files of other kinds belong there.

        Raises:
            FileNotFoundError: If the dataset's folder is missing.
        """
        return ()

    @abstractmethod
    def records(self, split: str) -> Sequence[Record]:
        """Images (and masks, where there are any) of one of ``split_names``, in a fixed order.

        Raises:
            FileNotFoundError: If files of it are missing.
        """

    def subset(self, split: str) -> Sequence[Record]:
        """Records of one of the owner's splits, of a named list, of a list file (``.txt``), or of ``all``.

        Raises:
            ValueError: If there is no such split, or a list means two images by one name, or is not as it was drawn.
            FileNotFoundError: If files are missing, or a listed image does not exist.
        """
        with reading(Path(self.root), "the files as their owner arranged them", "check or download them again"):
            return self._subset(split)

    def _subset(self, split: str) -> Sequence[Record]:
        if split in self.lists or split.endswith(".txt"):
            list_file = self.lists.get(split, Path(split))
            records = self._listed_anywhere(list_file)
            refuse_changed(self.find_list(list_file), [record.id for record in records])
            return records
        known = self.split_names()
        if split in known:
            return _given(self.records(split))
        if split == ALL:
            parts = [self.records(name) for name in known]
            return joined(parts) if is_large(*parts) else [record for part in parts for record in part]
        named = ", ".join(dict.fromkeys([*known, *self.lists, ALL]))
        found = f"{type(self).__name__} has no split {split!r}"
        raise DataProblem(found, f"one of {named}, or a list file (.txt)", "name one of them")

    def _listed_anywhere(self, list_file: Path) -> list[Record]:
        """Records that a list file names, of whichever splits are there."""
        records: list[Record] = []
        absent: dict[str, FileNotFoundError] = {}
        for name in self.split_names():
            try:
                records += self.records(name)
            except FileNotFoundError as error:
                absent[name] = error
        try:
            return self.listed(list_file, records)
        except FileNotFoundError as error:
            if not records and len(set(map(str, absent.values()))) == 1:  # nothing is there, for one reason
                raise next(iter(absent.values())) from error
            problem = as_problem(error)
            remedy = "; ".join([problem.remedy, *(f"split {name}: {cause}" for name, cause in absent.items())])
            raise MissingData(problem.found, problem.expected, remedy, problem.listing) from error

    def listed(self, list_file: Path, records: Sequence[Record]) -> list[Record]:
        """Those of some records that a list file names, by id or by image file, in its order.

        The file is looked for as given, then below the dataset's folder.

        Raises:
            FileNotFoundError: If there is no such list, or a listed image is not among the records.
            ValueError: If a listed name means two of the records, or stands twice.
        """
        path = self.find_list(list_file)
        by_id, files = {record.id: record for record in records}, {record.id: record.image for record in records}
        chosen = select(path, by_id, f"images of {type(self).__name__} at {self.root}", files)
        for record in records:
            if record.id in chosen and chosen[record.id].image != record.image:
                found = f"{path}: {record.id!r} means both {record.image} and {chosen[record.id].image}"
                raise DataProblem(found, "one image", "give the files different names", path)
        return list(chosen.values())

    def find_list(self, given: Path) -> Path:
        """Where a list file is: as given, or below the dataset's folder."""
        path = expand(given)
        with suppress(FileNotFoundError):  # a dataset that is rendered has no folder
            if not path.is_file() and (below := self.folder / path).is_file():
                return below
        return path

    def read_image(self, path: Path) -> Tensor:
        """One image, (3, H, W) uint8."""
        return read_image(path)

    def read_mask(self, path: Path) -> Tensor:
        """One mask, (H, W) uint8 train ids or ``IGNORE``.

        Raises:
            ValueError: If the file holds a value outside the label space; it names the file, the value and a pixel.
        """
        return read_indices(path, {i: i for i in range(len(self.labels))} | {IGNORE: IGNORE})

    def read(self, record: Record) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W) of a record, both uint8; ``IGNORE`` everywhere if it has no mask.

        Raises:
            ValueError: If the two differ in size.
        """
        with reading(record.image, "an image that its dataset reads"):
            image = self.read_image(record.image)
        if record.mask is None:
            return image, torch.full(image.shape[1:], IGNORE, dtype=torch.uint8)
        with reading(record.mask, "a mask that its dataset reads"):
            mask = self.read_mask(record.mask)
        if mask.shape != image.shape[1:]:
            remedy = "export the mask again at the image's size"
            if read_header(record.image).lying != read_header(record.mask).lying:
                cause = "only one of the two has an EXIF tag that turns it upright"
                remedy = f"{cause}, so export the mask from the upright image, or remove the tag"
            found = f"{record.mask}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels"
            other = f"its image {record.image} is {image.shape[2]}x{image.shape[1]}"
            raise DataProblem(f"{found}, {other}", "equal sizes", remedy)
        return image, mask


def _given(records: Sequence[Record]) -> Sequence[Record]:
    """Records as they are if they are in columns, or else a new list."""
    return records if isinstance(records, Records) else list(records)


class Relabeling:
    """A label space after renaming, merging and ignoring classes, and the way of masks into it.

    Args:
        raw: The label space before.
        mapping: New name by class, equal names merge; None ignores the class; classes that are not named stay.

    Raises:
        ValueError: If a class is unknown, or none is left.
    """

    def __init__(self, raw: LabelSpace, mapping: Mapping[str, str | None]) -> None:
        self.labels = merge(raw, mapping)
        self.table = transfer_table(raw, self.labels, mapping)
        self._raw = raw

    def of_class(self, name: str) -> int:
        """Train id (or ``IGNORE``) of a class of the label space before."""
        return int(self.table[self._raw.id_of(name)])

    def of_mask(self, mask: Tensor) -> Tensor:
        """Train ids of raw ids, both (H, W) uint8."""
        return torch.from_numpy(look_up(self.table, mask.numpy()))
