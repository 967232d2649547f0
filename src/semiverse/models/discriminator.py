"""A fully convolutional discriminator, which judges maps of class probabilities."""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 32
"""Pixels per judgement, along an edge."""


class Discriminator(nn.Module):
    """Five convolutions that halve a map each (Hung et al., BMVC 2018, section 3.2), named as in its public code.

    Args:
        classes: Channels of the maps to judge, C.
        channels: Of the first convolution; they double up to the fourth.
    """

    def __init__(self, classes: int, channels: int = 64) -> None:
        super().__init__()
        self.conv1 = _halving(classes, channels)
        self.conv2 = _halving(channels, 2 * channels)
        self.conv3 = _halving(2 * channels, 4 * channels)
        self.conv4 = _halving(4 * channels, 8 * channels)
        self.classifier = _halving(8 * channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Probabilities or one-hot labels, (N, C, H, W) → logits of being labels, (N, 1, H // 32, W // 32).

        Raises:
            ValueError: If the maps are smaller than 32 pixels.
        """
        if min(maps.shape[-2:]) < STRIDE:
            raise ValueError(
                f"the discriminator got maps of {maps.shape[-2]} x {maps.shape[-1]} pixels; expected {STRIDE} or more "
                "along both edges, because it halves them five times: use larger crops"
            )
        x = maps
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.leaky_relu(convolution(x), 0.2)
        return cast(Tensor, self.classifier(x))


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)
