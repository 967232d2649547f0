"""Disagreement of two branches that predict the same classes."""

from torch import Tensor

from semiverse.losses.strips import side_by_side, summed
from semiverse.upsampling import ScoreMap, Strip


def symmetric_divergence(first: ScoreMap, second: ScoreMap, size: tuple[int, int]) -> Tensor:
    """KL(S_1 || S_2) + KL(S_2 || S_1), averaged over all pixels; both branches get its gradient.

    The ablation of Sawatzky et al. in which a second semantic branch replaces the latent one.

    Args:
        first: Logits of one branch, (N, C, h, w), finite.
        second: Logits of the other, (N, C, h, w), finite.
        size: Height and width at which they are compared, (H, W).

    Returns:
        Scalar, at least 0 and 0 where both are alike; float32, or float64 for float64 logits.

    Raises:
        ValueError: If the shapes differ.
    """
    one, two = tuple(first.values.shape), tuple(second.values.shape)
    if one != two:
        raise ValueError(
            f"two branches have logits of shape {one} and {two}; expected the same classes and cells: give logits of "
            "branches alike"
        )
    return summed(side_by_side(first, second), size, _divergence)[0] / (one[0] * size[0] * size[1])


def _divergence(strip: Strip) -> Tensor:
    """Summed Σ (p - q)(log p - log q), for values (images, 2 C, rows, W).

    The gradient of the first branch is p (log p - log q - KL(p || q)) + p - q, that of the second its mirror image.
    """
    first, second = strip.values.chunk(2, dim=1)
    log_p, log_q = first.log_softmax(dim=1), second.log_softmax(dim=1)
    p, q, ratio = log_p.exp(), log_q.exp(), log_p - log_q
    forward, backward = (p * ratio).sum(dim=1, keepdim=True), -(q * ratio).sum(dim=1, keepdim=True)
    first.copy_(p * (ratio - forward) + p - q)
    second.copy_(q * (-ratio - backward) + q - p)
    return (forward + backward).sum()[None]
