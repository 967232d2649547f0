"""Intersection over union of one 1024 x 2048 prediction with 19 classes.

The reference counts with one-hot maps of prediction and mask, as the evaluation code of ERFNet and its descendants.
"""

from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.evaluation.confusion import confusion, scores
from semiverse.labels import IGNORE

CLASSES, SIZE = 19, (1, 1024, 2048)


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    mask = torch.randint(0, CLASSES, SIZE, dtype=torch.uint8)
    prediction = torch.where(torch.rand(SIZE) < 0.7, mask, torch.randint(0, CLASSES, SIZE, dtype=torch.uint8))
    mask[torch.rand(SIZE) < 0.1] = IGNORE

    def reference() -> Tensor:
        return _one_hot_iou(prediction, mask)

    def ours() -> Tensor:
        return scores(confusion(prediction, mask, CLASSES)).iou

    result = compare(reference, ours, rounds=15, goal=Goal(time=80, memory=70))
    return result | {"largest_difference": float((ours() - reference()).abs().max())}


def _one_hot_iou(prediction, mask):
    target = mask.long()
    target[target == IGNORE] = CLASSES
    shape = (SIZE[0], CLASSES + 1, *SIZE[1:])
    predicted = torch.zeros(shape).scatter_(1, prediction.long()[:, None], 1)[:, :CLASSES]
    true = torch.zeros(shape).scatter_(1, target[:, None], 1)
    ignored, true = true[:, CLASSES:], true[:, :CLASSES]
    both = predicted * true
    false_positive = predicted * (1 - true - ignored)
    false_negative = (1 - predicted) * true
    counts = [product.sum(dim=(0, 2, 3)).double() for product in (both, false_positive, false_negative)]
    return counts[0] / (sum(counts) + 1e-15)
