"""Tiny stand-ins for datasets: one writer each that builds the owner's folder layout, and one dataset without files."""

import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from semiverse.data import Record, SegmentationDataset
from semiverse.datasets import CamVid, Folder, ImageFolder, Images, LabelMeFacade, Remapped
from semiverse.labels import IGNORE, LabelSpace

SIZE = (12, 16)


class Fake(NamedTuple):
    """A dataset that was written to disk, and what it has to read from there."""

    dataset: SegmentationDataset
    masks: dict[str, dict[str, np.ndarray | None]]
    """Train ids of every image, by split and name, in order; None for an image without mask."""


def write_photo(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_mask(path: Path, values, mode: str | None = None, palette=None) -> Path:
    """Values (H, W), or (H, W, channels), exactly as given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, dtype=np.uint8))
    if mode == "P":
        image.putpalette(palette or [value for i in range(256) for value in (i, 255 - i, 7)])
    elif mode is not None:
        image = image.convert(mode)
    image.save(path)
    return path


def draw(seed: int, values, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask in which every one of some values occurs."""
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.asarray(values, dtype=np.uint8), size)
    mask.ravel()[rng.permutation(mask.size)[: len(values)]] = values
    return mask


def known(raw: np.ndarray, ids: dict[int, int]) -> np.ndarray:
    """Train ids of raw ids, one value after the other."""
    return np.array([ids[value] for value in raw.ravel().tolist()], dtype=np.uint8).reshape(raw.shape)


def write_camvid(root: Path, extension: str = "png", listed: bool = True, outer: str = "CamVid") -> Fake:
    masks: dict[str, dict[str, np.ndarray | None]] = {}
    for number, split in enumerate(("train", "val", "test")):
        names = [f"0016E5_{number}{i}" for i in (3, 1, 2)]
        masks[split] = {}
        for i, name in enumerate(names):
            raw = draw(10 * number + i, range(12))
            write_photo(root / outer / split / f"{name}.{extension}", seed=i)
            write_mask(root / outer / f"{split}annot" / f"{name}.png", raw)
            masks[split][name] = known(raw, {value: value for value in range(11)} | {11: IGNORE})
        if listed:  # not in the order of the names, with the owner's absolute prefix and always .png
            lines = [f"/SegNet/CamVid/{split}/{n}.png /SegNet/CamVid/{split}annot/{n}.png" for n in names]
            (root / outer / f"{split}.txt").write_text("\n".join(lines) + "\n")
        else:
            masks[split] = dict(sorted(masks[split].items()))
    return Fake(CamVid(root), masks)


def write_labelmefacade(root: Path, channels: int = 3) -> Fake:
    owner = ["various", "building", "car", "door", "pavement", "road", "sky", "vegetation", "window"]
    colors = {"various": (0, 0, 0), "building": (128, 0, 0), "car": (128, 0, 128), "door": (128, 128, 0)}
    colors |= {"pavement": (128, 128, 128), "road": (128, 64, 0), "sky": (0, 128, 128), "vegetation": (0, 128, 0)}
    colors |= {"window": (0, 0, 128)}
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {}, "test": {}}
    for i, (name, split) in enumerate([("b_street__2", "train"), ("a_house__1", "train"), ("c_front__3", "test")]):
        raw = draw(i, range(9))
        write_photo(root / "images" / f"{name}.jpg", seed=i)
        picture = np.array([colors[title] for title in owner], dtype=np.uint8)[raw]
        if channels == 4:
            picture = np.dstack([picture, np.full(raw.shape, 255, dtype=np.uint8)])
        write_mask(root / "labels" / f"{name}.png", picture)
        masks[split][name] = known(raw, {0: IGNORE} | {value: value - 1 for value in range(1, 9)})
    for split, names in masks.items():
        (root / f"{split}.txt").write_text("".join(f"images/{name}.jpg\n" for name in names))
    return Fake(LabelMeFacade(root), masks)


THREE = ("road", "car", "sky")
COLORS = ((10, 0, 0), (0, 20, 0), (0, 0, 30))


class Coding(NamedTuple):
    """How one kind of mask is written, and the arguments that say so."""

    raw: tuple[int, ...]
    ids: dict[int, int]
    arguments: dict
    mode: str | None = None
    colors: dict[int, tuple[int, int, int]] | None = None


CODINGS = {
    "index": Coding((0, 1, 2, 255), {0: 0, 1: 1, 2: 2, 255: IGNORE}, {"classes": THREE}),
    "index-other-ignore": Coding((0, 1, 2, 9), {0: 0, 1: 1, 2: 2, 9: IGNORE}, {"classes": THREE, "ignore": 9}),
    "index-one-bit": Coding((0, 255), {0: 0, 255: 1}, {"classes": ("off", "on")}, mode="1"),
    "palette": Coding((0, 1, 2, 255), {0: 0, 1: 1, 2: 2, 255: IGNORE}, {"classes": THREE, "masks": "palette"}, "P"),
    "rgb": Coding(
        (0, 1, 2, 3),
        {0: 0, 1: 1, 2: 2, 3: IGNORE},
        {"classes": THREE, "masks": "rgb", "palette": COLORS, "ignore_color": (1, 2, 3)},
        colors=dict(enumerate((*COLORS, (1, 2, 3)))),
    ),
    "binary-255": Coding((0, 255), {0: 0, 255: 1}, {"classes": ("other", "door"), "masks": "binary"}),
    "binary-1": Coding((0, 1), {0: 0, 1: 1}, {"classes": ("other", "door"), "masks": "binary"}),
    "mapping": Coding(
        (0, 1, 2, 255),
        {0: 0, 1: 0, 2: IGNORE, 255: IGNORE},
        {"classes": THREE, "mapping": {"road": "ground", "car": "ground", "sky": None}, "name": "merged"},
    ),
}


