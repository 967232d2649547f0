"""Stand-ins for Pascal VOC 2012, alone, with SBD, and with the two merged."""

from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import savemat

from semiverse.datasets import PascalVOC
from semiverse.labels import IGNORE
from tests.fakes.basic import Fake, draw, known, write_mask, write_photo

VOC_LISTS = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033", "2007_000042"]}
SBD_LISTS = {
    "train": ["2008_000003", "2007_000039", "2007_000033"],
    "val": ["2008_000002", "2007_000042", "2010_000004"],
}
"""SBD labels images of both of VOC's splits again."""
ONLY_SBD = ["2008_000002", "2008_000003", "2010_000004"]
VOC_IDS = {value: value for value in range(21)} | {255: IGNORE}


def write_voc(root: Path, further: str = "", outer: str = "VOCdevkit/VOC2012") -> Fake:
    """``further``: "" for VOC alone, "sbd" for SBD beside it, "aug" for the folder SegmentationClassAug."""
    voc = root / outer
    names = [name for found in VOC_LISTS.values() for name in found]
    everything = sorted({*names, *ONLY_SBD, "2012_004331"})  # most images of VOC have no mask
    for i, name in enumerate(everything):
        write_photo(voc / "JPEGImages" / f"{name}.jpg", seed=i)
    raw = {name: draw(i, [*range(21), 255]) for i, name in enumerate(names)}
    for name, values in raw.items():
        write_mask(voc / "SegmentationClass" / f"{name}.png", values, mode="P")
    for split, found in VOC_LISTS.items():
        write_list(voc / "ImageSets" / "Segmentation" / f"{split}.txt", found)
    masks = {split: {name: known(raw[name], VOC_IDS) for name in found} for split, found in VOC_LISTS.items()}
    if further:
        write = write_sbd if further == "sbd" else write_merged
        found = write(voc)
        masks["sbd"] = {name: found[name] for name in ONLY_SBD}
    return Fake(PascalVOC(root), masks)


def write_list(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_sbd(voc: Path) -> dict[str, np.ndarray]:
    """SBD in the folder that holds VOCdevkit, or in VOC2012 itself."""
    sbd = (voc.parents[1] if voc.name == "VOC2012" else voc) / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    masks = {}
    for split, names in SBD_LISTS.items():
        write_list(sbd / f"{split}.txt", names)
        for name in names:
            masks[name] = draw(int(name[-3:]) + 100, range(21))
            content = {
                "Segmentation": masks[name],
                "Boundaries": np.empty((20, 1), dtype=object),
                "CategoriesPresent": 3,
            }
            content["Boundaries"][:, 0] = [np.zeros((2, 2))] * 20
            savemat(sbd / "cls" / f"{name}.mat", {"GTcls": content})
    return masks


def write_merged(voc: Path) -> dict[str, np.ndarray]:
    """The masks of train_aug and val in one folder; those of VOC differ here, to show whether they are read."""
    masks = {}
    for i, name in enumerate(sorted({*ONLY_SBD, *VOC_LISTS["train"], *VOC_LISTS["val"]})):
        masks[name] = draw(i + 200, range(21))
        write_mask(voc / "SegmentationClassAug" / f"{name}.png", masks[name])
    return masks


WRITERS = {
    PascalVOC: {
        "voc": write_voc,
        "sbd": partial(write_voc, further="sbd"),
        "aug": partial(write_voc, further="aug"),
        "devkit": partial(write_voc, further="aug", outer="VOC2012"),
        "root": partial(write_voc, further="sbd", outer=""),
    }
}
