"""Masks that are drawn: from polygons, and from regions that annotators drew and named."""

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from semiverse.data.dataset import Relabeling
from semiverse.files import DataProblem, reading, write_cached
from semiverse.labels import IGNORE, LabelSpace

Polygon = Sequence[tuple[float, float]]  # points (x, y) in pixels

REACH = 1_000_000
"""How far from an image's corner a point may lie, in pixels: beyond, no tool put it there."""
MOST_PIXELS = 2**30
"""Of a mask: more is no image but a slip, and memory would be taken for it before anybody looked."""


def checked_points(
    points: Iterable[tuple[float, float]], where: str, reach: float = REACH
) -> list[tuple[float, float]]:
    """Points that code written in C can be given: it crashes on others, or takes all memory.

    Args:
        points: (x, y) in pixels.
        where: What they are of, for the message.
        reach: Largest distance from 0.

    Raises:
        ValueError: If a coordinate is not finite, or out of reach.
    """
    found = []
    for point in points:
        x, y = (_as_float(part) for part in point)
        if not (math.isfinite(x) and math.isfinite(y)):
            remedy = "remove or redraw it; a script may have divided by zero"
            raise DataProblem(f"{where} has the point ({x}, {y})", "finite coordinates in pixels", remedy)
        if max(abs(x), abs(y)) > reach:
            expected = f"coordinates in pixels, within {reach:.0f} of the image"
            raise DataProblem(f"{where} has the point ({x:g}, {y:g})", expected, "remove or redraw it")
        found.append((x, y))
    return found


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def checked_size(height: object, width: object, where: str) -> tuple[int, int]:
    """(height, width) that a file says of an image, whole numbers as some programs write them: 48.0.

    Raises:
        ValueError: If they are no whole numbers, not positive, or of more pixels than any image has.
    """
    sides = [whole_number(side) for side in (height, width)]
    if None in sides or min(side for side in sides if side is not None) < 1:
        found = f"{where} says height {height!r} and width {width!r}"
        raise DataProblem(found, "whole numbers of pixels, at least 1", "correct the file, or export it again")
    size = (sides[0] or 0, sides[1] or 0)
    if size[0] * size[1] > MOST_PIXELS:
        found = f"{where} says an image of {size[1]}x{size[0]} pixels"
        raise DataProblem(found, f"at most {MOST_PIXELS} pixels", "correct the file, or export it again")
    return size


def whole_number(value: object) -> int | None:
    """A whole number, also one that a file writes as 1.0 or as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value.strip(), re.ASCII):
        return int(value)
    return value if isinstance(value, int) else None


class Patch(NamedTuple):
    """Pixels of a region inside a box around it, so that small objects of large images cost little.

    Args:
        top: First row of the box.
        left: First column of the box.
        pixels: (h, w) bool.
    """

    top: int
    left: int
    pixels: np.ndarray

    def on(self, size: tuple[int, int]) -> np.ndarray:
        """The pixels of the whole image, (H, W) bool."""
        whole = np.zeros(size, dtype=bool)
        height, width = self.pixels.shape
        whole[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return whole


def check_class_names(names: Iterable[str], file: Path) -> None:
    """Refuse a file of annotations that names what no class can be called.

    Raises:
        DataProblem: If so.
    """
    with reading(file, "names that classes can have", "rename them there, or give classes"):
        if distinct := tuple(dict.fromkeys(names)):
            LabelSpace("classes", distinct)


def draw_polygons(
    size: tuple[int, int], shapes: Iterable[tuple[int, Polygon]], background: int, where: str = "a polygon"
) -> Tensor:
    """A mask, (H, W) uint8, of filled polygons, each painted over those before it.

    Pillow decides which pixels belong to a border, as it does in the owners' packages of Cityscapes and IDD.

    Args:
        size: (height, width) in pixels.
        shapes: Value (0..255) and points of each polygon; at least two points, and two make a line.
        background: Value where nothing is painted.
        where: What the polygons are from, for the message.

    Raises:
        ValueError: If a point is not finite, or far from any image.
    """
    height, width = size
    image = Image.new("L", (width, height), background)
    pen = ImageDraw.Draw(image)
    for value, points in shapes:
        pen.polygon(checked_points(points, where), fill=value)
    return torch.from_numpy(np.array(image))


def fill_polygon(points: Polygon, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose middle lies in a polygon, (H, W) bool.

    Args:
        points: (x, y), where (0, 0) is the upper left corner of the first pixel, as annotation tools in browsers count.
        size: (height, width); what lies outside is cut off.
    """
    from skimage.draw import polygon

    covered = np.zeros(size, dtype=bool)
    if len(points) >= 3:
        corners = np.asarray(points, dtype=np.float64) - 0.5
        rows, columns = polygon(corners[:, 1], corners[:, 0], size)  # type: ignore[no-untyped-call]
        covered[rows, columns] = True
    return covered


