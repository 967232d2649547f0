"""NYU Depth V2: indoor photographs in 13, 37 or 40 classes."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset
from semiverse.files import DataProblem
from semiverse.formats.matlab import is_hdf5, load_variable, open_hdf5, train_ids
from semiverse.formats.nyu import CLASSES_40
from semiverse.labels import IGNORE, Color, LabelSpace

CLASSES_13: Mapping[str, Color] = {
    "bed": (0, 0, 255), "books": (233, 89, 48), "ceiling": (0, 218, 0), "chair": (149, 0, 240),
    "floor": (222, 241, 24), "furniture": (255, 206, 206), "objects": (0, 224, 229), "picture": (106, 136, 204),
    "sofa": (117, 29, 41), "table": (240, 35, 235), "tv": (0, 167, 156), "wall": (249, 139, 0),
    "window": (225, 229, 194),
}  # fmt: skip
OF_13 = (
    12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5, 7, 3, 2, 6, 11, 7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7,
    7, 7, 6, 7,
)  # fmt: skip
"""The one of 13 classes (from 1) that each of the 40 belongs to; class13Mapping.mat of ankurhanda/nyuv2-meta-data."""


class NYUv2(SegmentationDataset):
    """NYU Depth V2 (Silberman et al., ECCV 2012): rooms from a depth camera, 640x480, 795 / 654 images, 40 classes.

    Expects below the root the owner's ``nyu_depth_v2_labeled.mat`` and ``splits.mat``, and ``classMapping40.mat``
    (Gupta et al., 2013), which merges the owner's 894 classes into 40. Images and masks are read one at a time from the
    first file: ``record.image`` and ``record.mask`` are the made-up path ``<file>/<number of the image>``.
    Source: https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html

    Args:
        root: The folder.
        classes: 40; 37, those of SUN RGB-D, without ``otherstructure``, ``otherfurniture`` and ``otherprop``; or 13,
            into which the 40 are merged.
    """

    labels = LabelSpace("nyu40", tuple(CLASSES_40), tuple(CLASSES_40.values()))
    source = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
    terms = "research use; cite Silberman et al. 2012"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 795, "test": 654}
    splits = ("train", "test")

    def __init__(self, root: Path, classes: Literal[13, 37, 40] = 40) -> None:
        super().__init__(root)
        self.classes = classes
        colors = CLASSES_13 if classes == 13 else dict(list(CLASSES_40.items())[:classes])
        self.labels = LabelSpace(f"nyu{classes}", tuple(colors), tuple(colors.values()))

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of the owner's list."""
        file = self.folder / "nyu_depth_v2_labeled.mat"
        is_hdf5(file)  # or it says what is missing
        numbers = np.atleast_1d(load_variable(self.folder / "splits.mat", f"{split}Ndxs"))
        return [Record(file / str(number), file / str(number), f"{number:04d}") for number in numbers.tolist()]

    def read_image(self, path: Path) -> Tensor:
        """One image, (3, H, W) uint8, of the path ``<file>/<number>``."""
        return torch.from_numpy(_read_entry(path, "images").transpose(0, 2, 1).copy())

    def read_mask(self, path: Path) -> Tensor:
        """Train ids of the path ``<file>/<number>``; what has no label or none of the classes becomes ``IGNORE``."""
        return train_ids(_read_entry(path, "labels").T, self._table, path)

    @cached_property
    def _table(self) -> np.ndarray:
        """Train id of each of the owner's ids 0..894, uint8."""
        path = self.folder / "classMapping40.mat"
        of_40 = np.atleast_1d(load_variable(path, "mapClass"))
        if len(of_40) != 894 or not (of_40.min() >= 1 and of_40.max() <= len(OF_13)):  # so that no NaN passes
            found = f"{path}: found {len(of_40)} values {of_40.min()}..{of_40.max()} of mapClass"
            raise DataProblem(found, f"894 values 1..{len(OF_13)}", "download the mapping of Gupta et al. again")
        ids = np.arange(len(OF_13)) if self.classes != 13 else np.array(OF_13) - 1
        ids[ids >= self.classes] = IGNORE
        table = np.array([IGNORE, *ids], dtype=np.uint8)
        return table[np.array([0, *of_40], dtype=np.int64)]


def _read_entry(path: Path, variable: str) -> np.ndarray:
    """Entry of an array whose last axis in MATLAB counts images; the other axes come in reverse order."""
    with open_hdf5(path.parent) as file:
        return np.asarray(file[variable][int(path.name) - 1])
