"""The network of Kanezaki (2018)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semiverse.models import dense_convolution
from semiverse.upsampling import full_precision


class _Layer(nn.Module):
    """Convolution, ReLU (whose result is never kept) but for the last layer, batch normalisation of one image."""

    def __init__(self, before: int, after: int, side: int, last: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, side, padding=side // 2)
        self.norm = nn.BatchNorm2d(after, track_running_stats=False)
        self.rectified = not last

    def forward(self, maps: Tensor, dtype: torch.dtype) -> Tensor:
        """(1, before, H, W) → (1, after, H, W) of the type ``dtype``; the convolution is of the type of the maps."""
        weight, bias = (values.to(maps.dtype) for values in self.convolution.parameters())
        found = dense_convolution(maps, weight, bias, self.convolution)
        rows = found.permute(0, 2, 3, 1).flatten(0, 2)
        normal: Tensor = _Normalize.apply(rows, self.norm.weight, self.norm.bias, self.rectified, dtype)
        return normal.view(1, *found.shape[2:], -1).permute(0, 3, 1, 2)


class Network(nn.Module):
    """M times [convolution 3x3, ReLU, batch normalisation], then convolution 1x1 and batch normalisation (section 2).

    Batch normalisation comes after the ReLU, and always has the statistics of the image at hand. 103,600 parameters
    with the defaults. Created after the same seed, its weights are those of the published code.

    Args:
        channels: q, the number of labels that a pixel can get.
        layers: M.
    """

    def __init__(self, channels: int = 100, layers: int = 2) -> None:
        super().__init__()
        widths = [3] + layers * [channels]
        self.layers = nn.ModuleList(_Layer(before, after, 3, last=False) for before, after in pairwise(widths))
        self.last = _Layer(channels, channels, 1, last=True)

    def forward(self, image: Tensor) -> Tensor:
        """Responses of all pixels.

        Args:
            image: (1, 3, H, W) in [0, 1]; its type is that of the convolutions, bfloat16 for instance.

        Returns:
            (H W, q) float32 (float64 for such an image), row by row of the image; each column has mean 0 and variance 1
            until normalisation learns other ones.
        """
        maps = image
        for layer in self.layers:
            maps = layer(maps, image.dtype)
        responses: Tensor = self.last(maps, full_precision(image[:0]).dtype)
        return responses.permute(0, 2, 3, 1).flatten(0, 2)


# A few blocks of 100 channels fit the cache of a core; an accelerator wants few large kernels.
_ROWS = {"cpu": 2048}
_ROWS_ACCELERATOR = 2**24


def _blocks(rows: Tensor, rectified: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """A copy of some rows at a time in full precision, negative values as zero where wanted; its memory is reused."""
    size = min(len(rows), _ROWS.get(rows.device.type, _ROWS_ACCELERATOR))
    buffer = rows.new_empty(size, rows.shape[1], dtype=full_precision(rows[:0]).dtype)
    for start in range(0, len(rows), size):
        part = slice(start, min(start + size, len(rows)))
        values = buffer[: part.stop - part.start].copy_(rows[part])
        yield part, values.relu_() if rectified else values


class _Normalize(torch.autograd.Function):
    """Batch normalisation of rows over the pixels of one image, after a ReLU where wanted."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch leaves the type open
        rows: Tensor,
        weight: Tensor,
        bias: Tensor,
        rectified: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        """Normalised rows, (n, q) of the type ``dtype``."""
        mean = torch.zeros(rows.shape[1], dtype=full_precision(rows[:0]).dtype, device=rows.device)
        squares, seen = torch.zeros_like(mean), 0
        for _, values in _blocks(rows, rectified):  # moments of blocks are joined as by Chan, Golub and LeVeque (1979)
            count, center = len(values), values.mean(dim=0)
            shift, portion = center - mean, count / (seen + count)
            squares += values.sub_(center).square_().sum(dim=0) + shift.square() * (seen * portion)
            mean += shift * portion
            seen += count
        inverse = (squares / len(rows) + 1e-5).rsqrt()
        scale = weight * inverse
        shift = bias - mean * scale
        out = torch.empty_like(rows, dtype=dtype)
        for part, values in _blocks(rows, rectified):
            out[part] = values.mul_(scale).add_(shift)
        ctx.save_for_backward(rows, weight, mean, inverse)
        ctx.rectified = rectified
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Dx = scale (dy - mean(dy) - y mean(dy y)) with y = (x - mean) / deviation: affine in dy and x."""
        rows, weight, mean, inverse = ctx.saved_tensors
        total, product = torch.zeros_like(mean), torch.zeros_like(mean)
        for (_, values), (_, slope) in zip(_blocks(rows, ctx.rectified), _blocks(grad), strict=True):
            total += slope.sum(dim=0)
            product += values.sub_(mean).mul_(slope).sum(dim=0)
        product *= inverse
        scale = weight * inverse
        per_value = -scale * inverse * product / len(rows)
        constant = -scale * total / len(rows) - per_value * mean
        out = torch.empty_like(rows)
        for (part, values), (_, slope) in zip(_blocks(rows, ctx.rectified), _blocks(grad), strict=True):
            slope.mul_(scale).addcmul_(values, per_value).add_(constant)
            out[part] = slope.mul_(values.sign_()) if ctx.rectified else slope
        return out, product, total, None, None


class _CrossEntropy(torch.autograd.Function):
    """Forms the gradient, (p - onehot) / n, together with the loss."""

    @staticmethod
    def forward(ctx: Any, responses: Tensor, labels: Tensor) -> Tensor:  # noqa: ANN401
        """Mean of -log softmax(responses)[label], a scalar."""
        gradient, total = torch.empty_like(responses), responses.new_zeros(())
        for part, values in _blocks(responses):
            own = labels[part, None]
            values.sub_(values.logsumexp(dim=1, keepdim=True))
            total -= values.gather(1, own).sum()
            values.exp_().scatter_add_(1, own, values.new_full((len(values), 1), -1.0))
            gradient[part] = values.div_(len(responses))
        ctx.save_for_backward(gradient)
        return total / len(responses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Scale the gradient."""
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(grad), None


def cross_entropy(responses: Tensor, labels: Tensor) -> Tensor:
    """Mean over pixels of -log P(label), P the softmax of a row.

    Args:
        responses: (n, q) float32 or float64.
        labels: (n,) int64 in [0, q).

    Returns:
        A scalar that can be back-propagated once.
    """
    loss: Tensor = _CrossEntropy.apply(responses, labels)
    return loss
