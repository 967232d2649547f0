"""Pascal VOC 2012, and the further masks of SBD."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_indices, select
from semiverse.files import MissingData, find_folder, read_text
from semiverse.formats.matlab import load_variable, train_ids
from semiverse.labels import IGNORE, Color, LabelSpace

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def _color(value: int) -> Color:
    """The colour of a value in VOC's palette: its bits go to red, green, blue in turn, the lowest first and highest."""
    red, green, blue = (sum((value >> (3 * i + part) & 1) << (7 - i) for i in range(3)) for part in range(3))
    return red, green, blue


class PascalVOC(SegmentationDataset):
    """Pascal VOC 2012 (Everingham et al.): photographs of 20 kinds of objects and background, 1464 / 1449 images.

    Expects ``VOC2012/`` with ``JPEGImages/*.jpg``, ``SegmentationClass/*.png`` (values 0..20, 255 at boundaries) and
    ``ImageSets/Segmentation/{train,val}.txt``. The root is ``VOC2012``, the ``VOCdevkit`` above it, or the folder above
    that. ``trainval`` joins ``train`` and ``val``.

    ``sbd`` are the 9118 images of ``JPEGImages`` that only SBD (Hariharan et al., ICCV 2011) labels. Their masks are
    those of ``SegmentationClassAug/*.png`` in ``VOC2012``, if there is that folder, or else those of
    ``benchmark_RELEASE/dataset/{cls,train.txt,val.txt}``. ``train_aug`` joins ``train`` and ``sbd``: 10582 images,
    with VOC's own mask where it has one. No image of ``val`` is among them.
    Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012

    Args:
        root: The folder.
        sbd_root: ``benchmark_RELEASE``, or the folder above or below it; None: it is looked for in ``VOC2012`` and the
            two folders above that.
    """

    labels = LabelSpace("voc21", CLASSES, tuple(map(_color, range(len(CLASSES)))))
    source = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012; SBD: http://home.bharathh.info/pubs/codes/SBD"
    terms = "Flickr terms of use; SBD: research, cite Hariharan et al. 2011"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 1464, "val": 1449, "trainval": 2913, "train_aug": 10582}
    splits = ("train", "val", "trainval", "train_aug")

    def __init__(self, root: Path, sbd_root: Path | None = None) -> None:
        super().__init__(root)
        self.sbd_root = sbd_root

    @property
    def folder(self) -> Path:
        """``VOC2012``.

        Raises:
            FileNotFoundError: If there is none.
        """
        root = super().folder
        for place in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
            if (place / "JPEGImages").is_dir():
                return place
        found = f"PascalVOC: {root} holds no folder JPEGImages, VOC2012/JPEGImages or VOCdevkit/VOC2012/JPEGImages"
        remedy = "correct the root, or unpack VOCtrainval_11-May-2012.tar"
        raise MissingData(found, "the files of VOC 2012 there", remedy)

    def split_names(self) -> tuple[str, ...]:
        """``train``, ``val``, and ``sbd`` where there are its masks; no image is in two of them."""
        there = (self.folder / "SegmentationClassAug").is_dir() or self._find_sbd() is not None
        return ("train", "val", "sbd") if there else ("train", "val")

    def subset(self, split: str) -> Sequence[Record]:
        """Records of a split, of a list file, or of ``all``; joined splits are sorted by name."""
        joined = {"trainval": ("train", "val"), "train_aug": ("train", "sbd"), "sbd": ("sbd",)}
        if split not in joined:
            return super().subset(split)
        return sorted((record for part in joined[split] for record in self.records(part)), key=lambda record: record.id)

    def records(self, split: str) -> list[Record]:
        """Images of ``train``, ``val`` or ``sbd``, in the order of their names."""
        images = list_images(self.folder / "JPEGImages")
        if split == "sbd":
            return self._sbd_records(images)
        masks, where = self.folder / "SegmentationClass", f"images in {self.folder / 'JPEGImages'}"
        return pair(select(self._list_of(split), images, where), list_images(masks), masks)

    def _sbd_records(self, images: Mapping[str, Path]) -> list[Record]:
        folder = self.folder / "SegmentationClassAug"
        if folder.is_dir():
            masks = list_images(folder)
            names = set(masks)
        else:
            sbd = self._find_sbd()
            if sbd is None:
                found = f"PascalVOC: found neither {folder} nor benchmark_RELEASE/dataset beside it"
                remedy = "unpack SBD's benchmark.tgz, or say where it is (sbd_root)"
                raise MissingData(found, "one of them for sbd and train_aug", remedy)
            folder = sbd / "cls"
            masks = {path.stem: path for path in folder.glob("*.mat")}
            names = {name for part in ("train", "val") for name in read_text(sbd / f"{part}.txt").split()}
        names -= {name for part in ("train", "val") for name in read_text(self._list_of(part)).split()}
        if missing := sorted(names - set(images)):
            found = f"PascalVOC: {len(missing)} of {len(names)} images of sbd are not among those of {self.folder}"
            raise MissingData(f"{found}, first: {missing[0]}", "them in JPEGImages", "unpack all of VOC 2012 there")
        return pair({name: images[name] for name in sorted(names)}, masks, folder)

    def _list_of(self, split: str) -> Path:
        return self.folder / "ImageSets" / "Segmentation" / f"{split}.txt"

    def _find_sbd(self) -> Path | None:
        """SBD's folder ``dataset``."""
        if self.sbd_root is None:
            tops = [self.folder, *list(self.folder.absolute().parents)[:2]]
            places = [top / "benchmark_RELEASE" / "dataset" for top in tops]
        else:
            top = find_folder(self.sbd_root, "PascalVOC (sbd_root)")
            places = [top / "benchmark_RELEASE" / "dataset", top / "dataset", top]
        return next((place for place in places if (place / "cls").is_dir()), None)

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; 255, the boundary, becomes ``IGNORE``. SBD has no boundary."""
        ids = range(len(CLASSES))
        if path.suffix != ".mat":
            return read_indices(path, {i: i for i in ids} | {IGNORE: IGNORE})
        return train_ids(load_variable(path, "GTcls", "Segmentation"), np.array(ids, dtype=np.uint8), path)
