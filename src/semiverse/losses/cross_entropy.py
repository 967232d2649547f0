"""Cross entropy with the labelled pixels of a mask, for one or several channels a class."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.losses.strips import count_labeled, summed
from semiverse.upsampling import ScoreMap, Strip


def cross_entropy(
    scores: ScoreMap,
    mask: Tensor,
    classes: Tensor | None = None,
    total: Tensor | float | None = None,
    weights: Tensor | None = None,
    counts: Tensor | None = None,
) -> Tensor:
    """Mean over labelled pixels of -log P(class of the pixel), with scores upsampled to the mask.

    P(class) is the sum of the softmax probabilities of all channels that belong to the class; with one channel a class
    this is the usual cross entropy. Where channels belong to several classes it is the marginal loss of labels that
    stand for sets of others (NLL+; Bevandic et al., WACV 2022): "vehicle" is any of the cars, buses and trucks.

    Args:
        scores: (N, R, h, w), finite.
        mask: Train ids or ``IGNORE``, (N, H, W) of an integer type.
        classes: Class of each channel, (R,) integer, or which channels belong to each class, (C, R) bool; None: channel
            r is class r.
        total: Divisor instead of the number of labelled pixels in ``mask``, or of the sum of their weights, where
            several processes share one mean.
        weights: What a pixel of each class counts, (C,) floating point; None: all alike.
        counts: What each pixel counts beside that, (N, H, W) floating point; needs ``total``. None: all alike.

    Returns:
        Scalar, 0 with zero gradient where no pixel is labelled; float32, or float64 for float64 scores.

    Raises:
        ValueError: If the mask holds a value that is neither ``IGNORE`` nor the class of a channel, or pixels count
            differently without a total.
    """
    if counts is not None and total is None:
        raise ValueError("pixels count differently, and there is no total; expected what the sum is divided by")
    device = scores.values.device
    classes = torch.arange(scores.values.shape[1]) if classes is None else classes.cpu()
    members = classes.bool() if classes.ndim == 2 else F.one_hot(classes.long()).T.bool()
    labeled: Tensor | float = count_labeled(mask, members.any(dim=1).nonzero().flatten())
    if weights is not None:
        weights = F.pad(weights.to(device), (0, IGNORE + 1 - len(weights)))
        labeled = weighted_pixels(mask, weights)
    divisor = torch.as_tensor(labeled if total is None else total, dtype=torch.float64)
    divisor = torch.where(divisor > 0, divisor, 1.0).to(device, torch.float32)
    surprise = partial(_surprise, mask=mask, rows=_rows_of_classes(members).to(device), weights=weights, counts=counts)
    return summed(scores, mask.shape[-2:], surprise)[0] / divisor


def weighted_pixels(mask: Tensor, weights: Tensor) -> Tensor:
    """Sum of what the labelled pixels of a mask count, a scalar in double precision; ``weights``, (C,), of classes."""
    counts = torch.bincount(mask.flatten(), minlength=IGNORE + 1)[: min(IGNORE, len(weights))]
    return (counts.double() * weights[: len(counts)].to(counts.device, torch.float64)).sum()


def _surprise(strip: Strip, mask: Tensor, rows: Tensor, weights: Tensor | None, counts: Tensor | None) -> Tensor:
    """Summed -log P(class of the pixel), each times the weight w of its class and pixel; its gradient is w (p - q).

    q is the softmax of the channels of the pixel's class among themselves: one-hot where a class has one channel.
    """
    target = mask[strip.images, strip.rows].long()
    valid = (target != IGNORE) if weights is None else weights[target]
    valid = valid[:, None].to(strip.values.dtype)
    if counts is not None:
        valid = valid * counts[strip.images, strip.rows][:, None]
    own = rows[target].movedim(-1, 1)
    missing, own = own < 0, own.clamp(min=0)
    log_p = strip.values.log_softmax(dim=1)
    log_own = log_p.gather(1, own).masked_fill_(missing, -torch.inf)
    log_class = log_own if log_own.shape[1] == 1 else log_own.logsumexp(dim=1, keepdim=True)
    p = torch.exp(log_p, out=strip.values)
    p.scatter_add_(1, own, -(log_own - log_class).exp_()).mul_(valid)
    return -(log_class * valid).sum()[None]


def _rows_of_classes(members: Tensor) -> Tensor:
    """The channels of each class, (C, R) bool → (IGNORE + 1, K): -1 where it has fewer than K, 0 for ``IGNORE``."""
    counts = members.sum(dim=1)
    first = members.byte().argsort(dim=1, descending=True, stable=True)[:, : int(counts.max())]
    table = torch.full((IGNORE + 1, first.shape[1]), -1)
    table[IGNORE] = 0
    table[: len(members)] = first.where(torch.arange(first.shape[1]) < counts[:, None], -1)
    return table
