"""Folders as people have them, each with what `semiverse init` should say about it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tests.fakes import write_mask, write_photo
from tests.fakes.drawn import write_cvat_xml, write_label_studio, write_yolo
from tests.fakes.own import write_coco, write_labelme, write_text, write_voc_folder

SIZE = (48, 64)
COLORS = np.array([(0, 0, 0), (128, 64, 128), (220, 20, 60)], dtype=np.uint8)
THREE = {"classes": ["class_0", "class_1", "class_2"]}


class Kind(NamedTuple):
    """A writer of a folder, and what is found: class, arguments beside the root, options of the domain."""

    write: Callable[[Path], object]
    dataset: str
    arguments: dict[str, Any]
    domain: Mapping[str, Any] = MappingProxyType({})


def bands(i: int, values: Any = (0, 1, 2)) -> np.ndarray:
    """A mask in which every value occurs, in bands."""
    return np.asarray(values)[(np.indices(SIZE)[0] // 16 + i) % len(values)]


def photo(path: Path, i: int) -> None:
    write_photo(path, seed=i, size=SIZE)


def pairs(
    root: Path, images: str, masks: str, values: Any = (0, 1, 2), mode: str | None = None, count: int = 3
) -> None:
    """Some images and masks of each split; ``{split}`` and ``{name}`` stand in the paths."""
    splits = ("train", "val") if "{split}" in images else ("",)
    for number, (split, i) in enumerate((split, i) for split in splits for i in range(count + 2 * (not splits[0]))):
        name = "abcdefgh"[i]
        photo(root / images.format(split=split, name=name), number)
        mask, file = bands(i, values), root / masks.format(split=split, name=name)
        if mask.max() > 255 and mask.ndim == 2:
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint16)).save(file)
        elif mode == "P":
            write_mask(file, mask, "P", palette=COLORS.ravel().tolist())
        else:
            write_mask(file, mask.astype(np.uint8))


def undivided(root: Path) -> None:
    pairs(root, "images/{name}.jpg", "masks/{name}.png", (0, 1, 2, 255))
    write_text(root / "classes.txt", "ground\nfence\nmachine\n")


def with_lists(root: Path) -> None:
    pairs(root, "images/{name}.jpg", "labels/{name}.png")
    write_text(root / "train.txt", "a.jpg\nb.jpg\nc.jpg\n")
    write_text(root / "val.txt", "d.jpg\ne.jpg\n")


def colored(root: Path) -> None:
    pairs(root, "{split}/images/{name}.jpg", "{split}/masks/{name}.png", COLORS)
    write_text(root / "class_dict.csv", "name,r,g,b\nvoid,0,0,0\nroad,128,64,128\nperson,220,20,60\n")


def partly_labeled(root: Path) -> None:
    undivided(root)
    for i in range(3):
        photo(root / "images" / f"free{i}.jpg", 40 + i)


def further_folder(root: Path) -> None:
    pairs(root, "{split}/images/{name}.jpg", "{split}/masks/{name}.png")
    for i in range(4):
        photo(root / "more" / f"x{i}.jpg", 60 + i)


def voc_without_table(root: Path) -> None:
    pairs(root, "JPEGImages/{name}.jpg", "SegmentationClass/{name}.png", mode="P")
    pairs(root, "JPEGImages/{name}.jpg", "SegmentationObject/{name}.png", (0, 1, 2), mode="P")
    write_text(root / "ImageSets" / "Segmentation" / "train.txt", "a\nb\nc\n")
    write_text(root / "ImageSets" / "Segmentation" / "val.txt", "d\ne\n")


def yolo(root: Path) -> None:
    write_yolo(root, layout="outside")
    write_text(root / "data.yaml", "train: images/train\nval: images/val\nnames: {0: road, 1: car}\n")


FIRST, SECOND = {"train": "train", "val": "val"}, {"train": "train.txt", "val": "val.txt"}
TABLE = {"classes": ["void", "road", "person"], "masks": "rgb", "palette": COLORS.tolist()}
PALETTE = {"masks": "palette", "palette": COLORS.tolist()}

KINDS: dict[str, Kind] = {
    "index": Kind(undivided, "Folder", {"classes": ["ground", "fence", "machine"], "masks": "index"}),
    "colours": Kind(colored, "Folder", TABLE, FIRST),
    "palette": Kind(
        lambda root: pairs(root, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", mode="P"),
        "Folder",
        THREE | PALETTE | {"image_folder": "images/{split}", "mask_folder": "masks/{split}"},
        FIRST,
    ),
    "mmseg": Kind(
        lambda root: pairs(root, "img_dir/{split}/{name}.jpg", "ann_dir/{split}/{name}.png"),
        "Folder",
        THREE | {"masks": "index", "image_folder": "img_dir/{split}", "mask_folder": "ann_dir/{split}"},
        FIRST,
    ),
    "side-by-side": Kind(
        lambda root: pairs(root, "{name}.jpg", "{name}_mask.png", (0, 255)),
        "Folder",
        {"classes": ["class_0", "class_1"], "masks": "binary", "image_folder": ".", "mask_folder": "."}
        | {"mask_suffix": "_mask"},
    ),
    "lists": Kind(
        with_lists,
        "Folder",
        THREE | {"masks": "index", "image_folder": "images", "mask_folder": "labels", "splits": SECOND},
        FIRST,
    ),
    "segnet": Kind(
        lambda root: pairs(root, "{split}/{name}.jpg", "{split}annot/{name}.png"),
        "Folder",
        THREE | {"masks": "index", "image_folder": "{split}", "mask_folder": "{split}annot"},
        FIRST,
    ),
    "suffixes": Kind(
        lambda root: pairs(root, "{split}/images/{name}_photo.jpg", "{split}/masks/{name}_labels.png"),
        "Folder",
        THREE | {"masks": "index", "image_suffix": "_photo", "mask_suffix": "_labels"},
        FIRST,
    ),
    "stretched": Kind(
        lambda root: pairs(root, "images/{name}.jpg", "masks/{name}.png", (0, 127, 255)),
        "Folder",
        {"classes": ["class_0", "class_127", "class_255"], "masks": "index", "ignore": None}
        | {"ids": {"class_0": 0, "class_127": 127, "class_255": 255}},
    ),
    "16-bit": Kind(
        lambda root: pairs(root, "images/{name}.jpg", "masks/{name}.png", (1, 700, 1042)),
        "Folder",
        {"classes": ["class_1", "class_700", "class_1042"], "masks": "index"}
        | {"ids": {"class_1": 1, "class_700": 700, "class_1042": 1042}},
    ),
    "partly-labeled": Kind(
        partly_labeled,
        "Folder",
        {"classes": ["ground", "fence", "machine"], "masks": "index", "without_mask": "unlabeled"},
    ),
    "further-folder": Kind(further_folder, "Folder", THREE | {"masks": "index"}, {**FIRST, "unlabeled_folder": "more"}),
    "voc-palette": Kind(
        voc_without_table,
        "Folder",
        THREE
        | PALETTE
        | {"image_folder": "JPEGImages", "mask_folder": "SegmentationClass"}
        | {"splits": {part: f"ImageSets/Segmentation/{part}.txt" for part in ("train", "val")}},
        FIRST,
    ),
    "coco": Kind(
        write_coco,
        "Coco",
        {"annotations": {"train": "annotations/train.json", "val": "annotations/val.json"}},
        FIRST,
    ),
    "labelme": Kind(
        lambda root: write_labelme(root, layout="folders"),
        "Labelme",
        {"classes": ["car", "road"], "splits": FIRST},
        FIRST,
    ),
    "cvat-xml": Kind(
        write_cvat_xml,
        "CvatXml",
        {"annotations": "annotations.xml", "classes": ["road", "car"], "splits": SECOND},
        FIRST,
    ),
    "cvat-masks": Kind(write_voc_folder, "VocFolder", {}, FIRST),
    "yolo": Kind(
        yolo,
        "YoloSegmentation",
        {"classes": ["road", "car"], "annotations": "labels/{split}", "images": "images/{split}"},
        FIRST,
    ),
    "label-studio": Kind(
        write_label_studio,
        "LabelStudio",
        {"annotations": "annotations.json", "classes": ["car", "road"], "splits": SECOND},
        FIRST,
    ),
}
"""By name."""
