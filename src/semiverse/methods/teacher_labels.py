"""What a teacher's scores become: a label for every pixel, and where it is sure enough to be learned."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed import all_reduce

from semiverse.distributed import process_count
from semiverse.labels import IGNORE
from semiverse.upsampling import ScoreMap, argmax_with_confidence

MOMENTUM = 0.99
"""Of the mean confidence in each class; a training of more than some thousand steps could have 0.999."""


class Labels(NamedTuple):
    """What a teacher says of images, or their true labels.

    Args:
        mask: Train ids, or ``IGNORE`` beyond the image, (N, H, W) uint8.
        sure: Where they are to be learned, (N, H, W) bool.
    """

    mask: Tensor
    sure: Tensor

    @property
    def learned(self) -> Tensor:
        """The mask with ``IGNORE`` where it is not sure, (N, H, W) uint8."""
        return self.mask.masked_fill(~self.sure, IGNORE)


def predicted(logits: ScoreMap, images: Tensor, padding: Tensor | None, classes: int) -> tuple[Tensor, Tensor]:
    """The likeliest of so many classes at every pixel of images, (N, 3, H, W), and its probability.

    Returns:
        Train ids, (N, H, W) uint8, ``IGNORE`` in the padding and where a none class is likeliest; (N, H, W) in (0, 1].
    """
    mask, confidence = argmax_with_confidence(logits, (images.shape[-2], images.shape[-1]))
    mask = mask.masked_fill(mask >= classes, IGNORE)  # a none class, or no number
    return (mask if padding is None else mask.masked_fill(padding == IGNORE, IGNORE)), confidence


def sure_from(mask: Tensor, confidence: Tensor, thresholds: Tensor) -> Labels:
    """Labels that are sure where the confidence, (N, H, W), reaches the threshold of their class, (C,)."""
    least = F.pad(thresholds.to(confidence), (0, IGNORE + 1 - len(thresholds)))
    return Labels(mask, (confidence >= least[mask.long()]) & (mask != IGNORE))


def note_confidence(mean: Tensor, mask: Tensor, confidence: Tensor) -> None:
    """Move the mean confidence in each class, (C,), towards that of the pixels predicted as it; others stay."""
    inside = mask != IGNORE
    ones = torch.ones_like(confidence[inside], dtype=torch.float64)
    found = torch.stack(
        [torch.bincount(mask[inside], weights, len(mean)) for weights in (confidence[inside].double(), ones)]
    )
    if process_count() > 1:
        all_reduce(found)
    seen = found[1] > 0
    mean[seen] = torch.lerp((found[0] / found[1].clamp(min=1)).to(mean), mean, MOMENTUM)[seen]


def class_thresholds(mean: Tensor, threshold: float, floor: float | None) -> Tensor:
    """Least confidence of each class, (C,): ``threshold`` times its mean confidence over the largest such mean.

    That is FreeMatch's rule (Wang et al., ICLR 2023) by confidence instead of by probability, as rare is not unsure.

    Args:
        mean: Mean confidence in each class, (C,).
        threshold: The largest of them.
        floor: The least of them; None: all are ``threshold``.
    """
    if floor is None:
        return torch.full_like(mean, threshold)
    return (threshold * mean / mean.max()).clamp(min(floor, threshold), threshold)
