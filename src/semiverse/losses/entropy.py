"""Entropies of score maps: of every pixel, and of the mean over all cells."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.losses.strips import mean_divisor, summed, summed_inside
from semiverse.upsampling import ScoreMap, Strip, full_precision


def entropy(
    scores: ScoreMap,
    size: tuple[int, int],
    groups: Sequence[int],
    mask: Tensor | None = None,
    total: float | None = None,
) -> Tensor:
    """Mean entropy of the upsampled scores, for each group of channels.

    Kalluri et al. (2019), Eqs. 3 and 4: the entropy of the softmax of the similarities of a pixel with the label
    embeddings of one domain, natural logarithm, averaged over all pixels. The similarity is linear, so scores may be
    formed at feature resolution and upsampled; softmax and entropy are taken after upsampling.

    Args:
        scores: Similarities, (N, R, h, w), finite.
        size: Height and width at which the entropy is taken, (H, W).
        groups: Number of consecutive channels of each group; they sum to R. Each group has its own softmax.
        mask: (N, H, W); where it is ``IGNORE``, beyond the image, pixels do not count. None: all do.
        total: Divisor instead of the number of pixels that count, where several processes share one mean.

    Returns:
        Entropies, (len(groups),), in [0, log(size of the group)], 0 where no pixel counts; float32, or float64 for
        float64 scores.

    Raises:
        ValueError: If the groups do not cover the channels.
    """
    _check_groups(scores, groups)
    negative_entropies = summed(scores, size, partial(_negative_entropies, groups=groups, mask=mask), groups)
    return negative_entropies / -mean_divisor(size, len(scores.values), mask, total)


def assignment_entropy(scores: ScoreMap, groups: Sequence[int], mask: Tensor | None = None) -> Tensor:
    """Entropy of the mean assignment of all cells, for each group of channels.

    Large where the cells spread over all labels, zero where every cell goes to the same one; maximising it keeps the
    assignments of ``entropy`` from collapsing.

    Args:
        scores: Similarities, (N, R, h, w); they are not upsampled.
        groups: As in ``entropy``.
        mask: (N, H, W); cells of which the pixel in the middle is ``IGNORE`` do not count (``ScoreMap.at_cells``).

    Returns:
        Entropies, (len(groups),), in [0, log(size of the group)], 0 where no cell counts.
    """
    _check_groups(scores, groups)
    with torch.autocast(scores.values.device.type, enabled=False):
        parts = torch.split(full_precision(scores.values), list(groups), dim=1)
        if mask is None:
            means = [part.softmax(dim=1).mean(dim=(0, 2, 3)) for part in parts]
        else:
            valid = (scores.at_cells(mask) != IGNORE)[:, None]
            means = [(part.softmax(dim=1) * valid).sum(dim=(0, 2, 3)) / valid.sum().clamp(min=1) for part in parts]
        return torch.stack([-torch.xlogy(mean, mean).sum() for mean in means])


def _negative_entropies(strip: Strip, groups: Sequence[int], mask: Tensor | None) -> Tensor:
    """Summed -H = p log p of each group; its gradient is p (log p + H)."""
    losses = []
    for values in torch.split(strip.values, list(groups), dim=1):
        log_p = values.log_softmax(dim=1)
        p = torch.exp(log_p, out=values)
        p_log_p = log_p.mul_(p)
        negative_entropy = p_log_p.sum(dim=1, keepdim=True)
        torch.addcmul(p_log_p, p, negative_entropy, value=-1, out=values)
        losses.append(negative_entropy)
    return summed_inside(strip, losses, mask)


def _check_groups(scores: ScoreMap, groups: Sequence[int]) -> None:
    channels = scores.values.shape[1]
    if sum(groups) != channels or min(groups, default=0) < 1:
        raise ValueError(
            f"groups {list(groups)} sum to {sum(groups)}, but the scores have {channels} channels; "
            "give the number of label rows of each domain, in the order of the channels"
        )
