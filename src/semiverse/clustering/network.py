"""The network of Kanezaki (2018)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.clustering.rows import ImageNorm
from semiverse.upsampling import full_precision


class _Layer(nn.Module):
    """Convolution, ReLU but for the last layer, batch normalisation."""

    def __init__(self, before: int, after: int, side: int, last: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, side, padding=side // 2)
        self.norm = ImageNorm(after, rectified=not last)

    def forward(self, maps: Tensor, dtype: torch.dtype) -> Tensor:
        """(1, before, H, W) → (1, after, H, W) of the type ``dtype``; the convolution is of the type of the maps."""
        convolution = self.convolution
        bias = None if convolution.bias is None else convolution.bias.to(maps.dtype)
        found = F.conv2d(maps, convolution.weight.to(maps.dtype), bias, padding=convolution.padding)
        rows: Tensor = self.norm(found.permute(0, 2, 3, 1).flatten(0, 2), dtype)
        return rows.view(1, *found.shape[2:], -1).permute(0, 3, 1, 2)


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
