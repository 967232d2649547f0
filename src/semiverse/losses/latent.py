"""Latent classes: how much they tell about classes, how often both occur together, and how one follows from the other.

Sawatzky et al., "Discovering Latent Classes for Semi-Supervised Semantic Segmentation". Classes and
latent classes of a pixel meet in matrix products over pixels alone; no tensor has an axis for both and one for pixels.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from semiverse.losses.strips import count_labeled, mean_divisor, side_by_side, summed, summed_inside
from semiverse.upsampling import ScoreMap, Strip

# Latent classes that no class predicts would make the logarithm of a mapped probability infinite.
_LEAST_PROBABILITY = 1e-8

Branch = Literal["semantic", "latent", "both"]


def conditional_entropy(scores: ScoreMap, mask: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Entropy of the class given the latent class, H(C|L), over the labelled pixels of a batch (Eqs. 1 to 3).

    With P(c, l) the mean over labelled pixels of 1[y = c] S_l, it is -Σ P(c, l) log P(c|l) in natural logarithms. The
    derivative through P(c|l) cancels, so the gradient is that of a mean cost: -log P(y|l) for each latent class l.

    Args:
        scores: Latent logits, (N, L, h, w), finite.
        mask: Train ids or ``IGNORE``, (N, H, W) of an integer type.
        classes: Number of classes C.

    Returns:
        The entropy, a scalar in [0, H(C)], 0 with zero gradient where no pixel is labelled, and the co-occurrence that
        it was formed from, (C, L), as ``co_occurrence`` gives it; float32, or float64 for float64 scores.

    Raises:
        ValueError: If the mask holds a value that is neither ``IGNORE`` nor a class.
    """
    counts = co_occurrence(scores, mask, classes)
    labeled = count_labeled(mask, torch.arange(classes))
    tiny = torch.finfo(counts.dtype).tiny
    costs = -(counts / counts.sum(dim=0).clamp(min=tiny)).clamp(min=tiny).log()
    return summed(scores, mask.shape[-2:], partial(_mean_costs, mask=mask, costs=costs))[0] / max(labeled, 1), counts


def co_occurrence(scores: ScoreMap, mask: Tensor, classes: int) -> Tensor:
    """How often a class and a latent class meet in a batch: the sum over labelled pixels of 1[y = c] S_l.

    Args:
        scores: Latent logits, (N, L, h, w), finite.
        mask: Train ids or ``IGNORE``, (N, H, W) of an integer type.
        classes: Number of classes C.

    Returns:
        (C, L), at least 0, without gradient; it sums to the number of labelled pixels.
    """
    return summed(scores.detach(), mask.shape[-2:], partial(_count, mask=mask, classes=classes))


def latent_given_class(occurrence: Tensor) -> Tensor:
    """P(l|c) of a co-occurrence, (C, L) → (C, L): rows sum to 1 (Eq. 9); a class never seen has 1 / L everywhere."""
    total = occurrence.sum(dim=1, keepdim=True)
    return torch.where(total > 0, occurrence / total, 1 / occurrence.shape[1])


def effective_latent_classes(probabilities: Tensor, threshold: float) -> int:
    """Latent classes that some class predicts: P(l|c), (C, L) → the number of l with max_c P(l|c) > threshold."""
    return int((probabilities.amax(dim=0) > threshold).sum())


def consistency(
    semantic: ScoreMap,
    latent: ScoreMap,
    probabilities: Tensor,
    size: tuple[int, int],
    gradient: Branch = "semantic",
    mask: Tensor | None = None,
    total: float | None = None,
) -> Tensor:
    """Cross entropy of the latent classes that the classes imply, Σ_c P(l|c) S_c, with the latent classes S_l (Eq. 10).

    The paper's text sends the gradient to the latent branch, its figures and its purpose to the semantic one; the
    latter is the default here.

    Args:
        semantic: Logits of the classes, (N, C, h, w), finite.
        latent: Logits of the latent classes, (N, L, h, w), finite.
        probabilities: P(l|c), (C, L), rows sum to 1; no gradient goes there.
        size: Height and width at which both are compared, (H, W).
        gradient: Which branch learns from it.
        mask: (N, H, W); where it is ``IGNORE``, beyond the image, pixels do not count. None: all do.
        total: Divisor instead of the number of pixels that count, where several processes share one mean.

    Returns:
        Scalar mean over the pixels that count, at least the mean entropy of S_l there; float32, or float64 for float64
        logits.

    Raises:
        ValueError: If ``probabilities`` does not fit the numbers of channels, or there is no such branch.
    """
    classes, latents = semantic.values.shape[1], latent.values.shape[1]
    if tuple(probabilities.shape) != (classes, latents) or gradient not in ("semantic", "latent", "both"):
        raise ValueError(
            f"consistency got {classes} classes, {latents} latent classes, P(l|c) of shape "
            f"{tuple(probabilities.shape)} and gradient {gradient!r}; expected ({classes}, {latents}) and semantic, "
            "latent or both: give the logits in this order"
        )
    semantic = semantic.detach() if gradient == "latent" else semantic
    latent = latent.detach() if gradient == "semantic" else latent
    scores = side_by_side(semantic, latent)
    disagreement = partial(_disagreement, mapping=probabilities.detach().to(scores.values), mask=mask)
    return summed(scores, size, disagreement)[0] / mean_divisor(size, len(scores.values), mask, total)


