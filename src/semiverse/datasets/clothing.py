"""Clothing Co-Parsing: street fashion in 58 kinds of clothing and a background."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair
from semiverse.downloads.download import Archive, github_archive
from semiverse.files import DataProblem
from semiverse.formats.matlab import load_matlab, train_ids
from semiverse.labels import IGNORE, LabelSpace, distinct_colors, merge

LISTS = Path(__file__).parent / "lists"
CLASSES = (
    "null", "accessories", "bag", "belt", "blazer", "blouse", "bodysuit", "boots", "bra", "bracelet", "cape",
    "cardigan", "clogs", "coat", "dress", "earrings", "flats", "glasses", "gloves", "hair", "hat", "heels", "hoodie",
    "intimate", "jacket", "jeans", "jumper", "leggings", "loafers", "necklace", "panties", "pants", "pumps", "purse",
    "ring", "romper", "sandals", "scarf", "shirt", "shoes", "shorts", "skin", "skirt", "sneakers", "socks",
    "stockings", "suit", "sunglasses", "sweater", "sweatshirt", "swimwear", "t-shirt", "tie", "tights", "top", "vest",
    "wallet", "watch", "wedges",
)  # fmt: skip
LAST_ANNOTATED = 1004
"""Photographs up to this number have pixel labels, the others only tags (the owner's README)."""

Background = Literal["class", "ignore"]


class ClothingCoParsing(SegmentationDataset):
    """Clothing Co-Parsing (Yang, Luo, Lin, CVPR 2014): 2098 street fashion photographs, 1004 with pixel labels.

    Expects the owner's layout below the root: ``photos/NNNN.jpg`` and ``annotations/pixel-level/NNNN.mat``, whose
    variable ``groundtruth`` counts the classes of ``label_list.mat`` from 0; 0 is ``null``, the background.
    The owner divides nothing. ``annotated`` are the photographs 0001 to 1004, ``unlabeled`` the others, both in the
    order of their numbers. The lists ``train400`` and ``val100`` divide 500 annotated photographs, all drawn with one
    seed: validation first takes a photograph of each class that it does not show yet, the rarest class first, then any
    others; none that would leave training without a class, and photographs of one outfit (0312 and 0398, 0907 and
    0990) stay on one side. Both show all 53 classes of the 500, among them bra and wedges with one photograph each.
    Names of clothes overlap and were not used alike in all photographs (bag and purse, shirt and blouse): scores over
    all classes measure that too, so merge them with ``Remapped`` where that matters. Photograph 0536 is all ``null``.
    Source: https://github.com/bearpaw/clothing-co-parsing

    Args:
        root: The folder with the owner's layout.
        background: Whether ``null`` is a class (59 classes) or means "no label" (58 classes).

    Raises:
        ValueError: If ``background`` is neither.
    """

    labels = LabelSpace("clothing59", CLASSES, ((40, 40, 40), *distinct_colors(len(CLASSES) - 1)))
    source = "https://github.com/bearpaw/clothing-co-parsing"
    terms = (
        "Apache 2.0 for the repository, which says nothing about the photographs: treat them as for research only "
        "(recognisable people, photographs of others); cite Yang, Luo, Lin, CVPR 2014"
    )
    image_counts: ClassVar[Mapping[str, int]] = {"annotated": 1004, "unlabeled": 1094, "train400": 400, "val100": 100}
    archive: ClassVar[Archive] = github_archive(
        "bearpaw/clothing-co-parsing",
        "fe34fb77721a9973fbae92c05f7f12b664d10110",
        folder="clothing-co-parsing",
        contents=("photos", "annotations/pixel-level", "label_list.mat"),
    )
    splits = ("annotated", "unlabeled")
    lists: Mapping[str, Path] = {
        "train400": LISTS / "clothing_train400.txt",
        "val100": LISTS / "clothing_val100.txt",
    }

    def __init__(self, root: Path, background: Background = "class") -> None:
        super().__init__(root)
        if background not in get_args(Background):
            raise ValueError(f"ClothingCoParsing: background: {background}; expected class or ignore: choose one")
        self.background = background
        self._table = np.arange(len(CLASSES), dtype=np.uint8)
        if background == "ignore":
            space = merge(self.labels, {"null": None})
            self.labels = LabelSpace("clothing58", space.classes, space.palette)
            self._table = np.array([IGNORE, *range(len(space))], dtype=np.uint8)

    def records(self, split: str) -> list[Record]:
        """Photographs with pixel labels, or the others, in the order of their numbers."""
        photos = list_images(self.folder / "photos")
        annotated = {name: path for name, path in photos.items() if _number(path) <= LAST_ANNOTATED}
        if split == "unlabeled":
            return [Record(path, None, name) for name, path in photos.items() if name not in annotated]
        masks = self.folder / "annotations" / "pixel-level"
        return pair(annotated, {path.stem: path for path in masks.glob("*.mat")}, masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, (H, W) uint8; ``null`` becomes ``IGNORE`` if the background is to be ignored.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, has no ``groundtruth``, or a value that is no class.
        """
        raw = load_matlab(path).get("groundtruth")
        if not isinstance(raw, np.ndarray) or raw.ndim != 2:
            raise DataProblem(f"{path}: no matrix 'groundtruth'", "class numbers of pixels", "download it again")
        return train_ids(raw, self._table, path)


def _number(photo: Path) -> int:
    """The number of a photograph.

    Raises:
        ValueError: If its name is none.
    """
    if not photo.stem.isdecimal():
        raise DataProblem(
            f"{photo}: the name is no number", "the owner's names, 0001.jpg to 2098.jpg", "remove or rename it"
        )
    return int(photo.stem)
