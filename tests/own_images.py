"""The folders that the guides in docs/guides name, with a few tiny images each."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fakes.basic import SIZE, draw, write_mask, write_photo
from tests.fakes.drawn import write_cvat_xml, write_label_studio, write_yolo
from tests.fakes.own import annotation, labelme_file, rectangle, shape, write_json, write_text


def write_splits(
    root: Path,
    values: Iterable,
    splits: tuple[str, ...] = ("train", "val"),
    image_suffix: str = "",
    mask_suffix: str = "",
) -> None:
    """Three images a split in folders of its own, and masks in which all values (ids, or colours) occur."""
    values = np.array(list(values))
    for i, (split, name) in enumerate((split, name) for split in splits for name in ("a", "b", "c")):
        write_photo(root / split / "images" / f"{name}{image_suffix}.jpg", seed=i)
        raw = values[draw(i, range(len(values)))]
        file = root / split / "masks" / f"{name}{mask_suffix}.png"
        if raw.max() > 255:
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(raw.astype(np.uint16)).save(file)
        else:
            write_mask(file, raw)


def write_listed(root: Path) -> None:
    """Undivided images, and lists that divide them."""
    for i, name in enumerate("abcde"):
        write_photo(root / "images" / f"{name}.jpg", seed=i)
        write_mask(root / "masks" / f"{name}.png", draw(i, (0, 1, 2, 255)))
    write_text(root / "train.txt", "a\nb\nc.jpg\n")
    write_text(root / "val.txt", "d\ne\n")


def write_tower(root: Path) -> None:
    write_splits(root, (0, 1, 2, 255), image_suffix="_photo", mask_suffix="_labels")
    for split in ("train", "val"):
        write_photo(root / split / "masks" / "a_preview.png")


def write_plant(root: Path) -> None:
    """The folders of mmsegmentation."""
    for i, (split, name) in enumerate((split, name) for split in ("train", "val") for name in "abc"):
        write_photo(root / "img_dir" / split / f"{name}.jpg", seed=i)
        write_mask(root / "ann_dir" / split / f"{name}.png", draw(i, (0, 1, 2)))


def write_images(root: Path) -> None:
    for i in range(2):
        write_photo(root / f"{i}.jpg", seed=50 + i)


def write_market(root: Path) -> None:
    """Two images a split; a category that the guide does not list, and a crowd."""
    categories = [{"id": 4 * i, "name": name} for i, name in enumerate(("apple", "crate", "person", "dog"), 1)]
    for start, split in ((0, "train"), (2, "val")):
        images, annotations = [], []
        for number in (start, start + 1):
            write_photo(root / "images" / f"{number}.jpg", seed=number)
            images.append({"id": number, "file_name": f"{number}.jpg", "height": SIZE[0], "width": SIZE[1]})
            for i, category in enumerate(categories):
                region = [rectangle(3 * i, 1, 3 * i + 3, 9)]
                annotations.append(annotation(10 * number + i, number, category["id"], region))
            annotations.append(annotation(10 * number + 9, number, 12, [rectangle(0, 10, 16, 12)], crowd=1))
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(root / "annotations" / f"instances_{split}.json", content)


def write_garden(root: Path) -> None:
    shapes = [
        shape("tree", "circle", [[4, 4], [6, 4]]),
        shape("bush", "rectangle", [[8, 1], [11, 3]]),
        shape("path", "line", [[0, 10], [15, 10]]),
    ]
    for i, (split, name) in enumerate([("train", "a"), ("train", "b"), ("val", "c")]):
        write_photo(root / split / f"{name}.jpg", seed=i)
        if name != "b":
            write_json(root / split / f"{name}.json", labelme_file(shapes))


def write_cvat(root: Path) -> None:
    colors = {"background": (0, 0, 0), "ship": (250, 50, 83), "crane": (51, 221, 255)}
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in colors.items()]
    write_text(root / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]))
    for i in range(2):
        write_photo(root / "JPEGImages" / f"{i}.jpg", seed=i)
        write_mask(root / "SegmentationClass" / f"{i}.png", np.array(list(colors.values()))[draw(i, range(3))])
    write_text(root / "ImageSets" / "Segmentation" / "default.txt", "0\n1\n")


def write_street(root: Path) -> None:
    """Eight images of each of four drives; one of each shows the last class."""
    bands = np.indices((48, 64))[0] // 16
    for drive in range(1, 5):
        for i in range(8):
            write_photo(root / "images" / f"drive{drive}" / f"{i:03d}.jpg", seed=10 * drive + i, size=bands.shape)
            write_mask(root / "masks" / f"drive{drive}" / f"{i:03d}.png", bands % (3 if i == 5 else 2))


def write_orchard(root: Path) -> None:
    """Photographs and drawings as the example of a class of one's own has them."""
    for i, (season, name) in enumerate((season, name) for season in ("summer", "winter") for name in "abc"):
        write_photo(root / "photos" / season / f"{name}.jpg", seed=i)
        write_mask(root / "drawings" / season / f"{name}_drawn.png", draw(i, (0, 1, 2, 7)))


FOLDERS: dict[str, Callable[[Path], None]] = {
    "yard": lambda root: write_splits(root, (0, 1, 2, 255)),
    "shed": write_listed,
    "seasons": lambda root: write_splits(root, (0, 1, 2, 255), splits=("summer", "winter")),
    "rooms": lambda root: write_splits(root, ((128, 64, 128), (70, 70, 70), (220, 20, 60), (0, 0, 0))),
    "cracks": lambda root: write_splits(root, (0, 255)),
    "scans": lambda root: write_splits(root, (0, 1, 200, 201, 1042, 7)),
    "merged": lambda root: write_splits(root, (0, 1, 2, 3, 4, 5, 255)),
    "tower": write_tower,
    "market": write_market,
    "garden": write_garden,
    "cvat": write_cvat,
    "plant": lambda root: write_plant(root),
    "quay": lambda root: write_cvat_xml(root),
    "studio": lambda root: write_label_studio(root),
    "yolo": lambda root: write_yolo(root, layout="outside"),
    "yard_without_masks": write_images,
    "quarry": lambda root: write_images(root / "images"),
}
"""What writes each folder of docs/guides/your_own_images.md, by its name."""
OTHER_FOLDERS: dict[str, Callable[[Path], None]] = {
    "field": lambda root: write_splits(root, (1, 2, 3)),
    "street": write_street,
    "orchard": write_orchard,
}
"""Likewise those of the other guides."""
