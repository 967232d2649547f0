"""Reading a dataset, written once: a dataset declares where its files are and how a mask is coded."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from semiverse.data.images import read_image
from semiverse.data.masks import read_indices
from semiverse.data.pairing import read_list
from semiverse.labels import IGNORE, LabelSpace


class Record(NamedTuple):
    """One line of an index: an image and its mask, or None where there is no mask."""

    image: Path
    mask: Path | None

    @property
    def id(self) -> str:
        """The name by which lists and results call this image: its file name without extension."""
        return self.image.stem


class Sample(NamedTuple):
    """What a network sees. Batched, every field gains N in front.

    An image without labels has a mask that is ``IGNORE`` everywhere. Values stay bytes until they are used on the
    device, a fifth of the memory traffic of floats.
    """

    image: Tensor  # (3, H, W) uint8
    mask: Tensor  # (H, W) uint8, train ids or IGNORE
    id: str


Transform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


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
    splits: tuple[str, ...] = ("train", "val")
    """The owner's splits."""
    lists: Mapping[str, Path] = {}
    """Further splits by list files: protocols that the owner did not name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def folder(self) -> Path:
        """Where the files are.

        Raises:
            FileNotFoundError: If neither place exists; the message names both.
        """
        given = Path(os.path.expandvars(self.root)).expanduser()
        if given.is_absolute() or given.exists():
            candidates = [given]
        else:
            candidates = [given, Path(os.environ.get("SEMIVERSE_DATA", "data")).expanduser() / given]
        for candidate in candidates:
            if candidate.is_dir():
                return candidate
        raise FileNotFoundError(
            f"{type(self).__name__}: no folder {' nor '.join(str(path.absolute()) for path in candidates)}; "
            "expected the dataset there: set its root, or SEMIVERSE_DATA to the folder that holds your datasets"
        )

    @abstractmethod
    def records(self, split: str) -> Sequence[Record]:
        """Images (and masks, where there are any) of one of ``splits``, in a fixed order.

        Raises:
            FileNotFoundError: If files of it are missing.
        """

    def subset(self, split: str) -> list[Record]:
        """Records of one of the owner's splits, of a named list, or of a list file (a path ending in ``.txt``).

        Raises:
            ValueError: If there is no such split, or a listed image does not exist.
            FileNotFoundError: If files are missing.
        """
        path = self.lists.get(split) or (Path(split) if split.endswith(".txt") else None)
        if path is None:
            if split not in self.splits:
                known = ", ".join([*self.splits, *self.lists])
                raise ValueError(f"{type(self).__name__} has no split {split!r}; it has {known}, or name a list file (.txt)")
            return list(self.records(split))
        names = read_list(path)
        records = {record.id: record for record in self._all_records()}
        missing = [name for name in names if name not in records]
        if missing:
            raise ValueError(
                f"{path}: {len(missing)} of {len(names)} listed images are not in {type(self).__name__} at "
                f"{self.root}, first: {missing[0]!r}; correct the list or add the images"
            )
        return [records[name] for name in names]

    def _all_records(self) -> Iterator[Record]:
        """Records of every split whose files are there."""
        for split in self.splits:
            with suppress(FileNotFoundError):
                yield from self.records(split)

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
        image = self.read_image(record.image)
        if record.mask is None:
            return image, torch.full(image.shape[1:], IGNORE, dtype=torch.uint8)
        mask = self.read_mask(record.mask)
        if mask.shape != image.shape[1:]:
            raise ValueError(
                f"{record.mask}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, its image {record.image} is "
                f"{image.shape[2]}x{image.shape[1]}; expected equal sizes: export the mask again at the image's size"
            )
        return image, mask


class Split(Dataset[Sample]):
    """Some records of a dataset as samples, transformed.

    Args:
        dataset: Where the records are from.
        records: Which of them; without mask for images whose labels must not be seen.
        transform: Changes image and mask together; it gets a generator of random numbers.
    """

    def __init__(self, dataset: SegmentationDataset, records: Sequence[Record], transform: Transform) -> None:
        self.dataset, self.records, self.transform = dataset, records, transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return self.draw(index, torch.Generator())

    def draw(self, index: int, generator: torch.Generator) -> Sample:
        """Sample ``index``, its transform fed from this generator, so that it can be drawn again bit for bit."""
        record = self.records[index]
        image, mask = self.dataset.read(record)
        image, mask = self.transform(image, mask, generator)
        return Sample(image, mask, record.id)
