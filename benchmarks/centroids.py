"""Class means of 128-channel features at stride 8 under a mask of 360 x 480 pixels with 11 classes.

The reference upsamples the features and takes the mean of each class's pixels in turn, as in the update of label
embeddings that the published code of universal semi-supervised segmentation carries in comments.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.embeddings.estimate import class_sums
from semiverse.labels import IGNORE

CLASSES, CHANNELS, CELLS, SIZE = 11, 128, (45, 60), (360, 480)


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    features = torch.randn(1, CHANNELS, *CELLS)
    coarse = torch.randint(0, CLASSES, (1, 1, 24, 32)).float()
    mask = F.interpolate(coarse, size=SIZE, mode="nearest")[:, 0].long()
    mask[torch.rand(mask.shape) < 0.05] = IGNORE

    def reference() -> Tensor:
        full = F.interpolate(features, size=SIZE, mode="bilinear")
        sums = torch.zeros(CLASSES, CHANNELS)
        for label in range(CLASSES):
            own = (mask == label)[:, None].float()
            sums[label] = (full * own).sum(dim=(0, 2, 3)) / own.sum()
        return sums

    def ours() -> Tensor:
        sums, counts = class_sums(features, mask, CLASSES)
        return sums / counts[:, None]

    result = compare(reference, ours, rounds=15, goal=Goal(time=30))
    return result | {"largest_difference": float((ours() - reference()).abs().max())}
