"""What a discriminator is trained with, what is trained against it, and labels where it trusts a prediction.

Hung et al., "Adversarial Learning for Semi-Supervised Semantic Segmentation", BMVC 2018: section 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.upsampling import ScoreMap, argmax, full_precision

REAL, FAKE = 1.0, 0.0
"""What a discriminator says of maps of labels, and of predictions."""


def adversarial_loss(
    judgement: Tensor, label: float, mask: Tensor | None = None, least_squares: bool = False
) -> Tensor:
    """How far a discriminator's judgement is from one label for all pixels.

    Args:
        judgement: Logits of the discriminator, (N, 1, H, W).
        label: ``REAL`` or ``FAKE``.
        mask: (N, H, W); pixels that are ``IGNORE``, without label or beyond the image, do not count. None: all do.
        least_squares: (logit - label)² instead of the logistic loss.

    Returns:
        Scalar mean, 0 with zero gradient where no pixel counts; float32, or float64 for float64 logits.

    Raises:
        ValueError: If mask and judgements differ in number or size.
    """
    judgement = full_precision(judgement)
    expected = (len(judgement), *judgement.shape[-2:])
    if mask is not None and tuple(mask.shape) != expected:
        raise ValueError(
            f"judgements got a mask of shape {tuple(mask.shape)}; expected {expected}: give the mask of the judged "
            "images, and judgements at its size"
        )
    with torch.autocast(judgement.device.type, enabled=False):
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


def pseudo_labels(scores: ScoreMap, judgement: ScoreMap, size: tuple[int, int], threshold: float) -> Tensor:
    """Predictions where a discriminator takes them for labels, ``IGNORE`` elsewhere.

    Args:
        scores: Logits of the classes, (N, C, h, w).
        judgement: Logits of the discriminator, (N, 1, h', w').
        size: Height and width wanted, (H, W).
        threshold: Least confidence of the discriminator, in [0, 1]; 0.2 in the paper.

    Returns:
        Train ids or ``IGNORE``, (N, H, W) uint8, without gradient.
    """
    confidence = judgement.detach().at(size)[:, 0].sigmoid()
    return argmax(scores, size).masked_fill_(~(confidence >= threshold), IGNORE)
