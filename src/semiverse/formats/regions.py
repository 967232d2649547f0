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


Overlap = Literal["order", "small-on-top"]
"""Which of two regions wins where they overlap: the later one, or the smaller one."""

OtherRegions = Literal["refuse", "ignore", "skip"]
"""What becomes of regions whose name is no class: the file is refused, their pixels have no label, or they are taken
for not drawn."""


class RegionPainter:
    """Paints named regions into masks.

    Args:
        name: Of the label space.
        classes: Names that regions may have.
        mapping: New name of a class, equal names merge; None ignores the class.
        background: Class of pixels in no region, put before the others unless it is one of them; None: those pixels
            have no label.
        others: What becomes of regions whose name is no class.
        overlap: Which region wins where they overlap.

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
        self.classes, self.others, self.overlap = tuple(classes), others, overlap
        if background is not None and background not in self.classes:
            self.classes = (background, *self.classes)
        relabeling = Relabeling(LabelSpace(name, self.classes), mapping)
        self.labels = relabeling.labels
        self._ids = {title: relabeling.of_class(title) for title in self.classes}
        self._background = IGNORE if background is None else self._ids[background]

    def paint(self, size: tuple[int, int], regions: Iterable[tuple[str | None, np.ndarray]], where: str) -> Tensor:
        """A mask in which every pixel has the class of the region on top.

        Args:
            size: (height, width).
            regions: Name and pixels, (H, W) bool, of each region, in the order in which they were drawn; None as name:
                no label there.
            where: What the regions are from, for the message.

        Returns:
            Train ids or ``IGNORE``, (H, W) uint8.

        Raises:
            ValueError: If a region has a name that is no class, and ``others`` refuses it.
        """
        drawn = [(self._id_of(name, where), pixels) for name, pixels in regions if self._is_drawn(name)]
        if self.overlap == "small-on-top":
            drawn.sort(key=lambda region: -int(np.count_nonzero(region[1])))
        mask = np.full(size, self._background, dtype=np.uint8)
        for train_id, pixels in drawn:
            mask[pixels] = train_id
        return torch.from_numpy(mask)

    def _is_drawn(self, name: str | None) -> bool:
        return name is None or name in self._ids or self.others != "skip"

    def _id_of(self, name: str | None, where: str) -> int:
        if name is None:
            return IGNORE
        if name not in self._ids and self.others == "refuse":
            raise DataProblem(
                f"{where}: a region is called {name!r}",
                f"one of {', '.join(self.classes)}",
                "add it to classes, correct the file, or say others: ignore (no label there) or others: skip (as if "
                "it was not drawn)",
            )
        return self._ids.get(name, IGNORE)
