"""LabelMeFacade: house fronts and streets in 8 classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_colors, select
from semiverse.downloads.download import Archive, github_archive
from semiverse.labels import IGNORE, LabelSpace


class LabelMeFacade(SegmentationDataset):
    """LabelMeFacade (Fröhlich, Rodner, Denzler, ICPR 2010; Brust et al., 2015): 945 photographs of fronts and streets.

    Expects ``images/*.jpg``, ``labels/*.png`` (class colours), ``train.txt`` and ``test.txt`` below the root. The
    owner's ``various`` (black) covers what has no class and is ignored.
    The owner's training set has only 100 images. The lists ``train450`` and ``val150`` divide 600 images of both
    splits so that photographs of one scene stay on one side.
    Source: https://github.com/cvjena/labelmefacade
    """

    labels = LabelSpace(
        "labelmefacade8",
        ("building", "car", "door", "pavement", "road", "sky", "vegetation", "window"),
        (
            (128, 0, 0), (128, 0, 128), (128, 128, 0), (128, 128, 128), (128, 64, 0), (0, 128, 128), (0, 128, 0),
            (0, 0, 128),
        ),
    )  # fmt: skip
    source = "https://github.com/cvjena/labelmefacade"
    terms = "non-commercial research only; single photographs may have further terms (LabelMe)"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 100, "test": 845, "train450": 450, "val150": 150}
    archive: ClassVar[Archive] = github_archive(
        "cvjena/labelmefacade",
        "a0dbc272351f9d6914805fbba62d75740308f52f",
        folder="labelmefacade",
        contents=("images", "labels", "train.txt", "test.txt"),
    )
    splits = ("train", "test")
    lists: Mapping[str, Path] = {
        name: Path(__file__).parent / "lists" / f"labelmefacade_{name}.txt" for name in ("train450", "val150")
    }

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of the owner's list."""
        images = select(self.folder / f"{split}.txt", list_images(self.folder / "images"), "images of LabelMeFacade")
        masks = self.folder / "labels"
        return pair(images, list_images(masks), masks)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; ``various`` becomes ``IGNORE``."""
        return read_colors(path, {color: i for i, color in enumerate(self.labels.palette)} | {(0, 0, 0): IGNORE})
