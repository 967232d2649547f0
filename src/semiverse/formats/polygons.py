"""Masks that are drawn from polygons."""

import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from semiverse.files import write_cached

Polygon = Sequence[tuple[float, float]]
"""Points (x, y) in pixels."""


def draw_polygons(size: tuple[int, int], shapes: Iterable[tuple[int, Polygon]], background: int) -> Tensor:
    """A mask of filled polygons, each painted over those before it.

    Pillow decides which pixels belong to a border, as it does in the owners' packages of Cityscapes and IDD.

    Args:
        size: (height, width) in pixels.
        shapes: Value (0..255) and points of each polygon; at least two points, and two make a line.
        background: Value where nothing is painted.

    Returns:
        (H, W) uint8.
    """
    height, width = size
    image = Image.new("L", (width, height), background)
    pen = ImageDraw.Draw(image)
    for value, points in shapes:
        pen.polygon([(x, y) for x, y in points], fill=value)
    return torch.from_numpy(np.array(image))


def drawn_once(file: Path, draw: Callable[[], Tensor]) -> Tensor:
    """A mask from its file in a cache; drawn, and kept there, if it is not there or damaged.

    Args:
        file: Compressed NumPy (``.npz``, four times as fast to read as a PNG), whose folder is made. Where it cannot be
            written, the mask is drawn every time.
        draw: Makes the mask, (H, W) uint8.

    Returns:
        (H, W) uint8.
    """
    damage = (ValueError, EOFError, KeyError, BadZipFile, zlib.error)
    with suppress(OSError, *damage), file.open("rb") as stream, np.load(stream) as content:
        return torch.from_numpy(content["mask"])
    mask = draw()
    packed = io.BytesIO()
    np.savez_compressed(packed, mask=mask.numpy())
    with suppress(OSError):
        write_cached(file, packed.getvalue())
    return mask
