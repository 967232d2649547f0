"""SUN RGB-D: indoor photographs in 37 classes."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from torch import Tensor

from semiverse.data import Record, SegmentationDataset, list_images, pair, read_indices, select
from semiverse.files import DataProblem, MissingData, bearable, file_stamp, read_text
from semiverse.formats.matlab import is_hdf5, load_variable, struct_entry, struct_field, train_ids
from semiverse.formats.nyu import CLASSES_40
from semiverse.labels import IGNORE, LabelSpace, lookup_table


class SUNRGBD(SegmentationDataset):
    """SUN RGB-D (Song, Lichtenberg, Xiao, CVPR 2015): rooms from four depth cameras, 5285 / 5050 images, 37 classes.

    Expects below the root one of two layouts. The owner's archives: ``SUNRGBD/<sensor>/.../image/*.jpg`` and
    ``SUNRGBDtoolbox/`` with ``Metadata/SUNRGBDMeta.mat``, ``Metadata/SUNRGBD2Dseg.mat`` and
    ``traintestSUNRGBD/allsplit.mat``; masks are entries of ``SUNRGBD2Dseg.mat``, ``record.mask`` is the made-up path
    ``<file>/<number of the entry>``. Or the tree of chrischoy/SUN_RGBD: ``train37.txt`` and ``test37.txt`` with lines
    "image depth label". Only the latter has the lists ``val`` (475 images of the test set) and ``test4575`` (the
    others of it). Masks hold 1..37 and 0 for what has no label.
    Source: https://rgbd.cs.princeton.edu
    """

    labels = LabelSpace("sunrgbd37", tuple(CLASSES_40)[:37], tuple(CLASSES_40.values())[:37])
    source = "https://rgbd.cs.princeton.edu, or https://github.com/chrischoy/SUN_RGBD"
    terms = "research use; cite Song et al. 2015, and those whose images it contains (NYU, B3DO, SUN3D)"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 5285, "test": 5050, "val": 475, "test4575": 4575}
    splits = ("train", "test")
    lists: Mapping[str, Path] = {"val": Path("split/val37.txt"), "test4575": Path("split/test37.txt")}

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of the owner's list."""
        if (self.folder / "SUNRGBDtoolbox").is_dir():
            return self._frames(split)
        listed = self.folder / f"{split}37.txt"
        if not listed.is_file():
            found = f"SUNRGBD: {self.folder} holds neither SUNRGBDtoolbox/ nor {listed.name}"
            expected = "the owner's folders SUNRGBD/ and SUNRGBDtoolbox/, or the tree of chrischoy/SUN_RGBD"
            raise MissingData(found, expected, "correct the root")
        images = select(listed, list_images(self.folder / "image"), f"images in {self.folder / 'image'}")
        paths = [self.folder / line.split()[-1] for line in read_text(listed).splitlines() if line.strip()]
        masks = {name: path for name, path in zip(images, paths, strict=True) if path.is_file()}
        return pair(images, masks, self.folder / "label37")

    def _frames(self, split: str) -> list[Record]:
        """Records of the owner's archives."""
        toolbox = self.folder / "SUNRGBDtoolbox"
        is_hdf5(masks := toolbox / "Metadata" / "SUNRGBD2Dseg.mat")  # or it says what is missing
        meta = toolbox / "Metadata" / "SUNRGBDMeta.mat"
        frames = _frame_numbers(meta, file_stamp(meta.stat()) if meta.is_file() else "")
        listed = load_variable(lists := toolbox / "traintestSUNRGBD" / "allsplit.mat", f"all{split}")
        names = [_inside(folder, lists).as_posix() for folder in np.atleast_1d(listed).tolist()]
        images = {name: self.folder / "SUNRGBD" / frames[name][0] for name in names if name in frames}
        missing = [name for name in names if name not in images or not images[name].is_file()]
        if missing:
            found = f"{lists}: {len(missing)} of {len(names)} images of {split} do not exist where {meta} says"
            wanted = f"{self.folder / 'SUNRGBD' / missing[0] / 'image'}"
            raise MissingData(f"{found}, first: that of {missing[0]}", wanted, "unpack SUNRGBD.zip there")
        return [Record(image, masks / str(frames[name][1]), name) for name, image in images.items()]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, the value minus 1; 0 becomes ``IGNORE``. The path is a file or ``<file>/<number>``."""
        ids = {0: IGNORE} | {value: value - 1 for value in range(1, 38)}
        if path.parent.suffix != ".mat":
            return read_indices(path, ids)
        raw = struct_entry(path.parent, "SUNRGBD2Dseg", "seglabel", int(path.name))
        return train_ids(raw, lookup_table(ids)[:38], path)


@lru_cache(maxsize=1)  # the file also holds every box of every image, and takes seconds
def _frame_numbers(meta: Path, _: str) -> Mapping[str, tuple[PurePosixPath, int]]:
    """Photograph and number (from 1) of every frame, by its folder; a file with another stamp is read anew."""
    photographs = [_inside(path, meta) for path in struct_field(meta, "SUNRGBDMeta", "rgbpath")]
    return {path.parent.parent.as_posix(): (path, number) for number, path in enumerate(photographs, start=1)}


def _inside(path: object, file: Path) -> PurePosixPath:
    """A path of the owner's machine (/n/fs/sun3d/data/SUNRGBD/kv2/...) from the sensor on."""
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    sensors = ("kv1", "kv2", "realsense", "xtion")
    start = next((i for i, part in enumerate(parts) if part in sensors), None)
    if start is None:
        found = f"{file}: found {bearable(str(path))!r} in its list"
        raise DataProblem(found, f"a path with one of {', '.join(sensors)}", "download SUNRGBDtoolbox.zip again")
    return PurePosixPath(*parts[start:])
