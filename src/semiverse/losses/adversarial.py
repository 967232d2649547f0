"""What a discriminator is trained with, and what is trained against it.

Hung et al., "Adversarial Learning for Semi-Supervised Semantic Segmentation", BMVC 2018: section 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.upsampling import full_precision

REAL, FAKE = 1.0, 0.0
"""What a discriminator says of maps of labels, and of predictions."""


def adversarial_loss(
    logits: Tensor,
    label: float,
    mask: Tensor | None = None,
    size: tuple[int, int] | None = None,
    least_squares: bool = False,
    align_corners: bool = True,
) -> Tensor:
    """How far a discriminator's judgement is from one label for all pixels.

    Args:
        logits: Of the discriminator, (N, 1, h, w).
        label: ``REAL`` or ``FAKE``.
        mask: Train ids or ``IGNORE``, (N, H, W); ignored pixels do not count. None: all pixels do.
        size: Height and width that judgements are upsampled to; None: those of the mask, or their own without one.
        least_squares: (logit - label)² instead of the logistic loss.
        align_corners: As in ``torch.nn.functional.interpolate``.

    Returns:
        Scalar mean, 0 with zero gradient where no pixel counts; float32, or float64 for float64 logits.

    Raises:
        ValueError: If mask and judgements differ in number or size.
    """
    height, width = size or (logits if mask is None else mask).shape[-2:]
    expected = (len(logits), height, width)
    if mask is not None and tuple(mask.shape) != expected:
        raise ValueError(
            f"judgements got a mask of shape {tuple(mask.shape)}; expected {expected}: give the mask of the judged "
            "images, or leave out the size"
        )
    with torch.autocast(logits.device.type, enabled=False):
        judgement = judged(logits, (height, width), align_corners)
        target = torch.full_like(judgement, label)
        criterion = F.mse_loss if least_squares else F.binary_cross_entropy_with_logits
        losses = criterion(judgement, target, reduction="none")[:, 0]
        if mask is None:
            return losses.mean()
        ignored = mask == IGNORE
        return losses.masked_fill(ignored, 0.0).sum() / (~ignored).sum().clamp(min=1)


def one_hot_map(mask: Tensor, classes: int) -> Tensor:
    """Labels as the map of a perfect prediction: (N, H, W) → (N, C, H, W) float32 in {0, 1}, zero where ignored."""
    return (mask[:, None] == torch.arange(classes, device=mask.device)[:, None, None]).float()


def judged(logits: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Judgements upsampled to ``size`` in full precision: (N, 1, h, w) → (N, 1, H, W)."""
    logits = full_precision(logits)
    if logits.shape[-2:] == torch.Size(size):
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=align_corners)
