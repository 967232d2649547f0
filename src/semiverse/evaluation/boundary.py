"""Boundary IoU: how well contours are met, however large the regions inside them are.

Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021, section 4.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.evaluation.confusion import check_shapes, clamped

DIAGONALS = 0.02
"""Width of a boundary as a share of the image's diagonal; the paper's choice (section 4.3)."""

_OUTSIDE = torch.iinfo(torch.int16).max


def boundary_width(height: int, width: int) -> int:
    """Distance d from the contour up to which pixels are its boundary, for an image of this size; at least one."""
    return max(1, round(DIAGONALS * math.hypot(height, width)))


def boundary_counts(prediction: Tensor, mask: Tensor, num_classes: int, width: int) -> Tensor:
    """Counts of boundary IoU, for each class: |(G_d & G) & (P_d & P)| and |(G_d & G) | (P_d & P)|.

    A pixel is in the boundary of its class if another class, or the outside of the image, is at most ``width`` rows and
    columns away. Distances are thus those of the published code, which erodes ``width`` times by a square of 3 x 3
    pixels; as there, the image is padded with zero, so that its border is a contour of all that touches it. Pixels
    without label are taken out of both maps: they are in no boundary and no contour runs along them, but classes on
    both sides of a strip of them are as near as they are.

    Args:
        prediction: Predicted classes, (N, H, W) of any integer type; values outside [0, C) are a further class that is
            not counted.
        mask: Train ids, (N, H, W) of any integer type; pixels with a value outside [0, C), such as ``IGNORE``, take no
            part.
        num_classes: C, at most 255.
        width: The distance d in pixels, at least 1; see ``boundary_width``.

    Returns:
        Intersection and union, (2, C) int64, to be added over images.

    Raises:
        ValueError: If the two have different shapes.
    """
    check_shapes(prediction, mask)
    maps = torch.stack([clamped(classes, num_classes).to(torch.int16) for classes in (prediction, mask)])
    near = _near_contour(maps, maps[1] < num_classes, width)
    maps = maps.where(near, num_classes)
    found, true = maps
    intersection, found_pixels, true_pixels = (
        torch.bincount(classes.flatten(), minlength=num_classes + 1)[:num_classes]
        for classes in (true.where(found == true, num_classes), found, true)
    )
    return torch.stack([intersection, found_pixels + true_pixels - intersection])


def boundary_iou(counts: Tensor) -> Tensor:
    """Boundary IoU of each class, (C,) float64 in [0, 1], from counts (2, C); NaN for a class without boundary."""
    return counts[0] / counts[1].double()


def _near_contour(maps: Tensor, labeled: Tensor, width: int) -> Tensor:
    """Which labelled pixels another class or the outside is near, (..., H, W) bool.

    That is where the lowest class around a pixel is not the highest: two maps, however many classes there are.
    """
    nothing = torch.iinfo(torch.int16).min
    both = torch.stack([maps, -maps]).masked_fill(~labeled, nothing)
    highest = _highest_within(F.pad(both, [width] * 4, value=_OUTSIDE), width)
    return labeled & (highest[0] != -highest[1])


def _highest_within(values: Tensor, distance: int) -> Tensor:
    """Largest value at most so many rows and columns away: (..., H + 2 d, W + 2 d) → (..., H, W)."""
    for axis in (-2, -1):
        # The largest of 2 n neighbours is the larger one of two largest of n: few steps even for wide windows.
        length, wanted = 1, 2 * distance + 1
        while length < wanted:
            step = min(length, wanted - length)
            remaining = values.shape[axis] - step
            values = torch.maximum(values.narrow(axis, 0, remaining), values.narrow(axis, step, remaining))
            length += step
    return values
