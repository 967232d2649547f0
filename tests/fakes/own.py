"""Stand-ins for what annotation tools export: COCO, Labelme, and the folders of Pascal VOC."""

import base64
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from semiverse.data import SegmentationDataset
from semiverse.datasets import Coco, Labelme, VocFolder
from semiverse.labels import IGNORE
from tests.fakes.basic import SIZE, Fake, draw, known, write_mask, write_photo

CATEGORIES = {7: "car", 3: "road", 90: "person"}
"""Category ids in the order of a file; neither sorted nor without gaps."""


def runs_of(pixels: np.ndarray) -> list[int]:
    """Run lengths of COCO, counted one pixel after the other, down the columns."""
    runs, inside = [0], False
    for pixel in pixels.T.ravel().tolist():
        if bool(pixel) != inside:
            runs.append(0)
            inside = not inside
        runs[-1] += 1
    return runs


def compressed(pixels: np.ndarray) -> str:
    """The same as COCO's own package writes it."""
    from pycocotools import mask

    return mask.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"].decode()


def rectangle(left: int, top: int, right: int, bottom: int) -> list[float]:
    """A polygon that covers exactly the pixels left <= x < right, top <= y < bottom, in COCO's rasterisation."""
    return [left, top, right, top, right, bottom, left, bottom]


def box(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """The same pixels, (H, W) bool."""
    pixels = np.zeros(size, dtype=bool)
    pixels[top:bottom, left:right] = True
    return pixels


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def annotation(number: int, image: int, category: int, coded: object, crowd: int = 0) -> dict:
    return {"id": number, "image_id": image, "category_id": category, "segmentation": coded, "iscrowd": crowd}


def coded_as(coding: str, pixels: np.ndarray, edges: tuple[int, int, int, int]) -> object:
    """A rectangle as one of the codings of COCO."""
    if coding == "polygons":
        return [rectangle(*edges)]
    return {"size": list(pixels.shape), "counts": runs_of(pixels) if coding == "runs" else compressed(pixels)}


def coco_file(images: dict[int, str], annotations: list[dict], size: tuple[int, int] = SIZE) -> dict:
    return {
        "images": [{"id": i, "file_name": name, "height": size[0], "width": size[1]} for i, name in images.items()],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()],
    }


def write_coco(root: Path, coding: str = "polygons", **options) -> Fake:
    """Two regions that overlap, a crowd, and an image without annotations; road, car, person by category id."""
    names = options.pop("ids", {"background": 0, "road": 1, "car": 2, "person": 3})
    places = {"road": (0, 4, 16, 12), "car": (2, 3, 9, 8), "person": (4, 1, 6, 10)}
    numbers = {name: number for number, name in CATEGORIES.items()}
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {}, "val": {}}
    for split, images in {"train": {5: "b.jpg", 2: "deep/a.png"}, "val": {11: "c.jpg"}}.items():
        annotations = []
        for i, (number, title) in enumerate(images.items()):
            write_photo(root / "images" / title, seed=number)
            mask = np.full(SIZE, names["background"], dtype=np.uint8)
            if number != 2:
                for name, edges in places.items():
                    pixels, crowd = box(*edges), int(name == "person")
                    annotations.append(
                        annotation(10 * i, number, numbers[name], coded_as(coding, pixels, edges), crowd)
                    )
                    mask[pixels] = names[name]
            masks[split][title.rpartition(".")[0]] = mask
        write_json(root / "annotations" / f"{split}.json", coco_file(images, annotations))
    files = {split: Path("annotations") / f"{split}.json" for split in masks}
    return Fake(Coco(root, files, **options), masks)


def shape(label: str, kind: str | None, points: list, **further) -> dict:
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **further}


def labelme_file(shapes: list[dict], size: tuple[int, int] = SIZE) -> dict:
    return {"version": "5.4.1", "shapes": shapes, "imagePath": "x", "imageHeight": size[0], "imageWidth": size[1]}


