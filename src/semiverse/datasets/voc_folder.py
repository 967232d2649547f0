"""Folders as CVAT ("Segmentation mask 1.1") and other tools export them, after Pascal VOC."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_colors, select
from semiverse.data.dataset import Relabeling
from semiverse.data.masks import Others
from semiverse.files import DataProblem, MissingData
from semiverse.labels import IGNORE, Color, LabelSpace

LISTS = Path("ImageSets") / "Segmentation"


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
    ) -> None:
        super().__init__(root)
        self.mapping, self.ignore_color, self.others, self.name = dict(mapping or {}), ignore_color, others, name
        colors = read_labelmap(self.folder / "labelmap.txt")
        self.relabeling = Relabeling(LabelSpace(name, tuple(colors), tuple(colors.values())), self.mapping)
        self.labels = self.relabeling.labels
        self._ids: dict[Color, int] = {}
        if ignore_color is not None:
            red, green, blue = ignore_color
            self._ids[red, green, blue] = IGNORE
        self._ids |= {color: i for i, color in enumerate(colors.values())}

    def split_names(self) -> tuple[str, ...]:
        """Names of the list files.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = sorted(path.stem for path in (self.folder / LISTS).glob("*.txt") if path.stem not in self.lists)
        if not found:
            raise MissingData(
                f"{self.folder / LISTS}: no list",
                "one .txt file for each split, with an image name a line",
                "export the dataset again, or correct the root",
            )
        return tuple(found)

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of its list."""
        images, masks = list_images(self.folder / "JPEGImages"), self.folder / "SegmentationClass"
        listed = select(self.folder / LISTS / f"{split}.txt", images, f"images in {self.folder / 'JPEGImages'}")
        return pair(listed, list_images(masks), masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        return self.relabeling.of_mask(read_colors(path, self._ids, self.others))


def read_labelmap(path: Path) -> dict[str, Color]:
    """Colour of each class, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is no class with a colour, or a class or a colour stands twice.
    """
    if not path.is_file():
        raise MissingData(
            f"{path}: no such file",
            "a line name:red,green,blue:parts:actions for each class",
            "write it, or correct the root",
        )
    colors: dict[str, Color] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.partition(":")[0].split(",")
        if not name.strip() or len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
            raise DataProblem(
                f"{path}, line {number}: {line!r}",
                "name:red,green,blue:parts:actions, such as road:128,64,128::, as the masks hold colours",
                "correct the line",
            )
        red, green, blue = (int(part) for part in parts)
        if name.strip() in colors or (red, green, blue) in colors.values():
            found = f"{path}, line {number}: {line!r} has a name or a colour that another line has"
            raise DataProblem(found, "each once", "to merge classes, give them colours of their own and use mapping")
        colors[name.strip()] = (red, green, blue)
    return colors
