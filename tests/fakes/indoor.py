"""Stand-ins for SUN RGB-D and NYU Depth V2, in MATLAB files of both kinds."""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from semiverse.datasets import SUNRGBD, NYUv2
from semiverse.labels import IGNORE
from tests.fakes.basic import SIZE, Fake, draw, known, write_mask, write_photo

OWNER = "/n/fs/sun3d/data/SUNRGBD/"
SUN_IDS = {0: IGNORE} | {value: value - 1 for value in range(1, 38)}


def write_matlab5(path: Path, variables: dict) -> None:
    """Variables as MATLAB 5 stores them: a list of dicts is an array of structs, another list a cell array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: _as_matlab5(value) for name, value in variables.items()})


def _as_matlab5(value):
    if not isinstance(value, list):
        return value
    if isinstance(value[0], dict):
        array = np.empty((1, len(value)), dtype=[(name, object) for name in value[0]])
        for i, entry in enumerate(value):
            array[0, i] = tuple(_as_matlab5(entry[name]) for name in value[0])
        return array
    array = np.empty((1, len(value)), dtype=object)
    array[0, :] = [_as_matlab5(entry) for entry in value]
    return array


def write_matlab73(path: Path, variables: dict) -> None:
    """The same as MATLAB 7.3 stores them: HDF5 behind 512 bytes, axes reversed, cells and entries by reference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        for name, value in variables.items():
            _put_matlab73(file, file, name, value)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def _put_matlab73(file, parent, name, value):
    if isinstance(value, dict):
        item = parent.create_group(name)
        for field, entry in value.items():
            _put_matlab73(file, item, field, entry)
        item.attrs["MATLAB_class"] = np.bytes_("struct")
    elif isinstance(value, list) and isinstance(value[0], dict):
        item = parent.create_group(name)
        for field in value[0]:
            _put_references(file, item, field, [entry[field] for entry in value])
        item.attrs["MATLAB_class"] = np.bytes_("struct")
    elif isinstance(value, list):
        item = _put_references(file, parent, name, value)
        item.attrs["MATLAB_class"] = np.bytes_("cell")
    elif isinstance(value, str):
        item = parent.create_dataset(name, data=np.array([[ord(letter)] for letter in value], dtype=np.uint16))
        item.attrs["MATLAB_class"] = np.bytes_("char")
    else:
        array = np.atleast_2d(value)
        item = parent.create_dataset(name, data=array.T)
        item.attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
    return item


def _put_references(file, parent, name, values):
    """A row of references, which is a column in HDF5."""
    item = parent.create_dataset(name, (len(values), 1), dtype=h5py.ref_dtype)
    for i, value in enumerate(values):
        item[i, 0] = _put_matlab73(file, file["#refs#"], f"{name}{len(file['#refs#'])}", value).ref
    return item


FRAMES = {
    "train": ["kv2/kinect2data/000002_rgbf000103-resize", "kv1/NYUdata/NYU0001", "xtion/sun3ddata/hotel/0001"],
    "test": ["realsense/lg/2014_10_21", "kv1/NYUdata/NYU0003"],
}


def write_sunrgbd(root: Path, version: str = "v5") -> Fake:
    """The owner's archives, frames in another order than the lists; masks are always HDF5, as they are too large."""
    masks: dict = {"train": {}, "test": {}}
    meta, labels, write = [], [], write_matlab5 if version == "v5" else write_matlab73
    for number, name in enumerate(sorted(FRAMES["train"] + FRAMES["test"])):
        photograph = f"{name}/image/{number:07d}.jpg"
        write_photo(root / "SUNRGBD" / photograph, seed=number)
        raw = draw(number, range(38))
        meta.append({"sequenceName": "SUNRGBD/" + name, "rgbpath": OWNER + photograph, "K": np.eye(3)})
        labels.append({"seglabelall": raw.astype(np.uint16) + 7, "seglabel": raw, "names": ["wall", "floor"]})
        masks["train" if name in FRAMES["train"] else "test"][name] = known(raw, SUN_IDS)
    toolbox = root / "SUNRGBDtoolbox"
    write(toolbox / "Metadata" / "SUNRGBDMeta.mat", {"SUNRGBDMeta": meta})
    write_matlab73(toolbox / "Metadata" / "SUNRGBD2Dseg.mat", {"SUNRGBD2Dseg": labels})
    lists = {f"all{split}": [OWNER + name for name in names] for split, names in FRAMES.items()}
    lists["trainvalsplit"] = {"train": lists["alltrain"][:2], "val": lists["alltrain"][2:] * 2}
    write(toolbox / "traintestSUNRGBD" / "allsplit.mat", lists)
    ordered = {split: {name: masks[split][name] for name in names} for split, names in FRAMES.items()}
    return Fake(SUNRGBD(root), ordered)


