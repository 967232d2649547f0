"""Dense convolutions on a CPU with channels last: the gradient of their weights by matrix products.

oneDNN's kernel for AVX2 reads the values of one channel in a row. Where channels come last these lie far apart, and a
map that no cache holds takes up to seven times as long as products of matrices (docs/performance.md). The convolution
itself and the gradient of its input are quick.
"""

from itertools import product
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PIXELS = 2048
"""So many pixels of the result are multiplied at a time: a cache holds them."""

IN_CACHE = 1 << 17
"""Maps of so many values an image are quick in any order."""

PAIRS = 1 << 10
"""From so many pairs of an input and an output channel on, matrix products are worth it."""

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
    """Whether torch would form the gradient of these weights by the slow kernel, and matrix products are quicker."""
    outputs, inputs, *kernel = weight.shape
    if kernel == [1, 1] or outputs * inputs < PAIRS or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return last and x[0].numel() > IN_CACHE


class _ByQuickKernels(torch.autograd.Function):
    """The convolution as it is, and the gradient of its weights from some rows of pixels at a time."""

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
            of_x = _gradient_of_input(gradient, x, weight, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_weight = _gradient_of_weight(gradient, x, weight, ctx.geometry)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None


def _gradient_of_weight(gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    """A matrix product for every place of the kernel: of the gradient with what that place sees of the map.

    Both are lists of pixels whose rows are equally wide, so what a place sees lies so many pixels further on.
    """
    (above, beside), (down, across) = geometry
    (outputs, inputs, *kernel), (count, _, height, width) = weight.shape, gradient.shape
    pitch = x.shape[3] + 2 * beside
    rows = max(1, PIXELS // pitch)
    total = gradient.new_zeros(*kernel, outputs, inputs)
    for image in range(count):
        seen = F.pad(x[image].permute(1, 2, 0), (0, 0, beside, beside, above, above)).flatten(0, 1)
        for first in range(0, height, rows):
            part = gradient[image, :, first : first + rows].permute(1, 2, 0)
            part = F.pad(part, (0, 0, 0, pitch - width)).flatten(0, 1)[: width - pitch or None]
            for i, j in product(*map(range, kernel)):
                start = (first + i * down) * pitch + j * across
                total[i, j].addmm_(part.T, seen[start : start + len(part)])
    return total.permute(2, 3, 0, 1)


def _gradient_of_input(gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    found = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, (1, 1), *geometry, False, (0, 0), 1, (True, False, False)
    )
    return cast(Tensor, found[0])


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
