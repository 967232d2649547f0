"""Folders as CVAT ("Segmentation mask 1.1") and other tools export them, after Pascal VOC."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_colors, select
from semiverse.data.dataset import Relabeling
from semiverse.data.masks import Others
from semiverse.files import DataProblem, MissingData, read_text
from semiverse.labels import IGNORE, Color, LabelSpace

LISTS = Path("ImageSets") / "Segmentation"
LINE = re.compile(r"\s*(\S.*?)\s*:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?::[^:]*){0,2}", re.ASCII)
Unmasked = Literal["refuse", "unlabeled"]


class VocFolder(SegmentationDataset):
    """Images and coloured masks in the folders of Pascal VOC, with classes and colours from ``labelmap.txt``.

    Expects ``JPEGImages/*``, ``SegmentationClass/*.png`` (colours or palette images), ``ImageSets/Segmentation/*.txt``,
    one list a split, and ``labelmap.txt`` with a line ``name:red,green,blue:parts:actions`` for each class. CVAT
    exports this as "Segmentation mask 1.1" (switch on "save images").

    Background is a class like any other, learned and scored: CVAT writes it, with a colour, for pixels that nobody
    annotated. Where only some objects were annotated, make it unlabelled: ``mapping: {background: null}``.

    Args:
        root: The folder.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        ignore_color: Colour that means "no label" unless it stands in ``labelmap.txt``: Pascal VOC draws borders of
            objects with it; null: no colour does.
        others: What becomes of further colours: ``refuse`` the file, or ``ignore`` the pixels.
        name: Name of the label space.
        unmasked: Listed images without a mask, such as frames that nobody annotated: ``refuse`` the split, or take them
            as ``unlabeled``.

    Raises:
        FileNotFoundError: If there is no ``labelmap.txt``.
        ValueError: If a line of it is none of these, or ``mapping`` names a class that it does not have.
    """

    lists: Mapping[str, Path] = {"trainval": LISTS / "trainval.txt"}  # its images are in train and val already

    def __init__(
        self,
        root: Path,
        mapping: Mapping[str, str | None] | None = None,
        ignore_color: Color | None = (224, 224, 192),
        others: Others = "refuse",
        name: str = "voc",
        unmasked: Unmasked = "refuse",
    ) -> None:
        super().__init__(root)
        self.mapping, self.ignore_color, self.others, self.name = dict(mapping or {}), ignore_color, others, name
        self.unmasked = unmasked
        if unmasked not in get_args(Unmasked):
            raise ValueError(f"unmasked: {unmasked}; expected {' or '.join(get_args(Unmasked))}: choose one")
        colors = _read_labelmap(self.folder / "labelmap.txt")
        self.relabeling = Relabeling(LabelSpace(name, tuple(colors), tuple(colors.values())), self.mapping)
        self.labels = self.relabeling.labels
        ignored = [] if ignore_color is None else [(*ignore_color,)]  # YAML has lists
        self._ids: dict[Color, int] = dict.fromkeys(ignored, IGNORE) | {
            color: i for i, color in enumerate(colors.values())
        }

    def split_names(self) -> tuple[str, ...]:
        """Names of the list files.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = sorted(path.stem for path in (self.folder / LISTS).glob("*.txt") if path.stem not in self.lists)
        if not found:
            expected = "one .txt file for each split, with an image name a line"
            remedy = "export the dataset again, or correct the root"
            raise MissingData(f"{self.folder / LISTS}: no list", expected, remedy)
        return tuple(found)

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of its list."""
        photos, place = self.folder / "JPEGImages", self.folder / "SegmentationClass"
        if not photos.is_dir():
            remedy = 'export again with "Save images" switched on (CVAT), or put the images there'
            raise MissingData(f"{photos}: no such folder", "the images there", remedy)
        images, masks = list_images(photos), list_images(place)
        listed = select(self.folder / LISTS / f"{split}.txt", images, f"images in {photos}")
        if self.unmasked == "unlabeled":
            return [Record(path, masks.get(name), name) for name, path in listed.items()]
        try:
            return pair(listed, masks, place)
        except MissingData as problem:
            remedy = f"{problem.remedy} (unmasked: unlabeled)"
            raise MissingData(problem.found, problem.expected, remedy) from problem

    def watched(self) -> Sequence[Path]:
        """The folders of images and masks."""
        return [self.folder / "JPEGImages", self.folder / "SegmentationClass"]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        return self.relabeling.of_mask(read_colors(path, self._ids, self.others))


def _read_labelmap(path: Path) -> dict[str, Color]:
    """Colour of each class, in the order of the file; every line has to be one, each name and colour its own."""
    if not path.is_file():
        expected = "a line name:red,green,blue:parts:actions for each class"
        raise MissingData(f"{path}: no such file", expected, "write it, or correct the root")
    colors: dict[str, Color] = {}
    for number, line in enumerate(read_text(path, "a line for each class").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = LINE.fullmatch(line)  # from the right, as a name may have colons
        if parts is None:
            expected = "name:red,green,blue:parts:actions, such as road:128,64,128::, as the masks hold colours"
            raise DataProblem(f"{path}, line {number}: {line!r}", expected, "correct the line")
        name, red, green, blue = parts[1], int(parts[2]), int(parts[3]), int(parts[4])
        if name.strip() in colors or (red, green, blue) in colors.values():
            found = f"{path}, line {number}: {line!r} has a name or a colour that another line has"
            raise DataProblem(found, "each once", "to merge classes, give them colours of their own and use mapping")
        colors[name.strip()] = (red, green, blue)
    return colors
