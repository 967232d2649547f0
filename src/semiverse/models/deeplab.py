"""DeepLab-v2: a dilated ResNet-101 from Caffe and a head that sums atrous convolutions.

Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully Connected
CRFs", 2016, as in the public code of AdvSemiSeg and AdaptSegNet. Modules carry the names of its files, which are those
of torchvision's ResNet-101, so both load without a renaming table.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from semiverse.models.config import BGR_CAFFE, Convention
from semiverse.models.drn import Block, convolution, scaled

PUBLISHED_FILES = "resnet101COCO-41f33a49.pth or torchvision's resnet101-5d3b4d8f.pth"
DEVIATION = 0.01
"""Standard deviation that all convolutions start with."""


class DeepLabResNet101(nn.Module):
    """An encoder with features at an eighth of the image: maps after conv2_x (stride 4) to conv5_x (stride 8).

    It differs from the usual ResNet-101 in that blocks stride in their first 1x1 convolution, the last two stages
    dilate by 2 and 4 (in all blocks) instead of striding, and pooling rounds up: an edge of n pixels becomes about
    n / 8 + 1 cells, the first and last of which lie on the border. Batch norm uses statistics of the batch in training,
    but its scale and shift are frozen.

    Args:
        width: Factor on the number of channels of every layer; published files need 1.

    Raises:
        ValueError: If the width is not positive.
    """

    strides: Sequence[int] = (4, 8, 8, 8)
    stages: Sequence[str] = ("layer1", "layer2", "layer3", "layer4")
    convention: Convention = BGR_CAFFE

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        if width <= 0:
            raise ValueError(f"width is {width}; expected a positive factor on the channels, such as 1.0 or 0.5")
        planes = [scaled(channels, width) for channels in (64, 128, 256, 512)]
        self.channels: Sequence[int] = tuple(4 * inner for inner in planes)
        self.conv1, self.bn1 = convolution(3, planes[0], 7, stride=2), nn.BatchNorm2d(planes[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)
        self.layer1 = _stage(planes[0], planes[0], blocks=3)
        self.layer2 = _stage(self.channels[0], planes[1], blocks=4, stride=2)
        self.layer3 = _stage(self.channels[1], planes[2], blocks=23, dilation=2)
        self.layer4 = _stage(self.channels[2], planes[3], blocks=3, dilation=4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, DEVIATION)
            elif isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    @property
    def trunk(self) -> nn.Module:
        """The module whose parameter names are those of published files."""
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images, (N, 3, H, W) → the maps of four stages, (N, C_i, h_i, w_i)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


class SummedAspp(nn.Module):
    """Atrous spatial pyramid pooling straight to classes: the sum of four 3x3 convolutions of growing dilation.

    Args:
        inputs: Channels of the features.
        outputs: Channels of the logits.
        branches: How many contribute. A mistake in the public code of AdvSemiSeg and AdaptSegNet returns after two;
            scores of their weights need the same. The others exist all the same, because files hold them, and are
            frozen.
    """

    dilations = (6, 12, 18, 24)

    def __init__(self, inputs: int, outputs: int, branches: int = 4) -> None:
        super().__init__()
        self.branches = branches
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation) for dilation in self.dilations
        )
        for i, branch in enumerate(self.conv2d_list):
            nn.init.normal_(branch.get_parameter("weight"), 0.0, DEVIATION)
            branch.requires_grad_(i < branches)

    def forward(self, features: Tensor) -> Tensor:
        """Features, (N, inputs, h, w) → logits, (N, outputs, h, w)."""
        first, *others = list(self.conv2d_list)[: self.branches]
        total: Tensor = first(features)
        for branch in others:
            total = total + branch(features)
        return total


def _stage(inputs: int, channels: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    widths = [inputs, *[4 * channels] * (blocks - 1)]
    return nn.Sequential(
        *(
            Block(width, channels, stride if i == 0 else 1, dilation, bottleneck=True, stride_first=True)
            for i, width in enumerate(widths)
        )
    )