def write_folder(root: Path, coding: str = "index", layout: str = "splits") -> Fake:
    """``splits``: a folder a split; ``lists``: list files; ``nested``: split folders with images in sub-folders."""
    raw_ids, ids, arguments, mode, colors = CODINGS[coding]
    masks: dict[str, dict[str, np.ndarray | None]] = {"train": {}, "val": {}}
    for i, (split, name) in enumerate([("train", "b"), ("train", "a/b"), ("val", "c")]):
        if layout != "nested":
            name = name.replace("/", "_")
        place = root if layout == "lists" else root / split
        raw = draw(i, raw_ids)
        write_photo(place / "images" / f"{name}.jpg", seed=i)
        content = raw if colors is None else np.array([colors[value] for value in range(len(colors))])[raw]
        write_mask(place / "masks" / f"{name}.png", content, mode)
        masks[split][name] = known(raw, ids)
    if layout == "lists":
        for split, names in masks.items():
            (root / f"{split}.txt").write_text("\n".join(names))
        arguments = arguments | {"splits": {split: Path(f"{split}.txt") for split in masks}}
    else:
        masks = {split: dict(sorted(names.items())) for split, names in masks.items()}
    return Fake(Folder(root, **arguments), masks)


def write_unmasked_folder(root: Path) -> Fake:
    for i, name in enumerate(("a", "b")):
        write_photo(root / "images" / f"{name}.jpg", seed=i)
    return Fake(Folder(root, THREE, masks="none"), {"all": {"a": None, "b": None}})


def write_image_folder(root: Path) -> Fake:
    for i, name in enumerate(("a", "deep/b")):
        write_photo(root / f"{name}.jpg", seed=i)
    return Fake(ImageFolder(root, LabelSpace("three", THREE)), {"all": {"a": None, "deep/b": None}})


def write_shard(root: Path) -> Fake:
    write_image_folder(root / "unpacked")
    with tarfile.open(root / "photos.tar", "w") as archive:
        for path in sorted((root / "unpacked").rglob("*.*"), reverse=True):
            archive.add(path, path.relative_to(root / "unpacked").as_posix())
    labels = LabelSpace("three", THREE)
    return Fake(Images(str(root / "photos.tar"), labels), {"all": {"a": None, "deep/b": None}})


def write_image_url(root: Path) -> Fake:
    fake = write_image_folder(root)
    return Fake(Images(f"file://{root}", fake.dataset.labels), fake.masks)


def write_remapped(root: Path) -> Fake:
    """CamVid in three classes, the last of which it does not have."""
    camvid = write_camvid(root)
    names = {"road": "ground", "pavement": "ground", "sky": "sky"}
    dataset = Remapped(camvid.dataset, names, classes=("ground", "sky", "water"), name="three")
    space = CamVid.labels.classes
    ids = {i: {"ground": 0, "sky": 1}.get(names.get(title, ""), IGNORE) for i, title in enumerate(space)}
    masks = {
        split: {name: known(mask, ids | {IGNORE: IGNORE}) for name, mask in found.items()}
        for split, found in camvid.masks.items()
    }
    return Fake(dataset, masks)


WRITERS: dict[type[SegmentationDataset], dict[str, Callable[[Path], Fake]]] = {
    CamVid: {
        "png": write_camvid,
        "jpg": partial(write_camvid, extension="jpg"),
        "root": partial(write_camvid, outer=""),
        "unlisted": partial(write_camvid, listed=False),
    },
    LabelMeFacade: {"rgb": write_labelmefacade, "rgba": partial(write_labelmefacade, channels=4)},
    Folder: {
        **{coding: partial(write_folder, coding=coding) for coding in CODINGS},
        "lists": partial(write_folder, layout="lists"),
        "nested": partial(write_folder, layout="nested"),
        "none": write_unmasked_folder,
    },
    ImageFolder: {"images": write_image_folder},
    Images: {"tar": write_shard, "url": write_image_url},
    Remapped: {"camvid": write_remapped},
}


class Numbered(SegmentationDataset):
    """Images without files, which tell their number: it is the value of every pixel, and decides the mask.

    Args:
        count: Images of train; there are two of val.
        classes: Class names; image i shows class i modulo their number, on all of it.
        size: (height, width).
        masked: How many images of train have a mask; None: all.
    """

    def __init__(
        self,
        count: int = 6,
        classes: tuple[str, ...] = THREE,
        size: tuple[int, int] = (4, 6),
        masked: int | None = None,
    ) -> None:
        super().__init__(Path("numbered"))
        self.count, self.classes, self.size, self.masked = count, classes, size, masked
        self.labels = LabelSpace("numbered", classes)

    def records(self, split: str) -> list[Record]:
        names = [Path(split) / f"{split}_{i}" for i in range(self.count if split == "train" else 2)]
        masked = len(names) if self.masked is None else self.masked
        return [Record(name, name if i < masked else None) for i, name in enumerate(names)]

    def read_image(self, path: Path) -> torch.Tensor:
        return torch.full((3, *self.size), number_of(path.name) % 256, dtype=torch.uint8)

    def read_mask(self, path: Path) -> torch.Tensor:
        return torch.full(self.size, number_of(path.name) % len(self.classes), dtype=torch.uint8)


def number_of(name: str) -> int:
    """The number of an image of ``Numbered``."""
    return int(name.rpartition("_")[2])
