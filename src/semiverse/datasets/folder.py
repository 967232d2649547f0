"""Your own folders and a class list: a dataset without code."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_colors, read_indices
from semiverse.datasets.remapped import merge
from semiverse.labels import IGNORE, Color, LabelSpace, transfer_table


class Folder(SegmentationDataset):
    """Images and masks of the same name in two folders.

    Looks for ``root/<split>/images`` and ``root/<split>/masks``, or else for ``root/images`` and ``root/masks``, where
    ``splits`` says which images belong to which split (without it every split is all of them). Sub-folders count as
    part of the name.

    Args:
        root: The folder.
        classes: Class names in the order of the ids that the masks hold (of the palette, for ``rgb``).
        masks: How masks are coded. ``index``: 8-bit grey ids; ``palette``: the indices of palette images; ``rgb``: the
            colours of ``palette``; ``binary``: 0 is the first class, 255 (or 1) the second; ``none``: there are none.
        palette: One colour (red, green, blue) a class: needed for ``rgb``, otherwise for pictures only.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        ignore: Raw id that means "no label" (``index``, ``palette``).
        ignore_color: Colour that means "no label" (``rgb``).
        splits: List file of each split.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together.
    """

    def __init__(
        self,
        root: Path,
        classes: Sequence[str],
        masks: Literal["index", "palette", "rgb", "binary", "none"] = "index",
        palette: Sequence[Color] = (),
        mapping: Mapping[str, str | None] | None = None,
        ignore: int = IGNORE,
        ignore_color: Color | None = None,
        splits: Mapping[str, Path] | None = None,
        name: str = "folder",
    ) -> None:
        super().__init__(root)
        self.classes, self.masks, self.palette, self.name = tuple(classes), masks, tuple(palette), name
        self.mapping, self.ignore, self.ignore_color = dict(mapping or {}), ignore, ignore_color
        if masks == "rgb" and not palette:
            raise ValueError("Folder: masks: rgb needs a palette; give one colour for each class")
        if masks == "binary" and len(self.classes) != 2:
            raise ValueError(f"Folder: masks: binary has two values, found {len(self.classes)} classes; name two")
        self.raw_labels = LabelSpace(name, self.classes, self.palette)
        self.labels = merge(self.raw_labels, self.mapping)
        self.lists = {split: Path(path) for split, path in (splits or {}).items()}
        self._table = torch.from_numpy(transfer_table(self.raw_labels, self.labels, self.mapping))

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]  # here it depends on the folder
        """Split folders that exist below the root; train and val (all images each) where there are none."""
        found = sorted(path.parent.name for path in self.folder.glob("*/images") if path.is_dir())
        return tuple(found) or ("train", "val")

    def records(self, split: str) -> list[Record]:
        """Images in the order of their names."""
        folder = self.folder / split if (self.folder / split / "images").is_dir() else self.folder
        images = list_images(folder / "images")
        if self.masks == "none":
            return [Record(image, None) for image in images.values()]
        return [Record(image, mask) for image, mask in pair(images, list_images(folder / "masks"), folder / "masks")]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``."""
        return self._table[self._raw_reader()(path).long()]

    def _raw_reader(self) -> Callable[[Path], Tensor]:
        """Reads ids of ``classes``."""
        if self.masks == "rgb":
            colors = {color: i for i, color in enumerate(self.raw_labels.palette)}
            if self.ignore_color is not None:
                colors[tuple(self.ignore_color)] = IGNORE
            return lambda path: read_colors(path, colors)
        if self.masks == "binary":
            return lambda path: read_indices(path, {0: 0, 1: 1, 255: 1}, modes=("L", "1"))
        ids = {i: i for i in range(len(self.classes))} | {self.ignore: IGNORE}
        return lambda path: read_indices(path, ids, modes=("P",) if self.masks == "palette" else ("L",))


class ImageFolder(SegmentationDataset):
    """A folder of images without labels, in the label space of the domain it helps.

    Args:
        root: Images lie anywhere below it.
        labels: The label space.
    """

    splits = ("all",)

    def __init__(self, root: Path, labels: LabelSpace) -> None:
        super().__init__(root)
        self.labels = labels

    def records(self, split: str) -> list[Record]:  # noqa: ARG002  (there is only one)
        """Every image, in the order of their names."""
        return [Record(image, None) for image in list_images(self.folder).values()]


