"""A training step of EfficientNet-Lite0 with the decoder "mlp", 4 images of 176 x 240 pixels, in bfloat16.

The reference has torch's own backward pass of depthwise convolutions, ours that of quick kernels
(``models/depthwise.py``).
"""

from typing import Any
from unittest.mock import patch

import torch

from benchmarks.measure import Goal, compare
from semiverse.labels import LabelSpace
from semiverse.losses import cross_entropy
from semiverse.models import ModelConfig, SegmentationModel

SPACE = LabelSpace("eleven", tuple(f"class {i}" for i in range(11)))
CONFIG = ModelConfig(encoder="tf_efficientnet_lite0", decoder="mlp", output_stride=32)
IMAGES, SIZE = 4, (176, 240)


def run() -> dict[str, Any]:
    return compare_steps("semiverse.models.encoder.convert_depthwise", IMAGES, SIZE, torch.bfloat16, 8, Goal(time=1.5))


def compare_steps(
    conversion: str, count: int, size: tuple[int, int], kind: torch.dtype, rounds: int, goal: Goal
) -> dict[str, Any]:
    """A training step, with channels last, of a network that a conversion was kept from and of one as it is."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8)
    mask = torch.randint(0, len(SPACE), (count, size[0] // 16, size[1] // 16), dtype=torch.uint8)
    mask = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)

    def build() -> SegmentationModel:
        return SegmentationModel(CONFIG, {"city": SPACE}).to(memory_format=torch.channels_last).train()

    def step(model: SegmentationModel, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", kind, enabled=kind != torch.float32):
            loss = cross_entropy(model.classify(model.features(images, "city"), "city"), mask)
        loss.backward()
        optimizer.step()

    with patch(conversion):
        stock = build()
    converted = build()
    theirs, ours = (torch.optim.AdamW(model.parameters(), 1e-4) for model in (stock, converted))
    return compare(lambda: step(stock, theirs), lambda: step(converted, ours), rounds=rounds, goal=goal)
