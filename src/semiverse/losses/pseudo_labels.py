"""Labels that a prediction gives itself where a discriminator trusts it (Hung et al., BMVC 2018, section 3.3)."""

from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.upsampling import ScoreMap, argmax


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
