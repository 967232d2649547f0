"""Losses on score maps at feature resolution; none of them keeps a map at full resolution.

The scores are upsampled strip by strip (``upsampling``), and each strip's gradient is formed in closed form and carried
back to the cells at once. The backward pass then only scales a map of the size of the scores.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from semiverse.labels import IGNORE
from semiverse.upsampling import Bilinear, Strip, full_precision


def entropy(
    scores: Tensor,
    size: tuple[int, int],
    groups: Sequence[int],
    align_corners: bool = False,
    zero_border: bool = False,
) -> Tensor:
    """Mean entropy of the upsampled scores, for each group of channels.

    Kalluri et al. (2019), Eqs. 3 and 4: the entropy of the softmax of the similarities of a pixel with the label
    embeddings of one domain, natural logarithm, averaged over all pixels. The similarity is linear, so scores may be
    formed at feature resolution and upsampled; softmax and entropy are taken after upsampling.

    Args:
        scores: Similarities, (N, R, h, w), finite.
        size: Height and width at which the entropy is taken, (H, W).
        groups: Number of consecutive channels of each group; they sum to R. Each group has its own softmax.
        align_corners: As in ``torch.nn.functional.interpolate``.
        zero_border: Outside is zero, as in the frozen transposed convolution of dilated residual networks.

    Returns:
        Entropies, (len(groups),), in [0, log(size of the group)]; float32, or float64 for float64 scores.

    Raises:
        ValueError: If the groups do not cover the channels.
    """
    _check_groups(scores, groups)
    scores = full_precision(scores)
    with torch.autocast(scores.device.type, enabled=False):
        sums, gradient = _walk(scores, size, partial(_negative_entropies, groups=groups), align_corners, zero_border)
        negative_entropies: Tensor = _KnownGradient.apply(scores, sums, gradient, groups)
        return negative_entropies / -(len(scores) * size[0] * size[1])


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
    labeled = _count_labeled(mask, classes)
    divisor = torch.as_tensor(labeled if total is None else total, dtype=torch.float64)
    divisor = torch.where(divisor > 0, divisor, 1.0).to(scores.device, torch.float32)
    scores = full_precision(scores)
    surprise = partial(_surprise, mask=mask, rows=_rows_of_classes(classes).to(scores.device))
    with torch.autocast(scores.device.type, enabled=False):
        sums, gradient = _walk(scores, mask.shape[-2:], surprise, align_corners, zero_border)
        losses: Tensor = _KnownGradient.apply(scores, sums, gradient, (scores.shape[1],))
        return losses[0] / divisor


def assignment_entropy(scores: Tensor, groups: Sequence[int]) -> Tensor:
    """Entropy of the mean assignment of all cells, for each group of channels.

    Large where the cells spread over all labels, zero where every cell goes to the same one; maximising it keeps the
    assignments of ``entropy`` from collapsing.

    Args:
        scores: Similarities, (N, R, h, w), at feature resolution.
        groups: As in ``entropy``.

    Returns:
        Entropies, (len(groups),), in [0, log(size of the group)].
    """
    _check_groups(scores, groups)
    with torch.autocast(scores.device.type, enabled=False):
        parts = torch.split(full_precision(scores), list(groups), dim=1)
        means = [part.softmax(dim=1).mean(dim=(0, 2, 3)) for part in parts]
        return torch.stack([-torch.xlogy(mean, mean).sum() for mean in means])


def _walk(
    scores: Tensor, size: Sequence[int], loss: Callable[[Strip], Tensor], align_corners: bool, zero_border: bool
) -> tuple[Tensor, Tensor | None]:
    """Sum a loss over all strips of the scores, (N, R, h, w), upsampled to ``size``.

    ``loss`` turns the values of a strip into the gradient of its G losses, in place, and returns their sums, (G,).

    Returns:
        The sums, (G,), and their gradient with respect to the scores, (N, R, h, w); None where nobody will ask for it.
    """
    upsampling = Bilinear.of(scores, (size[0], size[1]), align_corners, zero_border)
    gradient = torch.zeros_like(scores) if scores.requires_grad and torch.is_grad_enabled() else None
    sums = []
    with torch.no_grad():
        for strip in upsampling.strips(scores):
            sums.append(loss(strip))
            if gradient is not None:
                upsampling.add_down(strip, gradient)
        return torch.stack(sums).sum(dim=0), gradient


def _negative_entropies(strip: Strip, groups: Sequence[int]) -> Tensor:
    """Summed -H = p log p of each group; its gradient is p (log p + H)."""
    sums = []
    for values in torch.split(strip.values, list(groups), dim=1):
        log_p = values.log_softmax(dim=1)
        p = torch.exp(log_p, out=values)
        p_log_p = log_p.mul_(p)
        negative_entropy = p_log_p.sum(dim=1, keepdim=True)
        torch.addcmul(p_log_p, p, negative_entropy, value=-1, out=values)
        sums.append(negative_entropy.sum())
    return torch.stack(sums)


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


class _KnownGradient(torch.autograd.Function):
    """Hands on losses whose gradient with respect to the scores was formed together with them."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch leaves the type open
        _scores: Tensor,
        losses: Tensor,
        gradient: Tensor | None,
        groups: Sequence[int],
    ) -> Tensor:
        """Losses, (G,), with their gradient, (N, R, h, w): one loss a group of channels."""
        ctx.groups = list(groups)
        ctx.save_for_backward(gradient)
        return losses.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Scale the gradient of each group."""
        (gradient,) = ctx.saved_tensors
        scale = grad.repeat_interleave(torch.tensor(ctx.groups, device=grad.device), output_size=gradient.shape[1])
        return gradient * scale[:, None, None], None, None, None


def _check_groups(scores: Tensor, groups: Sequence[int]) -> None:
    if sum(groups) != scores.shape[1] or min(groups, default=0) < 1:
        raise ValueError(
            f"groups {list(groups)} sum to {sum(groups)}, but the scores have {scores.shape[1]} channels; "
            "give the number of label rows of each domain, in the order of the channels"
        )


def _count_labeled(mask: Tensor, classes: Tensor) -> int:
    """Number of labelled pixels; refuses values that are no class."""
    known = {IGNORE, *classes.tolist()}
    counts = torch.bincount(mask.flatten().clamp(0, IGNORE), minlength=IGNORE + 1).tolist()
    found = {value for value, count in enumerate(counts) if count} | {int(end) for end in mask.aminmax()}
    unknown = sorted(found - known)
    if unknown:
        raise ValueError(
            f"the mask holds the value {unknown[0]}, which is no class of the scores "
            f"(classes {sorted(known - {IGNORE})}) and not IGNORE = {IGNORE}; "
            f"map unknown labels to {IGNORE} when the mask is read"
        )
    return sum(counts[:IGNORE])
