"""Depthwise convolutions on a CPU: in bfloat16 with gradients by the kernels of float32, and in which order of memory.

The backward pass of a depthwise convolution in bfloat16 falls to reference kernels for some strides and sizes, which
take several times as long as those of float32; and those of float32 several times as long where channels come first as
where they come last (docs/performance.md).
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of every channel by itself, as the layer that it takes the place of.

    Args:
        source: The layer whose weights and sizes are taken over; one of timm with "same" padding keeps that.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        from timm.layers.conv2d_same import Conv2dSame  # seconds, which networks without such layers do not need

        nn.Module.__init__(self)
        self.__dict__.update(source.__dict__)
        self.same = isinstance(source, Conv2dSame)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, h, w)."""
        if self.same:
            from timm.layers.padding import pad_same

            x = pad_same(x, list(self.kernel_size), list(self.stride), list(self.dilation))
        padding = (0, 0) if self.same else self.padding
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or not torch.is_grad_enabled():
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        out = cast(Tensor, _InFullPrecision.apply(x, self.weight, (self.stride, padding, self.dilation)))
        return out if self.bias is None else out + self.bias.to(out)[:, None, None]


class _InFullPrecision(torch.autograd.Function):
    """The convolution as it is; its gradients in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, sizes: tuple[Any, Any, Any]) -> Tensor:  # noqa: ANN401
        stride, padding, dilation = ctx.sizes = sizes
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.sizes
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient.float(), x.float(), weight.float(), None, stride, padding, dilation, False, (0, 0), x.shape[1],
            (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False),
        )  # fmt: skip
        return of_x if of_x is None else of_x.to(x), of_weight if of_weight is None else of_weight.to(weight), None


def convert_depthwise(module: nn.Module) -> None:
    """Replace every depthwise convolution inside a module, in place; names and weights stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.groups == child.in_channels == child.out_channels > 1:
            setattr(module, name, DepthwiseConv2d(child))
        else:
            convert_depthwise(child)


NARROW = 16
"""From so many input channels on, the gradients of strided 1 x 1 convolutions are safe where channels come last."""


def quicker_with_channels_last(module: nn.Module) -> bool:
    """Whether a training step in float32 on a CPU is quicker with channels last: where convolutions are depthwise.

    A network with a strided 1 x 1 convolution of few input channels stays as it is: oneDNN writes beyond its memory in
    the backward pass of fewer than 8, or 16 with AVX-512 (its issue 6035, seen with torch 2.14).
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    if any(layer.kernel_size == (1, 1) and max(layer.stride) > 1 and layer.in_channels < NARROW for layer in layers):
        return False
    return any(isinstance(layer, DepthwiseConv2d) for layer in layers)
