"""A small folder of images and masks, and what a check of it says."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from semiverse.data import SegmentationDataset
from semiverse.datasets import Coco, Folder, Labelme
from semiverse.doctor.examine import examine_domain
from semiverse.doctor.findings import Findings
from semiverse.mixture import Domain, DomainMixture

SIZE = (12, 16)


def photo(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def halves(values: tuple[int, int] = (0, 1), size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.full(size, values[0], dtype=np.uint8)
    mask[:, size[1] // 2 :] = values[1]
    return mask


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def yard(root: Path, names: Sequence[str] = ("a", "b", "c"), ending: str = ".png") -> Path:
    """root/images and root/masks with two classes."""
    for number, name in enumerate(names):
        save(root / "images" / f"{name}{ending}", photo(number))
        save(root / "masks" / f"{name}.png", halves())
    return root


def folder(root: Path, **options: object) -> Folder:
    return Folder(root, ("ground", "fence"), **options)


def checked(dataset: SegmentationDataset, split: str = "all", **options: object) -> Findings:
    """What the doctor says of a dataset."""
    domain = Domain(dataset, train=split, val=split, **options)
    return examine_domain(DomainMixture({"d": domain}), "d")


def market(
    root: Path, annotations: Sequence[dict], categories: Sequence[dict] | None = None, **options: object
) -> Coco:
    """A COCO dataset of one image, 0.png."""
    save(root / "images" / "0.png", photo())
    content = {
        "images": [{"id": 0, "file_name": "0.png", "height": SIZE[0], "width": SIZE[1]} | options.pop("image", {})],
        "categories": categories or [{"id": 1, "name": "crate"}],
        "annotations": [
            {"id": number, "image_id": 0, "category_id": 1} | one for number, one in enumerate(annotations)
        ],
    }
    (root / "a.json").write_text(json.dumps(content))
    return Coco(root, {"train": Path("a.json")}, **options)


def garden(root: Path, shapes: Sequence[dict], **more: object) -> Labelme:
    """A Labelme dataset of one image, a.png."""
    save(root / "a.png", photo())
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    content = {"shapes": [{"label": "tree"} | one for one in shapes], "imagePath": "a.png"} | size | more
    (root / "a.json").write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))
    return Labelme(root, ("tree",))
