"""Dense convolutions on a CPU with channels last: the gradient of their weights by kernels that are quick.

oneDNN's kernel for AVX2 reads the values of one channel in a row. Where channels come last these lie far apart, and a
map that no cache holds takes up to six times as long as with channels first (docs/performance.md). The convolution
itself and the gradient of its input are quicker with channels last, so only the maps that this one gradient is formed
from are brought to another order.
"""

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROWS = 16
"""So many rows of the result are brought to channels first at a time: a cache holds them."""

IN_CACHE = 1 << 17
"""Maps of so many values an image are quick in any order."""


_Pair = tuple[int, int]
"""Of rows and of columns."""


class _Geometry(NamedTuple):
    """How a kernel is laid on a map: zeros on either side, and the distance of its rows and columns."""

    padding: _Pair = (0, 0)
    dilation: _Pair = (1, 1)


class DenseConv2d(nn.Conv2d):
    """A convolution of stride one, as the layer that it takes the place of.

    Args:
        source: The layer whose weights and sizes are taken over.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(source.__dict__)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) → (N, D, h, w)."""
        return dense_convolution(input, self.weight, self.bias, self)


def dense_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, layer: nn.Conv2d) -> Tensor:
    """Convolve as a layer of stride one does, with these weights: its own, or its own in another type.

    Args:
        x: (N, C, H, W).
        weight: (D, C, k, l).
        bias: (D,), or None.
        layer: Whose zeros around the map and dilation these are.

    Returns:
        (N, D, h, w).
    """
    geometry = _Geometry(cast(_Pair, layer.padding), cast(_Pair, layer.dilation))
    if torch.is_grad_enabled() and weight.requires_grad and _is_slow(x, weight):
        return cast(Tensor, _ByQuickKernels.apply(x, weight, bias, geometry))
    return F.conv2d(x, weight, bias, 1, *geometry)


def _is_slow(x: Tensor, weight: Tensor) -> bool:
    """Whether torch would form the gradient of these weights by the slow kernel."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX2" or weight.shape[2:] == (1, 1):
        return False
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return last and x[0].numel() > IN_CACHE


class _ByQuickKernels(torch.autograd.Function):
    """The convolution as it is, and the gradient of its weights from some rows with channels first at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:  # noqa: ANN401
        ctx.geometry = geometry
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, 1, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _gradients(gradient, x, weight, ctx.geometry, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            of_weight = _gradient_of_weight(gradient, x, weight, ctx.geometry)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None


def _gradient_of_weight(gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    """A sum over parts of the result: of each, its rows and the rows of the map that they see."""
    (above, beside), dilation = geometry
    weight = weight.contiguous()  # channels last in one of the three would bring the others to it
    total = torch.zeros_like(weight)
    for first in range(0, gradient.shape[2], ROWS):
        part = gradient[:, :, first : first + ROWS].contiguous()
        top = first - above
        bottom = top + part.shape[2] + (weight.shape[2] - 1) * dilation[0]
        seen = x.new_zeros(*x.shape[:2], bottom - top, x.shape[3])
        start, stop = max(top, 0), min(bottom, x.shape[2])
        if start < stop:
            seen[:, :, start - top : stop - top] = x[:, :, start:stop]
        total += _gradients(part, seen, weight, _Geometry((0, beside), dilation), (False, True, False))[1]
    return total


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the input, of the weights, of the bias."""
    found = torch.ops.aten.convolution_backward(gradient, x, weight, None, (1, 1), *geometry, False, (0, 0), 1, wanted)
    return cast(tuple[Tensor, Tensor, Tensor], found)


def convert_dense(module: nn.Module) -> None:
    """Replace every dense convolution of stride one inside a module, in place; names and weights stay.

    Layers of one by one, those that pad by anything but so many zeros, and subclasses stay as they are.
    """
    for name, child in list(module.named_children()):
        if type(child) is nn.Conv2d and _convertible(child):
            setattr(module, name, DenseConv2d(child))
        else:
            convert_dense(child)


def _convertible(layer: nn.Conv2d) -> bool:
    dense = layer.groups == 1 and layer.kernel_size != (1, 1) and layer.stride == (1, 1)
    return dense and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
