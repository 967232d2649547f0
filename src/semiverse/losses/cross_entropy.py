"""Cross entropy with the labelled pixels of a mask, for one or several channels a class."""

from functools import partial

import torch
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.losses.strips import KnownGradient, count_labeled, walk
from semiverse.upsampling import Strip, full_precision


def cross_entropy(
    scores: Tensor,
    mask: Tensor,
    row_classes: Tensor | None = None,
    total: Tensor | float | None = None,
    align_corners: bool = False,
    zero_border: bool = False,
) -> Tensor:
    """Mean over labelled pixels of -log P(class of the pixel), with scores upsampled to the mask.

    P(class) is the sum of the softmax probabilities of all channels that belong to the class; with one channel a class
    this is the usual cross entropy.

    Args:
        scores: (N, R, h, w), finite.
        mask: Train ids or ``IGNORE``, (N, H, W) of an integer type.
        row_classes: Class of each channel, (R,) integer; None: channel r is class r.
        total: Divisor instead of the number of labelled pixels in ``mask``, where several processes share one mean.
        align_corners: As in ``torch.nn.functional.interpolate``.
        zero_border: Outside is zero, as in the frozen transposed convolution of dilated residual networks.

    Returns:
        Scalar, 0 with zero gradient where no pixel is labelled; float32, or float64 for float64 scores.

    Raises:
        ValueError: If the mask holds a value that is neither ``IGNORE`` nor the class of a channel.
    """
    classes = torch.arange(scores.shape[1]) if row_classes is None else row_classes.cpu()
    labeled = count_labeled(mask, classes)
    divisor = torch.as_tensor(labeled if total is None else total, dtype=torch.float64)
    divisor = torch.where(divisor > 0, divisor, 1.0).to(scores.device, torch.float32)
    scores = full_precision(scores)
    surprise = partial(_surprise, mask=mask, rows=_rows_of_classes(classes).to(scores.device))
    with torch.autocast(scores.device.type, enabled=False):
        sums, gradient = walk(scores, mask.shape[-2:], surprise, align_corners, zero_border)
        losses: Tensor = KnownGradient.apply(scores, sums, gradient, (scores.shape[1],))
        return losses[0] / divisor


def _surprise(strip: Strip, mask: Tensor, rows: Tensor) -> Tensor:
    """Summed -log P(class of the pixel); its gradient is p - q.

    q is the softmax of the channels of the pixel's class among themselves: one-hot where a class has one channel.
    """
    target = mask[strip.images, strip.rows].long()
    valid = (target != IGNORE)[:, None].to(strip.values.dtype)
    own = rows[target].movedim(-1, 1)
    missing, own = own < 0, own.clamp(min=0)
    log_p = strip.values.log_softmax(dim=1)
    log_own = log_p.gather(1, own).masked_fill_(missing, -torch.inf)
    log_class = log_own.logsumexp(dim=1, keepdim=True)
    p = torch.exp(log_p, out=strip.values)
    p.scatter_add_(1, own, -(log_own - log_class).exp_()).mul_(valid)
    return -(log_class * valid).sum()[None]


def _rows_of_classes(row_classes: Tensor) -> Tensor:
    """The channels of each class, (IGNORE + 1, K) int64: -1 where a class has fewer than K, 0 for ``IGNORE``."""
    counts = torch.bincount(row_classes, minlength=IGNORE + 1)
    table = torch.full((IGNORE + 1, int(counts.max())), -1)
    table[IGNORE] = 0
    for label in torch.unique(row_classes).tolist():
        table[label, : counts[label]] = torch.where(row_classes == label)[0]
    return table
