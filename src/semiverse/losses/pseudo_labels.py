"""Labels that a prediction gives itself where a discriminator trusts it (Hung et al., BMVC 2018, section 3.3)."""

import torch
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.losses.adversarial import judged
from semiverse.losses.cross_entropy import cross_entropy
from semiverse.upsampling import argmax


def pseudo_labels(
    scores: Tensor, judgement: Tensor, size: tuple[int, int], threshold: float, align_corners: bool = True
) -> Tensor:
    """Predictions where a discriminator takes them for labels, ``IGNORE`` elsewhere.

    Args:
        scores: Logits of the classes, (N, C, h, w).
        judgement: Logits of the discriminator, (N, 1, h', w').
        size: Height and width wanted, (H, W).
        threshold: Least confidence of the discriminator, in [0, 1]; 0.2 in the paper.
        align_corners: As in ``torch.nn.functional.interpolate``.

    Returns:
        Train ids or ``IGNORE``, (N, H, W) uint8, without gradient.
    """
    with torch.autocast(scores.device.type, enabled=False):
        confidence = judged(judgement.detach(), size, align_corners)[:, 0].sigmoid()
    return argmax(scores, size, align_corners).masked_fill_(~(confidence >= threshold), IGNORE)


def pseudo_label_loss(
    scores: Tensor, judgement: Tensor, size: tuple[int, int], threshold: float, align_corners: bool = True
) -> Tensor:
    """Cross entropy with ``pseudo_labels``, which are constants; the arguments are theirs.

    Returns:
        Scalar mean over the pixels that the discriminator trusts, 0 with zero gradient where there are none.
    """
    labels = pseudo_labels(scores, judgement, size, threshold, align_corners)
    return cross_entropy(scores, labels, align_corners=align_corners)
