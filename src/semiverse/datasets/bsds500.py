"""BSDS500: photographs that several people divided into regions."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images
from semiverse.downloads.download import Archive, github_archive
from semiverse.files import DataProblem
from semiverse.formats.matlab import load_matlab
from semiverse.labels import LabelSpace


class BSDS500(SegmentationDataset):
    """BSDS500 (Arbelaez et al., PAMI 2011): 500 photographs, each divided into regions by several people; no classes.

    Expects the owner's layout: ``images/{train,val,test}/*.jpg`` and ``groundTruth/{train,val,test}/*.mat`` below
    ``BSDS500/data``, ``data`` or the root itself.
    Regions have numbers but no meaning, so images come without masks, as those of ``ImageFolder`` do;
    ``segmentations`` and ``boundaries`` read what people drew.
    Source: https://github.com/BIDS/BSDS500

    Args:
        root: The folder with the owner's layout.
        labels: The label space of the domain that the images help; None: one of its own, whose only class no pixel has.
    """

    source = "https://github.com/BIDS/BSDS500"
    terms = (
        "none stated at the source; the parent set BSDS300 is for non-commercial research and education only; cite "
        "Arbelaez et al. 2011"
    )
    image_counts: ClassVar[Mapping[str, int]] = {"train": 200, "val": 100, "test": 200}
    archive: ClassVar[Archive] = github_archive(
        "BIDS/BSDS500",
        "a04b7c6c3a9f0ace74bf205c72a43d32e1c72722",
        folder="bsds500",
        contents=("BSDS500/data/images", "BSDS500/data/groundTruth"),
    )
    splits = ("train", "val", "test")

    def __init__(self, root: Path, labels: LabelSpace | None = None) -> None:
        super().__init__(root)
        self.labels = labels or LabelSpace("bsds500", ("region",))

    def records(self, split: str) -> list[Record]:
        """Photographs of a split in the order of their names, without masks."""
        return [Record(image, None, name) for name, image in list_images(self._data / "images" / split).items()]

    def segmentations(self, record: Record) -> list[Tensor]:
        """What each person drew on a photograph: numbers of regions from 1, as the file has them, (H, W) int32.

        Raises:
            FileNotFoundError: If the file of the photograph is missing.
            ValueError: If it is damaged or holds something else.
        """
        return [torch.from_numpy(drawn.astype(np.int32)) for drawn in self._drawn(record, "Segmentation")]

    def boundaries(self, record: Record) -> list[Tensor]:
        """Pixels on the borders between each person's regions, as the file has them, (H, W) bool.

        Raises:
            FileNotFoundError: If the file of the photograph is missing.
            ValueError: If it is damaged or holds something else.
        """
        return [torch.from_numpy(drawn.astype(bool)) for drawn in self._drawn(record, "Boundaries")]

    @property
    def _data(self) -> Path:
        """The folder with ``images`` and ``groundTruth``."""
        places = [self.folder / inside for inside in ("", "data", "BSDS500/data")]
        return next((place for place in places if (place / "images").is_dir()), places[-1])

    def _drawn(self, record: Record, name: str) -> list[np.ndarray]:
        """One matrix (H, W) of each person."""
        path = self._data / "groundTruth" / record.image.relative_to(self._data / "images").with_suffix(".mat")
        people: Any = load_matlab(path).get("groundTruth")
        drawn: list[np.ndarray] = []
        with suppress(TypeError, KeyError, IndexError, ValueError):
            drawn = [np.asarray(person[name]) for person in ([people] if isinstance(people, Mapping) else people)]
        if not drawn or any(matrix.ndim != 2 or matrix.dtype.kind not in "uifb" for matrix in drawn):
            found = f"{path}: no cell array 'groundTruth' whose elements have a matrix '{name}'"
            raise DataProblem(found, "a file of BSDS500", "download it again")
        return drawn