def png_text(pixels: np.ndarray) -> str:
    """A mask as Labelme keeps it: a PNG in base 64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_labelme(root: Path, layout: str = "beside", **options) -> Fake:
    """An unlabelled image, one with shapes that overlap, and one with a file but no shape."""
    ids = options.pop("ids", {"background": 0, "road": 1, "car": 2})
    mask = np.full(SIZE, ids["background"], dtype=np.uint8)
    mask[4:12, 0:16] = ids["road"]
    brushed = np.random.default_rng(0).random((3, 4)) < 0.5
    mask[2:5, 6:10][brushed] = ids["car"]
    shapes = [
        shape("road", "rectangle", [[15, 11], [0, 4]]),
        shape("car", "mask", [[6, 2], [9, 4]], mask=png_text(brushed)),
    ]
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {"a": None, "deep/b": mask}, "val": {"c": mask * 0}}
    if ids["background"] == IGNORE:
        masks["val"]["c"] = np.full(SIZE, IGNORE, dtype=np.uint8)
    for split, names in masks.items():
        place = root / split if layout == "folders" else root / "images" if layout == "apart" else root
        drawn = root / "json" if layout == "apart" else place
        for name, wanted in names.items():
            write_photo(place / f"{name}.jpg", seed=len(name))
            if wanted is not None:
                write_json(drawn / f"{name}.json", labelme_file(shapes if name == "deep/b" else []))
        if layout != "folders":
            (root / f"{split}.txt").write_text("\n".join(names))
    places = {split: Path(split if layout == "folders" else f"{split}.txt") for split in masks}
    if layout == "apart":
        options |= {"images": Path("images"), "annotations": Path("json")}
    return Fake(Labelme(root, ("road", "car"), splits=places, **options), masks)


LABELMAP = {"background": (0, 0, 0), "road": (128, 64, 128), "car": (0, 0, 142)}


def write_voc_folder(root: Path, mode: str = "RGB", **options) -> Fake:
    """Colours of ``LABELMAP`` and of Pascal VOC's borders; as palette image their indices mean nothing."""
    colors = [*LABELMAP.values(), (224, 224, 192)]
    ids = options.pop("ids", {0: 0, 1: 1, 2: 2, 3: IGNORE})
    lines = "".join(f"{name}:{','.join(map(str, color))}::\n" for name, color in LABELMAP.items())
    write_text(root / "labelmap.txt", f"# label:color_rgb:parts:actions\n{lines}")
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {}, "val": {}}
    for i, (split, name) in enumerate([("train", "b"), ("train", "a"), ("val", "frame 1")]):
        raw = draw(i, range(4))
        write_photo(root / "JPEGImages" / f"{name}.jpg", seed=i)
        file = root / "SegmentationClass" / f"{name}.png"
        if mode == "P":
            turned = [part for color in reversed(colors) for part in color]
            write_mask(file, 3 - raw, "P", palette=turned)
        else:
            write_mask(file, np.array(colors)[raw])
        masks[split][name] = known(raw, ids)
    for split, names in {**masks, "trainval": {**masks["train"], **masks["val"]}}.items():
        write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names))
    return Fake(VocFolder(root, **options), masks)


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


MERGED = {"mapping": {"car": "thing", "person": "thing", "road": None}, "name": "things"}

WRITERS: dict[type[SegmentationDataset], dict[str, Callable[[Path], Fake]]] = {
    Coco: {
        "polygons": write_coco,
        "runs": partial(write_coco, coding="runs"),
        "compressed": partial(write_coco, coding="compressed"),
        "unlabelled-rest": partial(
            write_coco, background=None, ids={"background": IGNORE, "road": 0, "car": 1, "person": 2}
        ),
        "crowd-ignored": partial(
            write_coco, crowd="ignore", ids={"background": 0, "road": 1, "car": 2, "person": IGNORE}
        ),
        "classes": partial(
            write_coco, classes=("person", "car", "road"), ids={"background": 0, "road": 3, "car": 2, "person": 1}
        ),
        "mapping": partial(write_coco, **MERGED, ids={"background": 0, "road": IGNORE, "car": 1, "person": 1}),
    },
    Labelme: {
        "beside": write_labelme,
        "folders": partial(write_labelme, layout="folders"),
        "apart": partial(write_labelme, layout="apart"),
        "unlabelled-rest": partial(write_labelme, background=None, ids={"background": IGNORE, "road": 0, "car": 1}),
        "mapping": partial(
            write_labelme, mapping={"car": "road"}, name="one", ids={"background": 0, "road": 1, "car": 1}
        ),
    },
    VocFolder: {
        "rgb": write_voc_folder,
        "palette": partial(write_voc_folder, mode="P"),
        "mapping": partial(
            write_voc_folder,
            mapping={"background": None, "car": "vehicle"},
            ids={0: IGNORE, 1: 0, 2: 1, 3: IGNORE},
        ),
    },
}
