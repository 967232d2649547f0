"""Records by the million: sequences that make a record when it is asked for one, instead of holding them all."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from semiverse.data.pairing import Record

LARGE = 50_000
"""From more images than this on they are kept in columns, and their order is computed instead of stored."""


SAMPLE = 1_000
"""Of more than ``LARGE`` images of a kind a training looks at so many before it starts, and at those with labels."""


class Columns(ABC):
    """Where records come from, by their number."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of records."""

    @abstractmethod
    def record(self, number: int) -> Record:
        """One of them."""

    @abstractmethod
    def masked(self) -> np.ndarray:
        """Whether each has a mask, (N,) bool."""

    def path(self, number: int) -> Path:
        """The image of one of them."""
        return self.record(number).image

    @property
    def root(self) -> Path | None:
        """The folder of all images, of which none is in it twice; None: they may lie anywhere."""
        return None

    def find(self, path: Path) -> int | None:  # noqa: ARG002  (of those with a root)
        """Number of an image; None where it is not among them."""
        return None


class Listed(Columns):
    """Records that were made already."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def record(self, number: int) -> Record:
        """One of them."""
        return self.records[number]

    def masked(self) -> np.ndarray:
        """Whether each has a mask, (N,) bool."""
        if isinstance(self.records, Records):
            return self.records.masked()
        return np.fromiter((record.mask is not None for record in self.records), bool, len(self.records))


class Records(Sequence[Record]):
    """Some records out of columns, in an order; slices are such sequences again.

    Args:
        columns: Where they come from, one after the other.
        chosen: Their numbers in all of these together, (N,) integers; None: all, in order.
        unmasked: Give records without their masks.
    """

    def __init__(self, columns: Sequence[Columns], chosen: np.ndarray | None = None, unmasked: bool = False) -> None:
        self.columns, self.chosen, self.unmasked = columns, chosen, unmasked
        self._ends = np.cumsum([len(one) for one in columns])

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.chosen is None else len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: int | slice) -> "Record | Records":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        number = range(len(self))[index]
        columns, inside = self._place(number)
        record = columns.record(inside)
        return record._replace(mask=None) if self.unmasked else record

    def __iter__(self) -> Iterator[Record]:
        return (self[number] for number in range(len(self)))

    def take(self, numbers: np.ndarray) -> "Records":
        """Those at some places, (N,) integers, in their order."""
        chosen = numbers if self.chosen is None else self.chosen[numbers]
        return Records(self.columns, chosen.astype(np.int64), self.unmasked)

    def masked(self) -> np.ndarray:
        """Whether each has a mask, (N,) bool."""
        if self.unmasked:
            return np.zeros(len(self), dtype=bool)
        every = np.concatenate([one.masked() for one in self.columns])
        return every if self.chosen is None else every[self.chosen]

    def without_masks(self) -> "Records":
        """The same images without their masks."""
        return Records(self.columns, self.chosen, unmasked=True)

    def path(self, number: int) -> Path:
        """The image at a place; quicker than its record."""
        columns, inside = self._place(number)
        return columns.path(inside)

    def each_once(self, apart: Collection[Path] = ()) -> "Records":
        """The same images, none of them twice (the first stays), without some."""
        kept, seen, start = np.ones(len(self), dtype=bool), set(apart), 0
        if self.chosen is not None or _overlap([one.root for one in self.columns if one.root is not None]):
            for number in range(len(self)):  # slow, and rare: folders in one another
                path = self.path(number)
                kept[number] = path not in seen
                seen.add(path)
            return self.take(np.flatnonzero(kept))
        for position, columns in enumerate(self.columns):
            if columns.root is not None:  # none of its images is in it twice, and it can be searched
                found = (columns.find(path) for path in seen)
                kept[[start + number for number in found if number is not None]] = False
            else:
                for number in range(len(columns)):
                    path = columns.path(number)
                    before = any(one.find(path) is not None for one in self.columns[:position] if one.root is not None)
                    kept[start + number] = path not in seen and not before
                    seen.add(path)
            start += len(columns)
        return self if kept.all() else self.take(np.flatnonzero(kept))

    def _place(self, number: int) -> tuple[Columns, int]:
        """The columns, and the number there, of the record at a place."""
        inside = number if self.chosen is None else int(self.chosen[number])
        if len(self.columns) == 1:
            return self.columns[0], inside
        which = int(np.searchsorted(self._ends, inside, side="right"))
        return self.columns[which], inside - (int(self._ends[which - 1]) if which else 0)


def records_of(columns: Columns) -> Sequence[Record]:
    """All records of columns: a list, or these where there are many."""
    return Records([columns]) if len(columns) > LARGE else [columns.record(number) for number in range(len(columns))]


def _overlap(folders: Sequence[Path]) -> bool:
    """Whether some folder is, or lies in, another one, by their names."""
    pairs = ((one, other) for i, one in enumerate(folders) for j, other in enumerate(folders) if i != j)
    return any(one.is_relative_to(other) for one, other in pairs)


def is_large(*parts: Sequence[Record]) -> bool:
    """Whether there are so many records that no list of them is made."""
    return sum(map(len, parts)) > LARGE


def drawn(records: Sequence[Record], most: int) -> Sequence[Record]:
    """So many of some records in their order, the same ones each time; all if there are no more or not many."""
    if not isinstance(records, Records) or len(records) <= most:
        return records
    return records.take(np.sort(np.random.default_rng(0).permutation(len(records))[:most]))


def masked(records: Sequence[Record]) -> np.ndarray:
    """Whether each of some records has a mask, (N,) bool."""
    return records.masked() if isinstance(records, Records) else Listed(records).masked()


def taken(records: Sequence[Record], numbers: np.ndarray) -> Sequence[Record]:
    """Those of some records at some places, (N,) integers, in their order."""
    if isinstance(records, Records):
        return records.take(numbers)
    return [records[number] for number in numbers.tolist()]


def with_masks(records: Sequence[Record]) -> Sequence[Record]:
    """Those of some records that have a mask, in their order."""
    if isinstance(records, Records):
        return taken(records, np.flatnonzero(records.masked()))
    return [record for record in records if record.mask is not None]


def joined(parts: Sequence[Sequence[Record]]) -> Records:
    """Sequences of records as one, without making lists of them."""
    columns: list[Columns] = []
    for part in parts:
        whole = isinstance(part, Records) and part.chosen is None and not part.unmasked
        columns += part.columns if isinstance(part, Records) and whole else [Listed(part)]
    return Records(columns)


class Paired(Columns):
    """Images with masks that have their names.

    Args:
        images: The images.
        masks: The masks.
        numbers: Number of the mask of each image, (N,) int64; -1: none.
    """

    def __init__(self, images: Columns, masks: Columns, numbers: np.ndarray) -> None:
        self.images, self.masks, self.numbers = images, masks, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def record(self, number: int) -> Record:
        """An image with its mask."""
        mask = int(self.numbers[number])
        return self.images.record(number)._replace(mask=None if mask < 0 else self.masks.path(mask))

    def path(self, number: int) -> Path:
        """An image."""
        return self.images.path(number)

    def masked(self) -> np.ndarray:
        """Whether each has a mask, (N,) bool."""
        return self.numbers >= 0

    @property
    def root(self) -> Path | None:
        """The folder of the images."""
        return self.images.root

    def find(self, path: Path) -> int | None:
        """Number of an image; None where it is not among them."""
        return self.images.find(path)
