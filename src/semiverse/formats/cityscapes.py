"""Labels, file tree and polygon files of Cityscapes (Cordts et al., CVPR 2016); GTA5 and IDD took over part of them."""

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import NamedTuple

from semiverse.data.dataset import SegmentationDataset
from semiverse.data.listing import list_images
from semiverse.data.pairing import Record, pair
from semiverse.data.walking import walk
from semiverse.files import reading
from semiverse.formats.regions import Polygon, checked_points, checked_size
from semiverse.labels import IGNORE, Color, LabelSpace


class Label(NamedTuple):
    """One row of the owner's table (labels.py of cityscapesScripts)."""

    id: int  # in ``labelIds`` files; -1 is not painted
    name: str
    train_id: int
    color: Color


LABELS = (
    Label(0, "unlabeled", IGNORE, (0, 0, 0)),
    Label(1, "ego vehicle", IGNORE, (0, 0, 0)),
    Label(2, "rectification border", IGNORE, (0, 0, 0)),
    Label(3, "out of roi", IGNORE, (0, 0, 0)),
    Label(4, "static", IGNORE, (0, 0, 0)),
    Label(5, "dynamic", IGNORE, (111, 74, 0)),
    Label(6, "ground", IGNORE, (81, 0, 81)),
    Label(7, "road", 0, (128, 64, 128)),
    Label(8, "sidewalk", 1, (244, 35, 232)),
    Label(9, "parking", IGNORE, (250, 170, 160)),
    Label(10, "rail track", IGNORE, (230, 150, 140)),
    Label(11, "building", 2, (70, 70, 70)),
    Label(12, "wall", 3, (102, 102, 156)),
    Label(13, "fence", 4, (190, 153, 153)),
    Label(14, "guard rail", IGNORE, (180, 165, 180)),
    Label(15, "bridge", IGNORE, (150, 100, 100)),
    Label(16, "tunnel", IGNORE, (150, 120, 90)),
    Label(17, "pole", 5, (153, 153, 153)),
    Label(18, "polegroup", IGNORE, (153, 153, 153)),
    Label(19, "traffic light", 6, (250, 170, 30)),
    Label(20, "traffic sign", 7, (220, 220, 0)),
    Label(21, "vegetation", 8, (107, 142, 35)),
    Label(22, "terrain", 9, (152, 251, 152)),
    Label(23, "sky", 10, (70, 130, 180)),
    Label(24, "person", 11, (220, 20, 60)),
    Label(25, "rider", 12, (255, 0, 0)),
    Label(26, "car", 13, (0, 0, 142)),
    Label(27, "truck", 14, (0, 0, 70)),
    Label(28, "bus", 15, (0, 60, 100)),
    Label(29, "caravan", IGNORE, (0, 0, 90)),
    Label(30, "trailer", IGNORE, (0, 0, 110)),
    Label(31, "train", 16, (0, 80, 100)),
    Label(32, "motorcycle", 17, (0, 0, 230)),
    Label(33, "bicycle", 18, (119, 11, 32)),
    Label(-1, "license plate", IGNORE, (0, 0, 142)),
)

CLASSES = tuple(label for label in LABELS if label.train_id != IGNORE)  # in the order of their train ids
SPACE = LabelSpace("cityscapes19", tuple(label.name for label in CLASSES), tuple(label.color for label in CLASSES))
"""The 19 classes that are evaluated; Cityscapes and GTA5 share them, and so a head."""

IMAGE_SUFFIX = "_leftImg8bit"


def tree_records(folder: Path, split: str, mask_suffixes: Sequence[str]) -> list[Record]:
    """Images of a split and what their masks are read from, in the order of their names, such as ``aachen/aachen_0_1``.

    Args:
        folder: Holds ``leftImg8bit/<split>/*/<image>_leftImg8bit.*`` and ``gtFine/<split>/*/<image><suffix>``.
        split: One of its folders; without such a folder in ``gtFine`` the images have no masks.
        mask_suffixes: What files with labels end in; those that come first are taken.

    Raises:
        FileNotFoundError: If there are no images, or some have no mask.
    """
    files = list_images(folder / "leftImg8bit" / split)
    images = {name.removesuffix(IMAGE_SUFFIX): path for name, path in files.items()}
    place = folder / "gtFine" / split
    if not place.is_dir():
        return [Record(path, None, name) for name, path in images.items()]
    masks: dict[str, Path] = {}
    paths = [path for _, path in walk(place).files]
    for suffix in mask_suffixes:
        for path in paths:
            if path.name.endswith(suffix):
                masks.setdefault(path.relative_to(place).as_posix().removesuffix(suffix), path)
    return pair(images, masks, place)


class CityscapesTree(SegmentationDataset):
    """A dataset in the file tree of Cityscapes, whose public lists name files (``..._leftImg8bit.png``)."""

    def listed(self, list_file: Path, records: Sequence[Record]) -> list[Record]:
        """Those of some records that a list file names, with or without ``_leftImg8bit``, in its order."""
        both = [*records, *(record._replace(name=record.id + IMAGE_SUFFIX) for record in records)]
        found = super().listed(list_file, both)
        return [record._replace(name=record.id.removesuffix(IMAGE_SUFFIX)) for record in found]


def read_polygons(text: bytes, path: Path, names: Container[str]) -> tuple[tuple[int, int], list[tuple[str, Polygon]]]:
    """Objects of a polygon file in the order in which they are painted; those marked as deleted are left out.

    Args:
        text: What the file holds, JSON.
        path: The file, for messages.
        names: What is known; other names that end in ``group`` (``cargroup``) lose it.

    Returns:
        (height, width), and name and points of each object.

    Raises:
        ValueError: If it is no such file.
    """
    expected = "JSON with imgHeight, imgWidth and objects, each with label and polygon"
    with reading(path, expected, "download it again", "found no polygons"):
        content = json.loads(text)
        size = checked_size(content["imgHeight"], content["imgWidth"], str(path))
        objects = [
            (str(entry["label"]), checked_points(((x, y) for x, y in entry["polygon"]), f"{path}: {entry['label']}"))
            for entry in content["objects"]
            if not entry.get("deleted")
        ]
    return size, [(name if name in names else name.removesuffix("group"), points) for name, points in objects]
