"""How many pixels a mean is over: those of all processes that share a batch."""

import torch
from torch import Tensor

from semiverse.distributed import mean_over_processes
from semiverse.labels import IGNORE
from semiverse.losses import weighted_pixels


def labeled_pixels(mask: Tensor, weights: Tensor | None = None) -> float:
    """Labelled pixels of a batch, or the sum of what they count if classes have ``weights``, (C,).

    With several processes it is the mean over them, so that they share one mean loss.
    """
    return shared_total(counted_pixels(mask, weights))


def counted_pixels(mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Labelled pixels of this process's share of a batch, or the sum of what they count, a scalar in double."""
    pixels = (mask != IGNORE).sum() if weights is None else weighted_pixels(mask, weights)
    return pixels.double()


def shared_total(count: Tensor) -> float:
    """The mean over processes of what each has counted, by which all of them divide; 1 where there is nothing."""
    mean = float(mean_over_processes(count))
    return mean if mean > 0 else 1.0


def image_pixels(images: Tensor, padding: Tensor | None) -> float:
    """Pixels of a batch of images, (N, 3, H, W), without their padding, as ``labeled_pixels`` counts labelled ones."""
    return labeled_pixels(torch.zeros_like(images[:, 0]) if padding is None else padding)
