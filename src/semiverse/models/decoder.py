"""Decoders: what turns an encoder's maps into one map of features for the heads."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.models.dpt import DptDecoder

_CHANNELS = 256
_LIGHT = 128


class LinearDecoder(nn.Module):
    """The encoder's last map as it is, so that the head is all that decodes.

    Args:
        channels: Channels of the encoder's maps.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels[-1]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, h_i, w_i) → the last one, (N, D, h, w)."""
        return maps[-1]


class AsppDecoder(nn.Module):
    """Atrous spatial pyramid pooling on the encoder's last map (Chen et al., 2017, section 3.3).

    Args:
        channels: Channels of the encoder's maps.
        strides: Strides of the encoder's maps; rates are 6, 12, 18 at stride 16 and cover the same pixels at others.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        from torchvision.models.segmentation.deeplabv3 import ASPP

        rate = max(1, 96 // strides[-1])
        self.channels = _CHANNELS
        self.pyramid = ASPP(channels[-1], (rate, 2 * rate, 3 * rate), _CHANNELS)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, h_i, w_i) → features at the resolution of the last one, (N, D, h, w)."""
        return cast(Tensor, self.pyramid(maps[-1]))


class MlpDecoder(nn.Module):
    """Maps of stride 4 and up, each projected to as many channels, summed at the finest and mixed by one convolution.

    As the all-MLP decoder of Xie et al. (SegFormer, 2021), section 3.2, with a sum in place of the concatenation.

    Args:
        channels: Channels of the encoder's maps.
        strides: Strides of the encoder's maps.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.levels = [i for i, stride in enumerate(strides) if stride >= 4]
        self.channels = _LIGHT
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels[i], _LIGHT, 1, bias=False), nn.BatchNorm2d(_LIGHT)) for i in self.levels
        )
        mixing = nn.Conv2d(_LIGHT, _LIGHT, 3, padding=1, bias=False)
        self.mixing = nn.Sequential(nn.ReLU(), mixing, nn.BatchNorm2d(_LIGHT), nn.ReLU())

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, h_i, w_i) → features at the resolution of the finest used one, (N, D, h, w)."""
        finest, *coarser = (project(maps[i]) for project, i in zip(self.projections, self.levels, strict=True))
        total: Tensor = finest
        for level in coarser:
            total = total + F.interpolate(level, size=finest.shape[-2:], mode="bilinear")
        return cast(Tensor, self.mixing(total))


class PyramidDecoder(nn.Module):
    """A feature pyramid over the maps of stride 4 and up, summed at the finest (Kirillov et al., 2019, figure 3).

    Args:
        channels: Channels of the encoder's maps.
        strides: Strides of the encoder's maps.
        normalize: Batch norm behind every convolution.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], normalize: bool) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork

        self.levels = [i for i, stride in enumerate(strides) if stride >= 4]
        self.channels = _CHANNELS
        self.pyramid = FeaturePyramidNetwork(
            [channels[i] for i in self.levels], _CHANNELS, norm_layer=nn.BatchNorm2d if normalize else None
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, h_i, w_i) → features at the resolution of the finest used one, (N, D, h, w)."""
        levels = self.pyramid(OrderedDict((str(i), maps[i]) for i in self.levels))
        finest, *coarser = levels.values()
        total: Tensor = finest
        for level in coarser:
            total = total + F.interpolate(level, size=finest.shape[-2:], mode="bilinear")
        return total


Decoder = LinearDecoder | AsppDecoder | MlpDecoder | PyramidDecoder | DptDecoder


def build_decoder(name: str, channels: Sequence[int], strides: Sequence[int], normalize: bool = True) -> Decoder:
    """Build a decoder by name.

    Args:
        name: "linear" (the encoder's last map), "aspp", "mlp", "fpn", "dpt" or "aspp_sum" (the last map too: all is
            left to heads).
        channels: Channels of the encoder's maps, finest to coarsest.
        strides: Strides of the encoder's maps.
        normalize: Batch norm in "fpn", which had none in version 0.1.

    Returns:
        The decoder; its ``channels`` are D, those of the features.

    Raises:
        ValueError: If there is no such decoder, or it does not go with these maps.
    """
    if name in ("linear", "aspp_sum"):
        return LinearDecoder(channels)
    if name == "aspp":
        return AsppDecoder(channels, strides)
    if name == "mlp":
        return MlpDecoder(channels, strides)
    if name == "fpn":
        return PyramidDecoder(channels, strides, normalize)
    if name == "dpt":
        return DptDecoder(channels, strides)
    raise ValueError(f"there is no decoder {name!r}; expected linear, aspp, mlp, fpn, dpt or aspp_sum: choose one")
