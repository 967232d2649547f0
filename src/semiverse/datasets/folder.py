"""Your own folders and a class list: a dataset without code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from semiverse.data import ALL, Record, SegmentationDataset, list_images, pair, read_colors, read_indices
from semiverse.labels import IGNORE, Color, LabelSpace, merge, transfer_table

Coding = Literal["index", "palette", "rgb", "binary", "none"]


class Folder(SegmentationDataset):
    """Images and masks of the same name in two folders.

    Reads ``root/<split>/images`` and ``root/<split>/masks``; or else ``root/images`` and ``root/masks``, of which list
    files (``splits``) say which images belong to which split. Where neither divides them there is only the split
    ``all``. Images in sub-folders have the sub-folder in their name.

    Args:
        root: The folder.
        classes: Class names in the order of the ids that the masks hold (of the palette, for ``rgb``).
        masks: How masks are coded. ``index``: 8-bit grey ids; ``palette``: the indices of palette images; ``rgb``: the
            colours of ``palette``; ``binary``: 0 is the first class, 255 (or 1) the second; ``none``: there are none.
        palette: One colour (red, green, blue) a class: needed for ``rgb``, otherwise for pictures only.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        ignore: Raw id that means "no label" (``index``, ``palette``).
        ignore_color: Colour that means "no label" (``rgb``).
        splits: List file of each split, by its name; a relative path that does not exist is looked for below the root.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together.
    """

    splits: Mapping[str, Path]

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        classes: Sequence[str],
        masks: Coding = "index",
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
        self.splits = {split: Path(path) for split, path in (splits or {}).items()}
        self.lists = self.splits
        raw = LabelSpace(name, self.classes, self.palette)
        self._colors = {color: i for i, color in enumerate(raw.palette)}
        if ignore_color is not None:
            red, green, blue = ignore_color
            self._colors[red, green, blue] = IGNORE
        self._check_coding()
        self.labels = merge(raw, self.mapping)
        self._table = transfer_table(raw, self.labels, self.mapping)

    def _check_coding(self) -> None:
        count = len(self.classes)
        if self.masks not in get_args(Coding):
            raise ValueError(f"Folder: masks: {self.masks}; expected {', '.join(get_args(Coding))}: choose one")
        if self.masks == "rgb" and not self.palette:
            raise ValueError("Folder: masks: rgb without a palette; expected one colour for each class: list them")
        if self.masks == "rgb" and len(self._colors) < count + (self.ignore_color is not None):
            raise ValueError(
                "Folder: masks: rgb with a colour that stands twice in palette and ignore_color; expected a colour of "
                "its own for each class: to merge or ignore classes, use mapping"
            )
        if self.masks == "binary" and count != 2:
            raise ValueError(f"Folder: masks: binary with {count} classes; expected two, for 0 and 255: name two")
        if self.masks in ("index", "palette") and not count <= self.ignore <= 255:
            raise ValueError(
                f"Folder: ignore is {self.ignore}; expected {count} to 255, as 0 to {count - 1} are ids of classes: "
                "to ignore a class, give it null in mapping"
            )

    def split_names(self) -> tuple[str, ...]:
        """Split folders below the root; only ``all`` where images and masks lie in the root itself.

        Raises:
            FileNotFoundError: If there is no folder ``images``.
            ValueError: If there are split folders and undivided images.
        """
        places = [path.parent for path in self.folder.glob("*/images") if path.is_dir()]
        found = tuple(sorted(place.name for place in places if place.name != "images" and place.name[0] != "."))
        undivided = (self.folder / "images").is_dir()
        if found and undivided:
            raise ValueError(
                f"Folder: found {self.folder / 'images'} beside {self.folder / found[0] / 'images'}; expected either "
                "split folders or undivided images: move one of them elsewhere"
            )
        if not found and not undivided:
            raise FileNotFoundError(
                f"Folder: {self.folder} holds no folder 'images'; expected images/ and masks/, or train/images/, "
                "train/masks/, val/images/ ...: arrange the files so, or correct the root"
            )
        return found or (ALL,)

    def subset(self, split: str) -> list[Record]:
        """Records of a split folder, a list file, or ``all``.

        Raises:
            ValueError: If there is no such split; images that nothing divides are never taken for one.
            FileNotFoundError: If files are missing, or a listed image does not exist.
        """
        named = split in self.lists or split == ALL or split.endswith(".txt")
        if not named and self.split_names() == (ALL,):
            listed = f"lists only for {', '.join(self.lists)}" if self.lists else "nothing that divides the images"
            raise ValueError(
                f"Folder at {self.root}: no split {split!r}, found {listed}; expected list files (splits: {{train: "
                f"train.txt, val: val.txt}}) or folders {split}/images and {split}/masks: write them, or name the "
                f"split {ALL!r} to mean every image"
            )
        return super().subset(split)

    def records(self, split: str) -> list[Record]:
        """Images of a split folder, or of the root itself, in the order of their names."""
        folder = self.folder if self.split_names() == (ALL,) else self.folder / split
        images, masks = list_images(folder / "images"), folder / "masks"
        if self.masks == "none":
            return [Record(image, None, name) for name, image in images.items()]
        return pair(images, list_images(masks), masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        return torch.from_numpy(self._table[self._read_raw(path).numpy()])

    def _read_raw(self, path: Path) -> Tensor:
        """Ids of ``classes``, (H, W) uint8."""
        if self.masks == "rgb":
            return read_colors(path, self._colors)
        if self.masks == "binary":
            return _read_binary(path)
        ids = {i: i for i in range(len(self.classes))} | {self.ignore: IGNORE}
        return read_indices(path, ids, modes=("P",) if self.masks == "palette" else ("L", "1"))


def _read_binary(path: Path) -> Tensor:
    """0 or 1, (H, W) uint8, where 255 means 1; both in one file would mean that 255 is something else."""
    mask = read_indices(path, {0: 0, 1: 1, 255: IGNORE}, modes=("L", "1"))
    if (mask == 1).any() and (mask == IGNORE).any():
        raise ValueError(
            f"{path}: the mask holds 1 and 255; expected only one of them beside 0 (masks: binary): if 255 means 'no "
            "label', say masks: index"
        )
    return mask.clamp(max=1)


class ImageFolder(SegmentationDataset):
    """A folder of images without labels, in the label space of the domain it helps; its only split is ``all``.

    Args:
        root: Images lie anywhere below it.
        labels: The label space.
    """

    splits = (ALL,)

    def __init__(self, root: Path, labels: LabelSpace) -> None:
        super().__init__(root)
        self.labels = labels

    def records(self, split: str) -> list[Record]:  # noqa: ARG002  (there is only one)
        """Every image, in the order of their names."""
        return [Record(image, None, name) for name, image in list_images(self.folder).items()]
