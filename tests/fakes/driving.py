"""Stand-ins for datasets of streets seen from a car."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from semiverse.data import SegmentationDataset
from semiverse.datasets import GTA5, IDD, Cityscapes
from semiverse.labels import IGNORE
from tests.fakes.basic import SIZE, Fake, draw, known, write_mask, write_photo

EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Ids of Cityscapes in the order of their train ids."""
CITYSCAPES_IDS = dict.fromkeys(range(34), IGNORE) | {id_: i for i, id_ in enumerate(EVALUATED)} | {255: IGNORE}


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """A polygon that covers these pixels, borders included."""
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def write_polygons(path: Path, objects: list[dict], size: tuple[int, int] = SIZE) -> Path:
    """Objects with ``label``, ``polygon`` and perhaps ``deleted``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"imgHeight": size[0], "imgWidth": size[1], "objects": objects}))
    return path


def write_street(path: Path, names: tuple[str, str], ids: tuple[int, int]) -> np.ndarray:
    """A polygon file of two overlapping things, one of them a group, and one that was deleted; its train ids."""
    ground, thing = names
    write_polygons(
        path,
        [
            {"label": ground, "polygon": rectangle(0, 6, 15, 11), "deleted": 0},
            {"label": f"{thing}group", "polygon": rectangle(2, 4, 5, 8)},
            {"label": ground, "polygon": rectangle(0, 0, 15, 11), "deleted": 1},
        ],
    )
    mask = np.full(SIZE, IGNORE, dtype=np.uint8)
    mask[6:12] = ids[0]
    mask[4:9, 2:6] = ids[1]
    return mask


CITY_IMAGES = {
    "train": ("bremen_000001_000019", "aachen_000000_000019", "aachen_000002_000019"),
    "val": ("lindau_000000_000019",),
    "test": ("berlin_000000_000019",),
}


def write_cityscapes(root: Path, coding: str, extra: bool = False) -> Fake:
    """``coding``: labelIds, labelTrainIds or polygons."""
    splits = CITY_IMAGES | ({"train_extra": ("erlangen_000000_000000",)} if extra else {})
    masks: dict[str, dict[str, np.ndarray | None]] = {}
    for split, names in splits.items():
        masks[split] = {}
        for i, name in enumerate(names):
            city = name.split("_")[0]
            write_photo(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", seed=i)
            labels = root / "gtFine" / split / city / f"{name}_gtFine_{coding}.png"
            if split == "train_extra":
                coarse = root / "gtCoarse" / split / city / f"{name}_gtCoarse_labelIds.png"
                write_mask(coarse, draw(i, [7, 26]))
                masks[split][name] = None
            elif split == "test":  # what the owner gives away instead: nothing but borders
                write_mask(labels.with_name(f"{name}_gtFine_labelIds.png"), draw(i, [1, 2, 3]))
                masks[split][name] = None
            elif coding == "polygons":
                masks[split][name] = write_street(labels.with_suffix(".json"), ("road", "car"), (0, 13))
            else:
                values = [*range(34), 255] if coding == "labelIds" else [*range(19), 255]
                raw = draw(i, values)
                write_mask(labels, raw)
                masks[split][name] = known(raw, CITYSCAPES_IDS) if coding == "labelIds" else raw
        masks[split] = dict(sorted(masks[split].items()))
    return Fake(Cityscapes(root), masks)


def write_gta5(root: Path) -> Fake:
    masks: dict[str, np.ndarray | None] = {}
    ids = dict.fromkeys(range(256), IGNORE) | {id_: i for i, id_ in enumerate(EVALUATED)}
    for name in ("00003", "00001", "00002"):
        raw = draw(int(name), range(35))
        write_photo(root / "images" / f"{name}.png", seed=int(name))
        write_mask(root / "labels" / f"{name}.png", raw, mode="P")
        masks[name] = known(raw, ids)
    return Fake(GTA5(root), {"train": dict(sorted(masks.items()))})


IDD_IMAGES = {"train": ("1/000222", "0/000111", "1/000111"), "val": ("2/000333",), "test": ("3/000444",)}


def write_idd_part(folder: Path, extension: str, first_drive: int = 0, coding: str = "polygons") -> dict[str, dict]:
    """One part of IDD, with drives from ``first_drive`` on; the train ids."""
    masks: dict[str, dict[str, np.ndarray | None]] = {}
    for split, names in IDD_IMAGES.items():
        masks[split] = {}
        for i, name in enumerate(sorted(names)):
            drive, number = name.split("/")
            name = f"{int(drive) + first_drive}/{number}"
            write_photo(folder / "leftImg8bit" / split / f"{name}_leftImg8bit.{extension}", seed=i)
            masks[split][name] = None
            if split != "test":
                labels = folder / "gtFine" / split / f"{name}_gtFine_{coding}"
                if coding == "polygons":
                    masks[split][name] = write_street(labels.with_suffix(".json"), ("road", "car"), (0, 9))
                else:
                    masks[split][name] = draw(i, [*range(26), 255])
                    write_mask(labels.with_suffix(".png"), masks[split][name])
    return masks


def write_idd(root: Path, parts: tuple[str, ...], coding: str = "polygons") -> Fake:
    written = []
    if "I" in parts:
        written.append(write_idd_part(root / "IDD_Segmentation", "png", coding=coding))
    if "II" in parts:
        written.append(write_idd_part(root / "idd20kII", "jpg", first_drive=200, coding=coding))
    masks = {split: {name: mask for part in written for name, mask in part[split].items()} for split in IDD_IMAGES}
    return Fake(IDD(root), masks)


def write_idd_root(root: Path) -> Fake:
    """The root is part I itself."""
    return Fake(IDD(root), write_idd_part(root, "png"))


def write_idd_choice(root: Path) -> Fake:
    """Both parts are there, and only part II is wanted."""
    write_idd_part(root / "IDD_Segmentation", "png")
    return Fake(IDD(root, parts=("II",)), write_idd_part(root / "idd20kII", "jpg", first_drive=200))


WRITERS: dict[type[SegmentationDataset], dict[str, Callable[[Path], Fake]]] = {
    Cityscapes: {
        "labelIds": partial(write_cityscapes, coding="labelIds"),
        "labelTrainIds": partial(write_cityscapes, coding="labelTrainIds"),
        "polygons": partial(write_cityscapes, coding="polygons"),
        "extra": partial(write_cityscapes, coding="labelIds", extra=True),
    },
    GTA5: {"palette": write_gta5},
    IDD: {
        "part-one": partial(write_idd, parts=("I",)),
        "part-two": partial(write_idd, parts=("II",)),
        "both": partial(write_idd, parts=("I", "II")),
        "masks": partial(write_idd, parts=("I", "II"), coding="labellevel3Ids"),
        "root": write_idd_root,
        "choice": write_idd_choice,
    },
}
