"""Depthwise convolutions on a CPU: with gradients by the kernels that are quick, and in which order of memory.

Two backward passes of oneDNN fall to kernels that take ten to sixty times as long (docs/performance.md): the gradient
of the weights where a kernel is wider than three columns or higher than its map, in every precision, and that of the
input where the stride is above one, in bfloat16. Gradients of float32 with channels first take several times as long as
with channels last.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semiverse.models.precision import computes_in

_Sizes = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Stride, padding and dilation, of rows and of columns."""


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
        sizes = cast(_Sizes, (self.stride, (0, 0) if self.same else self.padding, self.dilation))
        slow = torch.is_autocast_enabled("cpu") or self.kernel_size[1] > WIDTH
        if x.device.type != "cpu" or not slow or not torch.is_grad_enabled():
            return F.conv2d(x, self.weight, self.bias, *sizes, self.groups)
        return cast(Tensor, _ByQuickKernels.apply(x, self.weight, self.bias, sizes))


WIDTH = 3
"""The gradient of a kernel's weights is quick up to so many columns, and as many rows as the map has."""

IN_CACHE = 1 << 20
"""So many values of a map are formed together in float32."""


class _ByQuickKernels(torch.autograd.Function):
    """The convolution as it is; its gradients in pieces and a precision that there are quick kernels for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sizes: _Sizes) -> Tensor:  # noqa: ANN401
        ctx.sizes = sizes
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, *sizes, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        full = torch.promote_types(gradient.dtype, torch.float32)
        half = gradient.dtype is torch.bfloat16 and computes_in(torch.bfloat16, gradient.device)
        kind = torch.bfloat16 if half else full
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _gradient_of_input(gradient, x, weight, ctx.sizes, full if max(ctx.sizes[0]) > 1 else kind)
        if ctx.needs_input_grad[1]:
            of_weight = _gradient_of_weight(gradient.to(kind), x.to(kind), weight, ctx.sizes)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3), dtype=full).to(weight.dtype)
        return of_x, of_weight, of_bias, None


def _gradient_of_input(gradient: Tensor, x: Tensor, weight: Tensor, sizes: _Sizes, kind: torch.dtype) -> Tensor:
    """In another precision some images at a time: the caches of a core do not hold a batch of large ones."""

    def of(part: Tensor, x_part: Tensor) -> Tensor:
        like = torch.empty_like(x_part, dtype=kind)  # its size and order matter, its values do not
        found = torch.ops.aten.convolution_backward(
            part.to(kind), like, weight.to(kind), None, *sizes, False, (0, 0), x.shape[1], (True, False, False)
        )
        return cast(Tensor, found[0])

    if gradient.dtype is kind is x.dtype:
        return of(gradient, x)
    of_x = torch.empty_like(x)
    images = max(1, IN_CACHE * len(x) // x.numel())
    for first in range(0, len(x), images):
        some = slice(first, first + images)
        of_x[some] = of(gradient[some], x[some])
    return of_x


def _gradient_of_weight(gradient: Tensor, x: Tensor, weight: Tensor, sizes: _Sizes) -> Tensor:
    """Of a few columns of the kernel at a time, each from the columns of the map that it is laid on."""
    stride, padding, dilation = sizes
    parts, left = [], -padding[1]
    for columns in torch.split(weight.to(gradient.dtype), WIDTH, 3):
        seen, margin = x, padding
        if weight.shape[3] > WIDTH or weight.shape[2] > x.shape[2]:
            width = (gradient.shape[3] - 1) * stride[1] + (columns.shape[3] - 1) * dilation[1] + 1
            seen, margin = F.pad(x, (-left, left + width - x.shape[3], padding[0], padding[0])), (0, 0)
        found = torch.ops.aten.convolution_backward(
            gradient, seen, columns, None, stride, margin, dilation, False, (0, 0), x.shape[1], (False, True, False)
        )
        parts.append(found[1])
        left += columns.shape[3] * dilation[1]
    return torch.cat(parts, 3).to(weight.dtype)


def _convertible(layer: nn.Conv2d) -> bool:
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    return depthwise and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def convert_depthwise(module: nn.Module) -> None:
    """Replace every depthwise convolution inside a module, in place; names and weights stay.

    Layers that pad by anything but so many zeros stay as they are.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and _convertible(child):
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
