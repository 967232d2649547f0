"""See a dataset through another label space: classes merged, renamed, ignored."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset
from semiverse.labels import IGNORE, LabelSpace, merge, transfer_table


class Remapped(SegmentationDataset):
    """Any dataset, projected into another label space.

    Args:
        dataset: The dataset to project.
        mapping: New class of each of its classes, by name; equal names merge, null ignores.
        classes: The classes to project into, in order; None: those that are left after ``mapping``. Given, classes of
            the dataset that are neither named in ``mapping`` nor among them are ignored.
        name: Name of the new label space. Domains with equal names and classes share a head, so give those that should
            the same one.

    Raises:
        ValueError: If ``mapping`` names a class that does not exist.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        mapping: Mapping[str, str | None],
        classes: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(dataset.root)
        self.dataset, self.mapping, self.classes, self.name = dataset, dict(mapping), classes, name
        space = merge(dataset.labels, self.mapping)
        titles = space.classes if classes is None else tuple(classes)
        colors = dict(zip(space.classes, space.palette, strict=True))
        palette = tuple(colors[title] for title in titles) if colors.keys() >= set(titles) else ()
        self.labels = LabelSpace(name or f"{dataset.labels.name}-remapped", titles, palette)
        self.splits, self.lists = dataset.splits, dataset.lists
        self._table = transfer_table(dataset.labels, self.labels, self.mapping)

    def split_names(self) -> tuple[str, ...]:
        """Those of the dataset."""
        return self.dataset.split_names()

    def subset(self, split: str) -> Sequence[Record]:
        """The dataset's own records."""
        return self.dataset.subset(split)

    def records(self, split: str) -> Sequence[Record]:
        """The dataset's own records."""
        return self.dataset.records(split)

    def read_image(self, path: Path) -> Tensor:
        """As the dataset reads it, (3, H, W) uint8."""
        return self.dataset.read_image(path)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids of the new space, (H, W) uint8."""
        return torch.from_numpy(self._table[self.dataset.read_mask(path).numpy()])

    def coverage(self) -> list[tuple[str, tuple[str, ...]]]:
        """What each new class is made of: (new class, classes of the dataset), at last ("ignored", those dropped)."""
        goals = dict(zip(self.dataset.labels.classes, self._table.tolist(), strict=False))  # the table is longer
        titles = [*enumerate(self.labels.classes), (IGNORE, "ignored")]
        return [(title, tuple(name for name, goal in goals.items() if goal == i)) for i, title in titles]
