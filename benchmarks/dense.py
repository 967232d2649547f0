"""A training step of EfficientNet-Lite0 with "mlp", 2 images of 512 x 1024 pixels, in float32 with channels last.

The reference has torch's own backward pass of dense convolutions, ours forms the gradient of weights from maps with
channels first (``models/dense.py``). Only on processors with AVX2 alone are they different.
"""

from typing import Any
from unittest.mock import patch

import torch

from benchmarks.measure import Goal, compare
from semiverse.labels import LabelSpace
from semiverse.losses import cross_entropy
from semiverse.models import ModelConfig, SegmentationModel

SPACE = LabelSpace("eleven", tuple(f"class {i}" for i in range(11)))
CONFIG = ModelConfig(encoder="tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False)
IMAGES, SIZE = 2, (512, 1024)


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8)
    mask = torch.randint(0, len(SPACE), (IMAGES, SIZE[0] // 16, SIZE[1] // 16), dtype=torch.uint8)
    mask = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)

    def build() -> SegmentationModel:
        return SegmentationModel(CONFIG, {"city": SPACE}).to(memory_format=torch.channels_last).train()

    def step(model: SegmentationModel, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        cross_entropy(model.classify(model.features(images, "city"), "city"), mask).backward()
        optimizer.step()

    with patch("semiverse.models.network.convert_dense"):
        stock = build()
    converted = build()
    theirs, ours = (torch.optim.AdamW(model.parameters(), 1e-4) for model in (stock, converted))
    alike = torch.backends.cpu.get_cpu_capability() != "AVX2"
    goal = Goal(time=0.95 if alike else 1.15)
    return compare(lambda: step(stock, theirs), lambda: step(converted, ours), rounds=4, goal=goal)
