"""What a teacher's scores become: a label for every pixel, and how much it counts."""

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
        sure: Where they are to be learned, (N, H, W) bool, or how much each counts, in [0, 1].
    """

    mask: Tensor
    sure: Tensor

    @property
    def learned(self) -> Tensor:
        """The mask with ``IGNORE`` where it does not count, (N, H, W) uint8."""
        return self.mask.masked_fill(self.sure == 0, IGNORE)

    @property
    def counts(self) -> Tensor | None:
        """How much each counts, (N, H, W); None: all that are learned alike."""
        return None if self.sure.dtype == torch.bool else self.sure


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


def smooth_labels(mask: Tensor, confidence: Tensor, moments: Tensor) -> Labels:
    """All pixels count, the less the further their confidence lies below its mean (SoftMatch; Chen et al., ICLR 2023).

    A pixel of confidence c below the mean m counts exp(-(c - m)^2 / (2 v / 4)), others count 1.

    Args:
        mask: Predicted train ids, or ``IGNORE``, (N, H, W).
        confidence: Their probabilities, (N, H, W).
        moments: Moving mean m and variance v of the confidence, (2,).
    """
    below = (confidence.double() - moments[0]).clamp(max=0)
    counts = torch.exp(-below.square() / (2 * moments[1] / 4)).to(confidence.dtype)
    return Labels(mask, counts.masked_fill(mask == IGNORE, 0))


def note_moments(moments: Tensor, mask: Tensor, confidence: Tensor) -> None:
    """Move mean and variance of the confidence, (2,), towards those of a batch: of all pixels inside its images."""
    inside = confidence[mask != IGNORE].double()
    sums = torch.stack([torch.ones_like(inside).sum(), inside.sum(), inside.square().sum()])
    if process_count() > 1:
        all_reduce(sums)
    count, total, squares = sums
    if count > 1:
        mean = total / count
        variance = (squares - total * mean).clamp(min=0) / (count - 1)
        moments.copy_(torch.lerp(torch.stack([mean, variance]).to(moments), moments, MOMENTUM))


def labels_by_share(mask: Tensor, confidence: Tensor, threshold: float) -> Labels:
    """All pixels count alike: as much as is the share of the batch whose confidence reaches a threshold (DACS)."""
    inside = mask != IGNORE
    found = torch.stack([(inside & (confidence >= threshold)).sum(), inside.sum()]).double()
    if process_count() > 1:
        all_reduce(found)
    share = (found[0] / found[1].clamp(min=1)).to(confidence.dtype)
    return Labels(mask, inside * share)


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