def symmetric_divergence(
    first: ScoreMap,
    second: ScoreMap,
    size: tuple[int, int],
    mask: Tensor | None = None,
    total: float | None = None,
) -> Tensor:
    """KL(S_1 || S_2) + KL(S_2 || S_1), averaged over the pixels that count; both branches get its gradient.

    The ablation of Sawatzky et al. in which a second semantic branch replaces the latent one.

    Args:
        first: Logits of one branch, (N, C, h, w), finite.
        second: Logits of the other, (N, C, h, w), finite.
        size: Height and width at which they are compared, (H, W).
        mask: As in ``consistency``.
        total: As in ``consistency``.

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
    divergence = summed(side_by_side(first, second), size, partial(_divergence, mask=mask))[0]
    return divergence / mean_divisor(size, one[0], mask, total)


def _one_hot(strip: Strip, mask: Tensor, classes: int) -> Tensor:
    """Labels of the strip's pixels, (images, C, pixels), in the type of its values; zero where ignored."""
    labels = mask[strip.images, strip.rows].flatten(1)[:, None]
    return (labels == torch.arange(classes, device=mask.device)[:, None]).to(strip.values.dtype)


def _count(strip: Strip, mask: Tensor, classes: int) -> Tensor:
    """Summed 1[y = c] S_l, (C, L)."""
    q = strip.values.softmax(dim=1).flatten(2)
    return torch.bmm(_one_hot(strip, mask, classes), q.transpose(1, 2)).sum(dim=0)


def _mean_costs(strip: Strip, mask: Tensor, costs: Tensor) -> Tensor:
    """Summed Σ_l S_l cost(y, l), with costs (C, L) held fixed; its gradient is S_l (cost - mean cost)."""
    q = strip.values.softmax(dim=1)
    cost = _mapped(costs.T, _one_hot(strip, mask, len(costs))).view_as(q)
    mean = (q * cost).sum(dim=1, keepdim=True)
    torch.mul(q, cost.sub_(mean), out=strip.values)
    return mean.sum()[None]


def _disagreement(strip: Strip, mapping: Tensor, mask: Tensor | None) -> Tensor:
    """Summed -Σ_l S_l log Σ_c P(l|c) S_c, for values (images, C + L, rows, W) of both branches."""
    semantic, latent = torch.split(strip.values, list(mapping.shape), dim=1)
    p, q = semantic.softmax(dim=1), latent.softmax(dim=1)
    implied = _mapped(mapping.T, p.flatten(2)).view_as(q)
    log_implied = implied.clamp(min=_LEAST_PROBABILITY).log_()
    loss = (q * log_implied).sum(dim=1, keepdim=True).neg_()
    # Below the least probability the loss is constant.
    slope = torch.where(implied >= _LEAST_PROBABILITY, q / implied, 0.0).neg_()
    slope_of_class = _mapped(mapping, slope.flatten(2)).view_as(p)
    mean_slope = (p * slope_of_class).sum(dim=1, keepdim=True)
    torch.mul(p, slope_of_class.sub_(mean_slope), out=semantic)
    torch.mul(q, log_implied.add_(loss).neg_(), out=latent)
    return summed_inside(strip, [loss], mask)


def _mapped(matrix: Tensor, maps: Tensor) -> Tensor:
    """A matrix (A, B) applied to the channels of every pixel: (N, B, pixels) → (N, A, pixels)."""
    return torch.bmm(matrix.expand(len(maps), -1, -1), maps)


def _divergence(strip: Strip, mask: Tensor | None) -> Tensor:
    """Summed Σ (p - q)(log p - log q), for values (images, 2 C, rows, W).

    The gradient of the first branch is p (log p - log q - KL(p || q)) + p - q, that of the second its mirror image.
    """
    first, second = strip.values.chunk(2, dim=1)
    log_p, log_q = first.log_softmax(dim=1), second.log_softmax(dim=1)
    p, q, ratio = log_p.exp(), log_q.exp(), log_p - log_q
    forward, backward = (p * ratio).sum(dim=1, keepdim=True), -(q * ratio).sum(dim=1, keepdim=True)
    first.copy_(p * (ratio - forward) + p - q)
    second.copy_(q * (-ratio - backward) + q - p)
    return summed_inside(strip, [forward + backward], mask)
