"""Masks that are drawn: from polygons, and from regions that annotators drew and named."""

import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from semiverse.data.dataset import Relabeling
from semiverse.files import DataProblem, write_cached
from semiverse.labels import IGNORE, LabelSpace

Polygon = Sequence[tuple[float, float]]  # points (x, y) in pixels


def draw_polygons(size: tuple[int, int], shapes: Iterable[tuple[int, Polygon]], background: int) -> Tensor:
    """A mask, (H, W) uint8, of filled polygons, each painted over those before it.

    Pillow decides which pixels belong to a border, as it does in the owners' packages of Cityscapes and IDD.

    Args:
        size: (height, width) in pixels.
        shapes: Value (0..255) and points of each polygon; at least two points, and two make a line.
        background: Value where nothing is painted.
    """
    height, width = size
    image = Image.new("L", (width, height), background)
    pen = ImageDraw.Draw(image)
    for value, points in shapes:
        pen.polygon([(x, y) for x, y in points], fill=value)
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
    damage = (ValueError, EOFError, KeyError, BadZipFile, zlib.error)
    with suppress(OSError, *damage), file.open("rb") as stream, np.load(stream) as content:
        return torch.from_numpy(content["mask"])
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

    def paint(self, size: tuple[int, int], regions: Iterable[tuple[str | None, np.ndarray]], where: str) -> Tensor:
        """A mask, (H, W) uint8, in which every pixel has the train id of the region on top, or ``IGNORE``.

        Args:
            size: (height, width).
            regions: Name and pixels, (H, W) bool, of each region, in the order in which they were drawn; None as name:
                no label there.
            where: What the regions are from, for the message.

        Raises:
            ValueError: If a region has a name that is no class, and ``others`` refuses it.
        """
        drawn = []
        for name, pixels in regions:
            if name is not None and name not in self._ids and self.others == "refuse":
                skip = "or say others: ignore (no label there) or others: skip (as if it was not drawn)"
                remedy = f"add it to classes, correct the file, {skip}"
                found = f"{where}: a region is called {name!r}"
                raise DataProblem(found, f"one of {', '.join(self.classes)}", remedy)
            if name is None or name in self._ids or self.others != "skip":
                drawn.append((IGNORE if name is None else self._ids.get(name, IGNORE), pixels))
        if self.overlap == "small-on-top":
            drawn.sort(key=lambda region: -int(np.count_nonzero(region[1])))
        mask = np.full(size, self._background, dtype=np.uint8)
        for train_id, pixels in drawn:
            mask[pixels] = train_id
        return torch.from_numpy(mask)
