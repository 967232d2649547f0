"""Arg-max of 19 classes of logits at stride 8, brought to 1024 x 2048.

The reference upsamples all classes, moves the channels last and takes NumPy's arg-max, as the evaluation code of
AdaptSegNet and AdvSemiSeg.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Goal, compare
from semiverse.upsampling import ScoreMap, argmax

CLASSES, CELLS, SIZE = 19, (128, 256), (1024, 2048)


def run() -> dict[str, Any]:
    logits = 3 * torch.randn(1, CLASSES, *CELLS, generator=torch.Generator().manual_seed(0))

    def reference() -> np.ndarray:
        upsampled = F.interpolate(logits, size=SIZE, mode="bilinear")[0].numpy().transpose(1, 2, 0)
        return np.asarray(np.argmax(upsampled, axis=2), dtype=np.uint8)

    def ours() -> Tensor:
        return argmax(ScoreMap(logits), SIZE)

    result = compare(reference, ours, rounds=9, goal=Goal(time=2.4, memory=320 / 55))
    return result | {"differing_pixels": int((ours()[0] != torch.from_numpy(reference())).sum())}
