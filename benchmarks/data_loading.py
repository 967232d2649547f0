"""A training sample from files of 1024 x 2048 pixels, brought to half their size, a crop of 512 x 512; one thread.

The reference is what scripts do with Pillow and torchvision: open and decode both files, resize the whole image, crop,
flip, give every id its class in turn, and pass on floats and 64-bit integers. ``png`` and ``jpeg`` read the files, as a
first epoch does (masks are PNG files in both), ``cached`` what the cache made of the PNG files. ``label_mapping`` is
the step from raw ids to train ids alone.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from benchmarks.measure import Goal, compare
from semiverse.data import Augmentation, CachedReader, CropTransform, Reader, Record, Resolution, Sample, Split
from semiverse.data.masks import look_up
from semiverse.datasets import Folder
from semiverse.labels import IGNORE, lookup_table

CLASSES, SIZE, WORKING, CROP = 19, (1024, 2048), (512, 1024), (512, 512)
IDS = {i: i for i in range(CLASSES)} | {IGNORE: IGNORE}


def run() -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loading process
    try:
        with TemporaryDirectory() as folder:
            return _compare_samples(Path(folder))
    finally:
        torch.set_num_threads(threads)


def _compare_samples(folder: Path) -> dict[str, Any]:
    png, jpeg = (_scene(folder / extension, extension) for extension in ("png", "jpg"))
    cached = CachedReader(png, Resolution(0.5), folder / "cache")
    cached.build(png.subset("all"), "the benchmark")
    raw = np.asarray(Image.open(folder / "png" / "masks" / "scene.png"))
    table = lookup_table(IDS)
    return {
        "png": _compare_sample(png, png, Resolution(0.5), Goal(time=1.3)),
        "jpeg": _compare_sample(jpeg, jpeg, Resolution(0.5), Goal(time=1.3)),
        "cached": _compare_sample(png, cached, Resolution(), Goal(time=100)),
        "label_mapping": compare(lambda: one_id_after_the_other(raw), lambda: look_up(table, raw), 15, Goal(time=5)),
    }


def _compare_sample(dataset: Folder, reader: Reader, resolution: Resolution, goal: Goal) -> dict[str, Any]:
    (record,) = dataset.subset("all")
    split = Split(reader, [record], CropTransform(resolution, CROP, Augmentation()))

    def reference() -> tuple[Tensor, Tensor]:
        return plain_sample(record, torch.Generator().manual_seed(0))

    def ours() -> Sample:
        return split.draw(0, torch.Generator().manual_seed(0))[0]

    (image, mask), sample = reference(), ours()
    return compare(reference, ours, rounds=9, goal=goal) | {
        "mean_difference": float((sample.image / 255 - image).abs().mean()),
        "differing_labels": int((sample.mask != mask).sum()),
    }


def plain_sample(record: Record, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Image (3, h, w) float in [0, 1] and mask (h, w) int64; draws what ``CropTransform`` draws, in its order."""
    torch.rand((), generator=generator)  # the scale
    place = torch.rand(2, generator=generator).tolist()
    flip = float(torch.rand((), generator=generator)) < 0.5
    image, mask = Image.open(record.image).convert("RGB"), Image.open(record.mask)
    image = tv.resize(image, list(WORKING), InterpolationMode.BILINEAR)
    mask = tv.resize(mask, list(WORKING), InterpolationMode.NEAREST_EXACT)
    top, left = (int(where * (whole - part + 1)) for where, whole, part in zip(place, WORKING, CROP, strict=True))
    image, mask = tv.crop(image, top, left, *CROP), tv.crop(mask, top, left, *CROP)
    if flip:
        image, mask = tv.horizontal_flip(image), tv.horizontal_flip(mask)
    labels = torch.from_numpy(one_id_after_the_other(np.asarray(mask)).astype(np.int64))
    return tv.to_dtype(tv.to_image(image), torch.float32, scale=True), labels


def one_id_after_the_other(raw: np.ndarray) -> np.ndarray:
    """Train ids of raw ids by one comparison a class."""
    labels = np.full_like(raw, IGNORE)
    for value, label in IDS.items():
        labels[raw == value] = label
    return labels


def _scene(folder: Path, extension: str) -> Folder:
    """One smooth, slightly noisy picture (2.6 MB as PNG file) and its mask of grey ids."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    coarse = Image.fromarray(rng.integers(0, 256, (32, 64, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    noisy = np.asarray(coarse).astype(np.int16) + rng.integers(-1, 2, (height, width, 3))
    blocks = Image.fromarray(rng.integers(0, CLASSES, (32, 64), dtype=np.uint8))
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"scene.{extension}")
    blocks.resize((width, height), Image.NEAREST).save(folder / "masks" / "scene.png")
    return Folder(folder, tuple(f"class {i}" for i in range(CLASSES)))
