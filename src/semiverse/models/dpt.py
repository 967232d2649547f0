"""The dense prediction transformer's decoder (Ranftl et al., 2021, section 3), as UniMatch V2 has it."""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn


class DptDecoder(nn.Module):
    """Maps of one stride are reassembled at a quarter, half, once and twice of it, and fused from coarse to fine.

    Of a patch of 16 these are the strides 4, 8, 16 and 32. Features stay at the finest; the public code doubles them
    once more before the last convolution, which would upsample many channels.

    Args:
        channels: Channels of the encoder's maps; features have 64, 128 (from 768 on) or 256 (from 1024 on).
        strides: Strides of the encoder's maps.

    Raises:
        ValueError: If these are not four maps of one stride.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        if len(strides) != 4 or len(set(strides)) > 1:
            raise ValueError(
                f"decoder 'dpt' got maps of strides {tuple(strides)}; expected four of one stride, as vision "
                "transformers give: use decoder mlp, or such an encoder"
            )
        width = channels[-1]
        self.channels = 64 if width < 768 else 128 if width < 1024 else 256
        inner = [min((width // 8 if width < 1024 else width // 4) << level, width) for level in range(4)]
        scalings = (
            nn.ConvTranspose2d(inner[0], inner[0], 4, stride=4),
            nn.ConvTranspose2d(inner[1], inner[1], 2, stride=2),
            nn.Identity(),
            nn.Conv2d(inner[3], inner[3], 3, stride=2, padding=1),
        )
        self.reassembled = nn.ModuleList(
            nn.Sequential(nn.Conv2d(outer, own, 1), scaling, nn.Conv2d(own, self.channels, 3, padding=1, bias=False))
            for outer, own, scaling in zip(channels, inner, scalings, strict=True)
        )
        self.fusions = nn.ModuleList(Fusion(self.channels, skip=level < 3) for level in range(4))
        self.output = nn.Sequential(nn.Conv2d(self.channels, self.channels, 3, padding=1), nn.ReLU())

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, h, w) → features, (N, D, 4h, 4w)."""
        levels = [reassemble(one) for reassemble, one in zip(self.reassembled, maps, strict=True)]
        sizes = [level.shape[-2:] for level in (levels[0], *levels[:-1])]
        path = self.fusions[3](levels[3], None, sizes[3])
        for number in (2, 1, 0):
            path = self.fusions[number](path, levels[number], sizes[number])
        return cast(Tensor, self.output(path))


class Fusion(nn.Module):
    """A map added to what came from coarser ones, refined, and brought to the next size.

    Args:
        channels: Of all maps.
        skip: Whether there is anything coarser.
    """

    def __init__(self, channels: int, skip: bool) -> None:
        super().__init__()
        self.skip = ResidualUnit(channels) if skip else None
        self.unit, self.projection = ResidualUnit(channels), nn.Conv2d(channels, channels, 1)

    def forward(self, path: Tensor, level: Tensor | None, size: Sequence[int]) -> Tensor:
        """A path, (N, D, h, w), and the map of its size → (N, D, *size)."""
        if self.skip is not None:
            path = path + self.skip(level)
        refined = self.unit(path)
        return cast(Tensor, self.projection(F.interpolate(refined, size=tuple(size), mode="bilinear")))


class ResidualUnit(nn.Module):
    """Two convolutions without batch norm, whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.layers = nn.Sequential(nn.ReLU(), first, nn.ReLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, h, w) → the same size."""
        return x + cast(Tensor, self.layers(x))