def write_sunrgbd_repackaged(root: Path) -> Fake:
    """The tree of chrischoy/SUN_RGBD; images and masks differ in name, and names repeat in the two splits."""
    masks: dict = {"train": {}, "test": {}}
    for split, numbers in {"train": (2, 1), "test": (1, 2, 3)}.items():
        lines = {}
        for i in numbers:
            raw = draw(i + len(split), range(38))
            write_photo(root / "image" / split / f"img-{i:06d}.jpg", seed=i)
            write_mask(root / "label37" / split / f"{i:08d}.png", raw)
            masks[split][f"{split}/img-{i:06d}"] = known(raw, SUN_IDS)
            lines[i] = f"image/{split}/img-{i:06d}.jpg depth/{split}/{i:08d}.png label37/{split}/{i:08d}.png\n"
        (root / f"{split}37.txt").write_text("".join(lines.values()))
        if split == "test":
            (root / "split").mkdir()
            (root / "split" / "val37.txt").write_text(lines[3])
            (root / "split" / "test37.txt").write_text(lines[1] + lines[2])
    return Fake(SUNRGBD(root), masks)


NAMES_40 = (
    """
    wall, floor, cabinet, bed, chair, sofa, table, door, window, bookshelf, picture, counter, blinds, desk, shelves,
    curtain, dresser, pillow, mirror, floor mat, clothes, ceiling, books, fridge, tv, paper, towel, shower curtain, box,
    whiteboard, person, night stand, toilet, sink, lamp, bathtub, bag, otherstructure, otherfurniture, otherprop
""".replace("\n    ", " ")
    .strip()
    .split(", ")
)
MEMBERS_13 = {
    "bed": "bed",
    "books": "books",
    "ceiling": "ceiling",
    "chair": "chair",
    "floor": "floor, floor mat",
    "furniture": "cabinet, bookshelf, counter, shelves, dresser, fridge, night stand, otherfurniture",
    "objects": (
        "pillow, mirror, clothes, paper, towel, shower curtain, box, whiteboard, person, toilet, sink, lamp, bathtub, "
        "bag, otherstructure, otherprop"
    ),
    "picture": "picture",
    "sofa": "sofa",
    "table": "table, desk",
    "tv": "tv",
    "wall": "wall, door",
    "window": "window, blinds, curtain",
}
"""The 13 classes in their order, and what is in them: the published table, by name."""
GROUP_OF = {member: i for i, members in enumerate(MEMBERS_13.values()) for member in members.split(", ")}
NYU_IDS = {
    40: {0: IGNORE} | {value: value - 1 for value in range(1, 41)},
    37: SUN_IDS | {38: IGNORE, 39: IGNORE, 40: IGNORE},
    13: {0: IGNORE} | {value: GROUP_OF[name] for value, name in enumerate(NAMES_40, start=1)},
}
"""Train id of each of the 40 values, for each number of classes."""


def write_nyuv2(root: Path, classes: int = 40) -> Fake:
    """Five images of the owner's file, whose raw id n is value ``(n - 1) % 40 + 1`` of 40."""
    rng = np.random.default_rng(0)
    raw = np.stack([draw(i, range(41)).astype(np.uint16) for i in range(5)], axis=2)
    labels = np.where(raw == 0, 0, raw + 40 * rng.integers(0, 22, raw.shape)).astype(np.uint16)
    images = rng.integers(0, 256, (*SIZE, 3, 5), dtype=np.uint8)
    write_matlab73(root / "nyu_depth_v2_labeled.mat", {"images": images, "labels": labels, "names": ["book", "desk"]})
    splits = {"train": (4, 1), "test": (2, 3, 5)}
    write_matlab5(root / "splits.mat", {f"{split}Ndxs": np.array([found]).T for split, found in splits.items()})
    mapping = {"mapClass": np.arange(894.0)[None] % 40 + 1, "className": NAMES_40}
    write_matlab5(root / "classMapping40.mat", mapping)
    masks = {
        split: {f"{number:04d}": known(raw[:, :, number - 1], NYU_IDS[classes]) for number in found}
        for split, found in splits.items()
    }
    return Fake(NYUv2(root, classes), masks)


WRITERS = {
    SUNRGBD: {
        "v5": write_sunrgbd,
        "hdf5": partial(write_sunrgbd, version="v7.3"),
        "repackaged": write_sunrgbd_repackaged,
    },
    NYUv2: {str(classes): partial(write_nyuv2, classes=classes) for classes in NYU_IDS},
}
