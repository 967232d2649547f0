"""Tiny stand-ins for datasets whose labels are MATLAB files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import savemat

from semiverse.data import SegmentationDataset
from semiverse.datasets import BSDS500, ClothingCoParsing
from semiverse.labels import IGNORE, LabelSpace
from tests.fakes.basic import THREE, Fake, draw, known, write_photo


def write_clothing(root: Path, background: str = "class") -> Fake:
    masks: dict[str, dict[str, np.ndarray | None]] = {"annotated": {}, "unlabeled": {}}
    folder = root / "annotations" / "pixel-level"
    folder.mkdir(parents=True)
    shift = {value: value - 1 for value in range(1, 59)} | {0: IGNORE}
    for i, name in enumerate(("0003", "1004", "0002")):
        raw = draw(i, range(59))
        write_photo(root / "photos" / f"{name}.jpg", seed=i)
        savemat(folder / f"{name}.mat", {"groundtruth": raw}, do_compression=True)
        masks["annotated"][name] = raw if background == "class" else known(raw, shift)
    masks["annotated"] = dict(sorted(masks["annotated"].items()))
    for i, name in enumerate(("1005", "2098")):
        write_photo(root / "photos" / f"{name}.jpg", seed=i)
        masks["unlabeled"][name] = None
    return Fake(ClothingCoParsing(root, background), masks)


def write_bsds500(root: Path, outer: str = "BSDS500/data", people: int = 2, labels: LabelSpace | None = None) -> Fake:
    """Person k drew k + 2 regions, upright stripes, on each photograph."""
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {}, "val": {}, "test": {}}
    for number, split in enumerate(masks):
        truth = root / outer / "groundTruth" / split
        truth.mkdir(parents=True)
        for i in range(2):
            name = f"{number}0{i}"
            write_photo(root / outer / "images" / split / f"{name}.jpg", seed=i)
            cells = np.empty((1, people), dtype=object)
            for person in range(people):
                regions = stripes(person + 2)
                cells[0, person] = {"Segmentation": regions, "Boundaries": borders(regions)}
            savemat(truth / f"{name}.mat", {"groundTruth": cells})
            masks[split][name] = None
        (root / outer / "images" / split / "Thumbs.db").write_bytes(b"as in the owner's folders")
    return Fake(BSDS500(root, labels), masks)


def stripes(count: int) -> np.ndarray:
    return np.tile((np.arange(16) * count // 16 + 1).astype(np.uint16), (12, 1))


def borders(regions: np.ndarray) -> np.ndarray:
    marked = np.zeros(regions.shape, dtype=np.uint8)
    marked[:, 1:] = regions[:, 1:] != regions[:, :-1]
    return marked


WRITERS: dict[type[SegmentationDataset], dict[str, Callable[[Path], Fake]]] = {
    ClothingCoParsing: {"class": write_clothing, "ignore": partial(write_clothing, background="ignore")},
    BSDS500: {
        "repository": write_bsds500,
        "outer": partial(write_bsds500, outer="data"),
        "data": partial(write_bsds500, outer=""),
        "labels": partial(write_bsds500, labels=LabelSpace("three", THREE)),
    },
}