def drawn_once(file: Path, draw: Callable[[], Tensor]) -> Tensor:
    """A mask, (H, W) uint8, from its file in a cache; drawn, and kept there, if it is not there or damaged.

    Args:
        file: Compressed NumPy (``.npz``, four times as fast to read as a PNG), whose folder is made. Where it cannot be
            written, the mask is drawn every time.
        draw: Makes the mask.
    """
    with suppress(Exception), file.open("rb") as stream, np.load(stream) as content:  # whatever damage makes it raise
        known = np.asarray(content["mask"])
        if known.dtype == np.uint8 and known.ndim == 2 and known.size:
            return torch.from_numpy(known)
    mask = draw()
    packed = io.BytesIO()
    np.savez_compressed(packed, mask=mask.numpy())
    with suppress(OSError):
        write_cached(file, packed.getvalue())
    return mask


Overlap = Literal["order", "small-on-top"]
OtherRegions = Literal["refuse", "ignore", "skip"]


class RegionPainter:
    """Paints named regions into masks.

    Args:
        name: Of the label space.
        classes: Names that regions may have.
        mapping: New name of a class, equal names merge; None ignores the class.
        background: Class of pixels in no region, put before the others unless it is one of them; None: those pixels
            have no label.
        others: What becomes of regions whose name is no class: the file is refused, their pixels have no label, or they
            are taken for not drawn.
        overlap: Which of two regions wins where they overlap: the later one, or the smaller one.

    Raises:
        ValueError: If an option has another value, or ``mapping`` names a class that does not exist.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        mapping: Mapping[str, str | None],
        background: str | None,
        others: OtherRegions,
        overlap: Overlap,
    ) -> None:
        for option, value, choices in (("others", others, OtherRegions), ("overlap", overlap, Overlap)):
            if value not in get_args(choices):
                raise ValueError(f"{option}: {value}; expected {', '.join(get_args(choices))}: choose one")
        added = () if background is None or background in classes else (background,)
        self.classes, self.others, self.overlap = (*added, *classes), others, overlap
        relabeling = Relabeling(LabelSpace(name, self.classes), mapping)
        self.labels = relabeling.labels
        self._ids = {title: relabeling.of_class(title) for title in self.classes}
        self._background = IGNORE if background is None else self._ids[background]

    def paint(
        self, size: tuple[int, int], regions: Iterable[tuple[str | None, np.ndarray | Patch]], where: str
    ) -> Tensor:
        """A mask, (H, W) uint8, in which every pixel has the train id of the region on top, or ``IGNORE``.

        One region is in memory at a time, however many there are.

        Args:
            size: (height, width).
            regions: Name and pixels, (H, W) bool or a part of them, of each region, in the order in which they were
                drawn; None as name: no label there.
            where: What the regions are from, for the message.

        Raises:
            ValueError: If a region has a name that is no class, and ``others`` refuses it.
        """
        mask = np.full(size, self._background, dtype=np.uint8)
        # Where small regions lie on large ones: how large the region is that lies on top.
        areas = np.full(size, np.iinfo(np.int64).max) if self.overlap == "small-on-top" else None
        for name, drawn in regions:
            if name is not None and name not in self._ids:
                if self.others == "refuse":
                    skip = "or say others: ignore (no label there) or others: skip (as if it was not drawn)"
                    remedy = f"add it to classes, correct the file, {skip}"
                    found = f"{where}: a region is called {name!r}"
                    raise DataProblem(found, f"one of {', '.join(self.classes)}", remedy)
                if self.others == "skip":
                    continue
            patch = drawn if isinstance(drawn, Patch) else Patch(0, 0, drawn)
            height, width = patch.pixels.shape
            box, pixels = np.s_[patch.top : patch.top + height, patch.left : patch.left + width], patch.pixels
            if areas is not None:
                area = int(np.count_nonzero(pixels))
                pixels = pixels & (area <= areas[box])  # of equal ones the later
                areas[box][pixels] = area
            mask[box][pixels] = IGNORE if name is None else self._ids.get(name, IGNORE)
        return torch.from_numpy(mask)
