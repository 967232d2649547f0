"""Whether a model is right as often as its probabilities say."""

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 15
"""Equal bins of the probability, as in the experiments of Guo et al. (2017)."""


class Calibration(NamedTuple):
    """Agreement of probabilities with how often predictions are right.

    Args:
        error: Expected calibration error, in [0, 1]; NaN without pixels.
        confidence: Mean probability of the predicted classes in each bin, (15,) float64; NaN for an empty bin.
        accuracy: Share of right predictions in each bin, (15,) float64; NaN for an empty bin.
        pixels: Number of pixels in each bin, (15,) int64.
    """

    error: float
    confidence: Tensor
    accuracy: Tensor
    pixels: Tensor


def calibration_sums(prediction: Tensor, confidence: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """What calibration is computed from: sums over the labelled pixels of some images, to be added up.

    Bin m of 1..15 holds probabilities in ((m - 1) / 15, m / 15] (Guo et al. (2017), section 2). Pixels whose
    probability is not a number are left out.

    Args:
        prediction: Predicted classes, of any shape and integer type; a value outside [0, C) is wrong.
        confidence: Probability of each pixel's predicted class, of the same shape, floating point in [0, 1].
        mask: Train ids, of the same shape; pixels with a value outside [0, C), such as ``IGNORE``, are left out.
        num_classes: C.

    Returns:
        Pixels, sum of probabilities and right pixels of each bin, (3, 15) float64.

    Raises:
        ValueError: If the three have different shapes.
    """
    if not prediction.shape == confidence.shape == mask.shape:
        raise ValueError(
            f"prediction, confidence and mask have the shapes {tuple(prediction.shape)}, {tuple(confidence.shape)} and "
            f"{tuple(mask.shape)}; expected equal ones: bring them to the mask's size first"
        )
    counted = (mask >= 0) & (mask < num_classes) & ~confidence.isnan()
    inner_edges = (torch.arange(1, BINS, dtype=torch.float64) / BINS).to(confidence)
    bins = torch.bucketize(confidence, inner_edges, out_int32=True).where(counted, BINS).flatten()
    right = bins[(prediction == mask).flatten()]
    return torch.stack(
        [
            torch.bincount(bins, minlength=BINS + 1)[:BINS],
            torch.bincount(bins, confidence.double().flatten(), minlength=BINS + 1)[:BINS],
            torch.bincount(right, minlength=BINS + 1)[:BINS],
        ]
    )


def calibration(sums: Tensor) -> Calibration:
    """Expected calibration error (Guo et al., ICML 2017, equation 5) and what a reliability diagram shows.

    sum_m |B_m| / n |acc(B_m) - conf(B_m)|, with B_m the pixels of bin m and n all pixels.

    Args:
        sums: Of ``calibration_sums``, added over images, (3, 15).
    """
    pixels, confidence, right = sums.double()
    error = (right - confidence).abs().sum() / pixels.sum()
    return Calibration(float(error), confidence / pixels, right / pixels, pixels.long())
