"""See a dataset through another label space: classes merged, renamed, ignored."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset
from semiverse.labels import LabelSpace, transfer_table


def merge(labels: LabelSpace, mapping: Mapping[str, str | None]) -> LabelSpace:
    """The label space that is left when classes take new names; colours are those of the first of each name.

    Args:
        labels: The space to change.
        mapping: New name by class, equal names merge; None drops the class; classes that are not named stay.

    Raises:
        ValueError: If a class is unknown, or none is left.
    """
    for name in mapping:
        labels.id_of(name)
    renamed: dict[str, tuple[int, int, int]] = {}
    for name, color in zip(labels.classes, labels.palette, strict=True):
        goal = mapping.get(name, name)
        if goal is not None:
            renamed.setdefault(goal, color)
    return LabelSpace(labels.name, tuple(renamed), tuple(renamed.values()))


class Remapped(SegmentationDataset):
    """Any dataset, projected into another label space.

    Args:
        dataset: The dataset to project.
        mapping: New class of each of its classes, by name; equal names merge, null ignores.
        classes: The classes to project into, in order; None: those that are left after ``mapping``. Given, classes of the
            dataset that are neither named in ``mapping`` nor among them are ignored.
        name: Name of the new label space.

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
        if classes is not None:
            colors = dict(zip(space.classes, space.palette, strict=True))
            known = all(title in colors for title in classes)
            space = LabelSpace(space.name, tuple(classes), tuple(colors[title] for title in classes) if known else ())
        self.labels = LabelSpace(name or f"{dataset.labels.name}-remapped", space.classes, space.palette)
        self.splits, self.lists = dataset.splits, dataset.lists
        self._table = torch.from_numpy(transfer_table(dataset.labels, self.labels, self.mapping))

    def records(self, split: str) -> Sequence[Record]:
        """The dataset's own records."""
        return self.dataset.records(split)

    def read_image(self, path: Path) -> Tensor:
        """As the dataset reads it, (3, H, W) uint8."""
        return self.dataset.read_image(path)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids of the new space, (H, W) uint8."""
        return self._table[self.dataset.read_mask(path).long()]

    def coverage(self) -> list[tuple[str, tuple[str, ...]]]:
        """What each new class is made of: (new class, classes of the dataset), at last ("ignored", those dropped)."""
        goals = [int(self._table[i]) for i in range(len(self.dataset.labels))]
        sources = [
            tuple(name for name, goal in zip(self.dataset.labels.classes, goals, strict=True) if goal == i)
            for i in range(len(self.labels))
        ]
        dropped = tuple(n for n, g in zip(self.dataset.labels.classes, goals, strict=True) if g >= len(self.labels))
        return [*zip(self.labels.classes, sources, strict=True), ("ignored", dropped)]
