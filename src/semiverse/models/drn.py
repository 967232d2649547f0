"""Dilated residual networks A, C and D: residual networks that keep features at an eighth of the image.

Yu, Koltun and Funkhouser, "Dilated Residual Networks", CVPR 2017. Modules carry the names of the published files
(https://github.com/fyu/drn), so those load without a renaming table.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from torch import Tensor, nn

from semiverse.models.config import RGB_IMAGENET, Convention


class Level(NamedTuple):
    """One level of a network: how wide it is, how it strides and dilates, and what it consists of.

    ``content`` is "residual" (the variant's own block), "basic" (always the basic block), "plain" (the basic block
    without its shortcut, which removes the grid pattern that dilation leaves) or "convolution".
    """

    channels: int
    stride: int
    dilation: int
    content: Literal["residual", "basic", "plain", "convolution"] = "residual"


class Variant(NamedTuple):
    """A published network: its family, whether it uses bottleneck blocks, and the number of blocks of each level."""

    family: Literal["A", "C", "D"]
    bottleneck: bool
    depths: tuple[int, ...]
    file: str | None


_SHARED_LEVELS = (Level(64, 2, 1), Level(128, 2, 1), Level(256, 1, 2), Level(512, 1, 4))
LEVELS: dict[str, tuple[Level, ...]] = {
    "A": (Level(64, 1, 1), Level(128, 2, 1), Level(256, 1, 2), Level(512, 1, 4)),
    "C": (
        Level(16, 1, 1, "basic"),
        Level(32, 2, 1, "basic"),
        *_SHARED_LEVELS,
        Level(512, 1, 2, "plain"),
        Level(512, 1, 1, "plain"),
    ),
    "D": (
        Level(16, 1, 1, "convolution"),
        Level(32, 2, 1, "convolution"),
        *_SHARED_LEVELS,
        Level(512, 1, 2, "convolution"),
        Level(512, 1, 1, "convolution"),
    ),
}
STEM_CHANNELS = {"A": 64, "C": 16, "D": 16}
# Children after which the map of stride 2, 4 and 8 is complete.
OUTPUTS = {
    "A": ("relu", "layer1", "layer4"),
    "C": ("layer2", "layer3", "layer8"),
    "D": ("layer2", "layer3", "layer8"),
}

VARIANTS: dict[str, Variant] = {
    "drn_a_18": Variant("A", False, (2, 2, 2, 2), None),
    "drn_a_34": Variant("A", False, (3, 4, 6, 3), None),
    "drn_a_50": Variant("A", True, (3, 4, 6, 3), "resnet50-19c8e357.pth"),
    "drn_c_26": Variant("C", False, (1, 1, 2, 2, 2, 2, 1, 1), "drn_c_26-ddedf421.pth"),
    "drn_c_42": Variant("C", False, (1, 1, 3, 4, 6, 3, 1, 1), "drn_c_42-9d336e8c.pth"),
    "drn_c_58": Variant("C", True, (1, 1, 3, 4, 6, 3, 1, 1), "drn_c_58-0a53a92c.pth"),
    "drn_d_22": Variant("D", False, (1, 1, 2, 2, 2, 2, 1, 1), "drn_d_22-4bd2f8ea.pth"),
    "drn_d_24": Variant("D", False, (1, 1, 2, 2, 2, 2, 2, 2), None),
    "drn_d_38": Variant("D", False, (1, 1, 3, 4, 6, 3, 1, 1), "drn_d_38-eebb45f0.pth"),
    "drn_d_40": Variant("D", False, (1, 1, 3, 4, 6, 3, 2, 2), None),
    "drn_d_54": Variant("D", True, (1, 1, 3, 4, 6, 3, 1, 1), "drn_d_54-0e0534ff.pth"),
    "drn_d_56": Variant("D", True, (1, 1, 3, 4, 6, 3, 2, 2), None),
    "drn_d_105": Variant("D", True, (1, 1, 3, 4, 23, 3, 1, 1), "drn_d_105-12b40979.pth"),
    "drn_d_107": Variant("D", True, (1, 1, 3, 4, 23, 3, 2, 2), None),
}


class Block(nn.Module):
    """A residual block: basic (two 3x3 convolutions) or bottleneck (1x1, 3x3, 1x1 to four times the channels).

    Args:
        inputs: Channels that come in.
        channels: Channels inside; a bottleneck puts out four times as many.
        stride: Stride of the first 3x3 convolution.
        dilation: Dilation of every 3x3 convolution.
        bottleneck: Which of the two blocks.
        stride_first: A bottleneck strides in its first 1x1 convolution instead, as networks from Caffe do.
        residual: Whether the shortcut is added. Without it the projection of the shortcut exists all the same, unused
            and frozen, because published files hold it (``layer7`` of DRN-C-58).
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int,
        dilation: int,
        *,
        bottleneck: bool,
        stride_first: bool = False,
        residual: bool = True,
    ) -> None:
        super().__init__()
        outputs = channels * (4 if bottleneck else 1)
        self.bottleneck, self.residual = bottleneck, residual
        if bottleneck:
            first, second = (stride, 1) if stride_first else (1, stride)
            self.conv1, self.bn1 = convolution(inputs, channels, 1, first), nn.BatchNorm2d(channels)
            self.conv2, self.bn2 = convolution(channels, channels, 3, second, dilation), nn.BatchNorm2d(channels)
            self.conv3, self.bn3 = convolution(channels, outputs, 1), nn.BatchNorm2d(outputs)
        else:
            self.conv1, self.bn1 = convolution(inputs, channels, 3, stride, dilation), nn.BatchNorm2d(channels)
            self.conv2, self.bn2 = convolution(channels, outputs, 3, 1, dilation), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            self.downsample.requires_grad_(residual)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) → (N, outputs, h / stride, w / stride)."""
        out: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            out = self.bn3(self.conv3(self.relu(out)))
        if self.residual:
            out = out + (x if self.downsample is None else self.downsample(x))
        return cast(Tensor, self.relu(out))


class DilatedResidualNetwork(nn.Module):
    """An encoder of the families A, C and D: maps of stride 2, 4 and 8, without the classifier.

    Args:
        name: One of ``VARIANTS``.
        width: Factor on the number of channels of every layer; published files need 1.

    Raises:
        ValueError: If the name is unknown or the width is not positive.
    """

    strides: Sequence[int] = (2, 4, 8)
    convention: Convention = RGB_IMAGENET

    def __init__(self, name: str, width: float = 1.0) -> None:
        super().__init__()
        if name not in VARIANTS:
            raise ValueError(f"{name!r} is no dilated residual network; expected one of {', '.join(VARIANTS)}")
        if width <= 0:
            raise ValueError(f"width is {width}; expected a positive factor on the channels, such as 1.0 or 0.5")
        self.variant = VARIANTS[name]
        family = self.variant.family
        channels = scaled(STEM_CHANNELS[family], width)
        self._add_stem(channels)
        widths = {"relu": channels}
        for number, (level, depth) in enumerate(zip(LEVELS[family], self.variant.depths, strict=True), start=1):
            stage, channels = self._level(level, depth, channels, scaled(level.channels, width))
            self.add_module(f"layer{number}", stage)
            widths[f"layer{number}"] = channels
        self.channels: Sequence[int] = tuple(widths[child] for child in OUTPUTS[family])
        self.stages: Sequence[str] = [child for child in widths if child != "relu"]
        _initialize(self)

    @property
    def trunk(self) -> nn.Module:
        """The module whose parameter names are those of published files."""
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images, (N, 3, H, W) → maps (N, C_i, H / s_i, W / s_i), rounded up, for strides 2, 4 and 8."""
        maps = []
        x = images
        for name, child in self.named_children():
            x = child(x)
            if name in OUTPUTS[self.variant.family]:
                maps.append(x)
        return maps

    def _add_stem(self, channels: int) -> None:
        family = self.variant.family
        first = convolution(3, channels, 7, stride=2 if family == "A" else 1)
        norm, relu = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        if family == "D":
            self.layer0 = nn.Sequential(first, norm, relu)
            return
        self.conv1, self.bn1, self.relu = first, norm, relu
        if family == "A":
            self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    def _level(self, level: Level, depth: int, inputs: int, channels: int) -> tuple[nn.Sequential, int]:
        """A level's modules and the number of channels that they put out."""
        bottleneck = self.variant.bottleneck and level.content == "residual"
        outputs = channels * (4 if bottleneck else 1)
        modules: list[nn.Module] = []
        for i in range(depth):
            stride = level.stride if i == 0 else 1
            # Family A as published leaves the first block of a dilated level undilated.
            dilation = 1 if i == 0 and self.variant.family == "A" else level.dilation
            if level.content == "convolution":
                modules += [
                    convolution(inputs, outputs, 3, stride, dilation),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(inplace=True),
                ]
            else:
                residual = level.content != "plain"
                modules.append(Block(inputs, channels, stride, dilation, bottleneck=bottleneck, residual=residual))
            inputs = outputs
        return nn.Sequential(*modules), outputs


def scaled(channels: int, width: float) -> int:
    """A number of channels times a factor, at least one."""
    return max(1, round(channels * width))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1; 1x1 kernels have nothing to dilate."""
    dilation = dilation if kernel > 1 else 1
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)


def _initialize(network: nn.Module) -> None:
    """Convolution weights from N(0, sqrt(2 / (k k C_out))); batch norm starts as the identity by default."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
