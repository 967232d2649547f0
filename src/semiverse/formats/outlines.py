"""From a mask to the regions that annotation tools edit: connected pixels of one class, and polygons around them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semiverse.labels import IGNORE

TOLERANCE = 0.35
"""Pixels by which simplified polygons may leave the border: less than the sqrt(2) / 4 from it to any pixel's middle."""
CENTRES = 1 - 1e-6
"""The height of a region, 1 inside and 0 outside, at which its contour runs through the middles of its last pixels."""


@dataclass(frozen=True)
class Region:
    """Connected pixels of one class.

    Args:
        train_id: Of the class, or ``IGNORE``.
        confidence: Mean over its pixels, in [0, 1].
        corner: (left, top) of the smallest rectangle around it.
        pixels: Its pixels in that rectangle, (h, w) bool.
        filled: The same with its holes.
    """

    train_id: int
    confidence: float
    corner: tuple[int, int]
    pixels: np.ndarray
    filled: np.ndarray

    def polygon(self) -> list[tuple[float, float]]:
        """Points (x, y) around it and its holes, where (0, 0) is the corner of the first pixel.

        Exactly its pixels, and those of its holes, have their middles inside.
        """
        return self._traced(0.5, TOLERANCE, 0.5)

    def inner_polygon(self) -> list[tuple[float, float]]:
        """Points (x, y) through the middles of its outermost pixels, whole numbers where (0, 0) is the first middle.

        A program that fills polygons and draws their edges, as Labelme does, paints exactly its pixels and its holes.
        """
        points = [(float(round(x)), float(round(y))) for x, y in self._traced(CENTRES, 1e-3, 0.0)]
        return [*points, *points[-1:] * (3 - len(points))]  # a polygon has three points

    def _traced(self, level: float, tolerance: float, middle: float) -> list[tuple[float, float]]:
        """The outer contour, by where the middle of the first pixel is."""
        from skimage.measure import approximate_polygon, find_contours  # a second that masks alone do not need

        contour = max(find_contours(np.pad(self.filled.astype(float), 1), level), key=len)  # type: ignore[no-untyped-call]
        # The last point is the first.
        traced = approximate_polygon(contour, tolerance)[:-1] - 1 + middle  # type: ignore[no-untyped-call]
        left, top = self.corner
        return [(float(x) + left, float(y) + top) for y, x in traced]

    def runs(self, size: tuple[int, int]) -> list[int]:
        """Lengths of other pixels and its own in turn, down the columns of an image of this (height, width).

        COCO's uncompressed run lengths: the first is of other pixels, and may be 0.
        """
        rows, columns = np.nonzero(self.pixels)
        places = np.sort((columns + self.corner[0]) * size[0] + rows + self.corner[1])
        breaks = np.diff(places) > 1
        bounds = np.stack([places[np.append(True, breaks)], places[np.append(breaks, True)] + 1], axis=1).ravel()
        lengths: list[int] = np.diff(bounds, prepend=0, append=size[0] * size[1]).tolist()
        return lengths


def regions_of(mask: np.ndarray, confidence: np.ndarray) -> Iterator[Region]:
    """Regions of a mask, those that lie in holes of others after them.

    Painted in this order, with their holes filled, they give the mask again: pixels without a label are a region of
    ``IGNORE`` too, except for those that reach the border of the image, as no region surrounds them.

    Args:
        mask: (H, W) train ids or ``IGNORE``.
        confidence: (H, W) in [0, 1].
    """
    from scipy.ndimage import binary_fill_holes
    from skimage.measure import label, regionprops

    numbered = label(mask, background=-1, connectivity=1)  # type: ignore[no-untyped-call]
    total = np.bincount(numbered.ravel(), weights=confidence.ravel().astype(np.float64))
    found = []
    for part in regionprops(numbered):  # type: ignore[no-untyped-call]
        top, left, bottom, right = part.bbox
        train_id = int(mask[tuple(part.coords[0])])
        at_border = top == 0 or left == 0 or bottom == mask.shape[0] or right == mask.shape[1]
        if train_id != IGNORE or not at_border:
            filled = binary_fill_holes(part.image, np.ones((3, 3)))
            mean = float(total[part.label] / np.count_nonzero(part.image))
            found.append(Region(train_id, round(mean, 4), (left, top), part.image, filled))
    yield from sorted(found, key=lambda region: -int(np.count_nonzero(region.filled)))
