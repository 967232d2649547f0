"""Entropies of 19 + 11 label similarities at 512 x 512, forward and backward to the feature map and the projection.

The reference follows the published order: project to 128 channels, bring them to full resolution with the frozen
transposed convolution, then form similarities and entropies there.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.losses import entropy
from semiverse.upsampling import ScoreMap, Upsampling

IMAGES, CHANNELS, EMBEDDING, CELLS, PIXELS = 4, 512, 128, 64, 512
LABELS = (19, 11)


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    features = torch.randn(IMAGES, CHANNELS, CELLS, CELLS).relu().requires_grad_()
    projection = (0.05 * torch.randn(EMBEDDING, CHANNELS, 1, 1)).requires_grad_()
    rows = [F.normalize(torch.randn(count, EMBEDDING)) for count in LABELS]

    def reference() -> list[Tensor]:
        return _step(_published_order, features, projection, rows)

    def ours() -> list[Tensor]:
        return _step(_folded, features, projection, rows)

    differences = [_relative(mine, slow) for mine, slow in zip(ours(), reference(), strict=True)]
    result = compare(reference, ours, rounds=5, goal=Goal(time=15, memory=30))
    return result | {"relative_difference": dict(zip(("loss", "features", "projection"), differences, strict=True))}


def _step(loss, features, projection, rows):
    value = loss(features, projection, rows)
    return [value.detach(), *torch.autograd.grad(value, (features, projection))]


def _folded(features, projection, rows):
    weight = torch.cat(rows) @ projection.flatten(1)
    # A batched product: the gradient of a 1x1 convolution copies the whole feature map.
    scores = torch.bmm(weight.expand(IMAGES, -1, -1), features.flatten(2)).unflatten(2, (CELLS, CELLS))
    return entropy(ScoreMap(scores, Upsampling(zero_border=True)), (PIXELS, PIXELS), LABELS).sum()


def _published_order(features, projection, rows):
    ramp = torch.tensor([1, 3, 5, 7, 9, 11, 13, 15, 15, 13, 11, 9, 7, 5, 3, 1]) / 16
    kernel = torch.outer(ramp, ramp).expand(EMBEDDING, 1, 16, 16)
    embedding = F.conv_transpose2d(F.conv2d(features, projection), kernel, stride=8, padding=4, groups=EMBEDDING)
    total = torch.zeros(())
    for centres in rows:
        scores = F.conv2d(embedding, centres[:, :, None, None])
        total = total - (scores.softmax(dim=1) * scores.log_softmax(dim=1)).sum(dim=1).mean()
    return total


def _relative(mine: Tensor, slow: Tensor) -> float:
    return float((mine - slow).norm() / slow.norm())
