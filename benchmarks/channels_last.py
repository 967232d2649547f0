"""A training step of EfficientNet-Lite0 with the decoder "mlp", 4 images of 176 x 240 pixels, in float32.

The reference has channels first, as torch builds networks; ours channels last, as training brings a network with
depthwise convolutions to a CPU (``quicker_with_channels_last``).
"""

import copy
from typing import Any

import torch

from benchmarks.depthwise import CONFIG, IMAGES, SIZE, SPACE
from benchmarks.measure import Goal, compare
from semiverse.losses import cross_entropy
from semiverse.models import SegmentationModel


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8)
    mask = torch.randint(0, len(SPACE), (IMAGES, SIZE[0] // 16, SIZE[1] // 16), dtype=torch.uint8)
    mask = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)

    def step(model: SegmentationModel, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        cross_entropy(model.classify(model.features(images, "city"), "city"), mask).backward()
        optimizer.step()

    first = SegmentationModel(CONFIG, {"city": SPACE}).train()
    last = copy.deepcopy(first).to(memory_format=torch.channels_last)
    theirs, ours = (torch.optim.AdamW(model.parameters(), 1e-4) for model in (first, last))
    return compare(lambda: step(first, theirs), lambda: step(last, ours), rounds=8, goal=Goal(time=1.15))
