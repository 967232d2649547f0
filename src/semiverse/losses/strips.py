"""What the losses share: a walk over strips of the upsampled scores, and gradients that are known in closed form."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from semiverse.labels import IGNORE
from semiverse.upsampling import Bilinear, Strip


def walk(
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
