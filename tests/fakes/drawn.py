"""Stand-ins for what CVAT (XML), Label Studio and YOLO export: rectangles whose pixels are known."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from semiverse.data import SegmentationDataset
from semiverse.datasets import CvatXml, LabelStudio, YoloSegmentation
from semiverse.formats.label_studio import encode_brush
from semiverse.labels import IGNORE
from tests.fakes.basic import SIZE, Fake, write_photo
from tests.fakes.own import write_json, write_text

HEIGHT, WIDTH = SIZE
ROAD, CAR = (0, 4, 16, 12), (6, 2, 10, 5)
"""Left, top, right, bottom of a region, and of a later one that lies on it."""
BRUSHED = np.random.default_rng(0).random((3, 4)) < 0.5
"""Which pixels of the latter are painted where it is brushed."""


def corners(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def painted(ids: dict[str, int], brushed: bool) -> np.ndarray:
    mask = np.full(SIZE, ids["background"], dtype=np.uint8)
    mask[4:12, 0:16] = ids["road"]
    mask[2:5, 6:10][BRUSHED if brushed else np.ones_like(BRUSHED)] = ids["car"]
    return mask


def truth(ids: dict[str, int], brushed: bool = False) -> dict[str, dict[str, np.ndarray | None]]:
    """An image that nobody annotated, one with regions, and one that shows nothing."""
    nothing = np.full(SIZE, ids["background"], dtype=np.uint8)
    return {"train": {"a": None, "deep/b": painted(ids, brushed)}, "val": {"c": nothing}}


def write_photos(root: Path, masks: dict) -> dict[str, Path]:
    """Photographs in one folder, and the lists that divide them."""
    for split, names in masks.items():
        for name in names:
            write_photo(root / "images" / f"{name}.jpg", seed=len(name))
        write_text(root / f"{split}.txt", "\n".join(names))
    return {split: Path(f"{split}.txt") for split in masks}


IDS = {"background": 0, "road": 1, "car": 2}


def cvat_text(coding: str) -> str:
    """The car is written first and lies on top by its ``z_order``."""

    def points(edges):
        return ";".join(f"{x},{y}" for x, y in corners(*edges))

    left, top, right, bottom = CAR
    runs, inside = [0], False
    for pixel in BRUSHED.ravel().tolist():
        if pixel != inside:
            runs.append(0)
            inside = pixel
        runs[-1] += 1
    car = {
        "polygon": f'<polygon label="car" points="{points(CAR)}" z_order="1"/>',
        "box": f'<box label="car" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" z_order="1"/>',
        "mask": f'<mask label="car" rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="4" height="3" '
        'z_order="1"/>',
    }[coding]
    labels = "".join(f"<label><name>{name}</name><color>#ff0000</color></label>" for name in ("road", "car"))
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>
<image id="0" name="deep/b.jpg" {size}>{car}<polygon label="road" points="{points(ROAD)}" z_order="0"/>
<polyline label="car" points="1,1;9,9"/><tag label="car"/></image>
<image id="1" name="c.jpg" {size}></image></annotations>"""


def write_cvat_xml(root: Path, coding: str = "polygon", **options) -> Fake:
    masks = truth(options.pop("ids", IDS), brushed=coding == "mask")
    splits = write_photos(root, masks)
    write_text(root / "annotations.xml", cvat_text(coding))
    return Fake(CvatXml(root, splits=splits, **options), masks)


def percent(edges):
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in corners(*edges)]


def result(kind: str, value: dict, label: str) -> dict:
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return size | {"type": kind, "from_name": "label", "to_name": "image", "value": value | {kind: [label]}}


def write_label_studio(root: Path, coding: str = "polygon", **options) -> Fake:
    masks = truth(options.pop("ids", IDS), brushed=coding == "brush")
    splits = write_photos(root, masks)
    (left, top), _, (right, bottom), _ = percent(CAR)
    brushed = np.zeros(SIZE, dtype=bool)
    brushed[2:5, 6:10] = BRUSHED
    car = {
        "polygon": result("polygonlabels", {"points": percent(CAR)}, "car"),
        "box": result("rectanglelabels", {"x": left, "y": top, "width": right - left, "height": bottom - top}, "car"),
        "brush": result("brushlabels", {"format": "rle", "rle": encode_brush(brushed)}, "car"),
    }[coding]
    road = result("polygonlabels", {"points": percent(ROAD)}, "road")
    tasks = [
        {
            "id": 1,
            "data": {"image": "/data/local-files/?d=photos/deep/b.jpg"},
            "annotations": [{"result": [road, car]}],
        },
        {"id": 2, "data": {"image": "/data/upload/3/0a1b2c3d-c.jpg"}, "annotations": [{"result": []}]},
        {"id": 3, "data": {"image": "a.jpg"}, "annotations": [{"result": [road], "was_cancelled": True}]},
    ]
    write_json(root / "annotations.json", tasks)
    return Fake(LabelStudio(root, splits=splits, **({"classes": ("road", "car")} | options)), masks)


def write_yolo(root: Path, layout: str = "lists", **options) -> Fake:
    masks = truth(options.pop("ids", IDS))

    def line(number, edges):
        return " ".join([str(number), *(f"{part / 100:.6f}" for point in percent(edges) for part in point)])

    if layout == "lists":
        options["splits"] = write_photos(root, masks)
        places = dict.fromkeys(masks, root / "labels")
    else:
        first, second = (
            ("{split}/images", "{split}/labels") if layout == "inside" else ("images/{split}", "labels/{split}")
        )
        options |= {"images": first, "annotations": second}
        places = {split: root / second.format(split=split) for split in masks}
        for split, names in masks.items():
            for name in names:
                write_photo(root / first.format(split=split) / f"{name}.jpg", seed=len(name))
    write_text(places["train"] / "deep" / "b.txt", f"{line(0, ROAD)}\n{line(1, CAR)}\n\n")
    write_text(places["val"] / "c.txt", "")
    return Fake(YoloSegmentation(root, ("road", "car"), **options), masks)


UNLABELLED = {"background": None, "ids": {"background": IGNORE, "road": 0, "car": 1}}
MERGED = {"mapping": {"car": "road"}, "name": "one", "ids": {"background": 0, "road": 1, "car": 1}}

WRITERS: dict[type[SegmentationDataset], dict[str, Callable[[Path], Fake]]] = {
    CvatXml: {
        "polygons": write_cvat_xml,
        "boxes": partial(write_cvat_xml, coding="box"),
        "masks": partial(write_cvat_xml, coding="mask"),
        "unlabelled-rest": partial(write_cvat_xml, **UNLABELLED),
    },
    LabelStudio: {
        "polygons": write_label_studio,
        "boxes": partial(write_label_studio, coding="box"),
        "brush": partial(write_label_studio, coding="brush"),
        "mapping": partial(write_label_studio, **MERGED),
    },
    YoloSegmentation: {
        "lists": write_yolo,
        "inside": partial(write_yolo, layout="inside"),
        "outside": partial(write_yolo, layout="outside"),
        "unlabelled-rest": partial(write_yolo, **UNLABELLED),
    },
}
