"""What the losses share: a walk over strips of the upsampled scores, and gradients that are known in closed form."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from semiverse.labels import IGNORE
from semiverse.upsampling import Bilinear, ScoreMap, Strip, full_precision


def summed(
    scores: ScoreMap, size: Sequence[int], loss: Callable[[Strip], Tensor], groups: Sequence[int] | None = None
) -> Tensor:
    """Sum losses over all strips of the scores upsampled to ``size``, together with their gradient.

    Args:
        scores: (N, R, h, w), finite.
        size: Height and width at which the losses are taken, (H, W).
        loss: Turns the values of a strip into the gradient of its G losses, in place, and returns their sums, (G,).
        groups: Number of consecutive channels that each loss depends on; None: one loss of all channels.

    Returns:
        (G,), float32, or float64 for float64 scores.
    """
    values = full_precision(scores.values)
    matrices = Bilinear.of(values, (size[0], size[1]), scores.upsampling)
    gradient = torch.zeros_like(values) if values.requires_grad and torch.is_grad_enabled() else None
    sums = []
    with torch.no_grad(), torch.autocast(values.device.type, enabled=False):
        for strip in matrices.strips(values):
            sums.append(loss(strip))
            if gradient is not None:
                matrices.add_down(strip, gradient)
        total = torch.stack(sums).sum(dim=0)
    losses: Tensor = KnownGradient.apply(values, total, gradient, groups or (values.shape[1],))
    return losses


def summed_inside(strip: Strip, losses: Sequence[Tensor], mask: Tensor | None) -> Tensor:
    """Sums of losses of a strip's pixels, (images, 1, rows, W) each → (G,).

    Pixels where the mask, (N, H, W), is ``IGNORE`` do not count, and their gradients, the strip's values, become 0.
    """
    if mask is not None:
        valid = (mask[strip.images, strip.rows] != IGNORE)[:, None].to(strip.values.dtype)
        strip.values.mul_(valid)
        losses = [loss * valid for loss in losses]
    return torch.stack([loss.sum() for loss in losses])


def mean_divisor(size: Sequence[int], images: int, mask: Tensor | None, total: float | None) -> Tensor | float:
    """What a sum over pixels is divided by: ``total`` where it is given, or the number of pixels that count."""
    if total is not None:
        return total
    return images * size[0] * size[1] if mask is None else (mask != IGNORE).sum().clamp(min=1)


def side_by_side(first: ScoreMap, second: ScoreMap) -> ScoreMap:
    """Channels of two branches of one model in one map, in full precision."""
    return first._replace(values=torch.cat([full_precision(first.values), full_precision(second.values)], dim=1))


class KnownGradient(torch.autograd.Function):
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


def count_labeled(mask: Tensor, classes: Tensor) -> int:
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
