"""A step of ``Consistency`` against one of ``Supervised``: EfficientNet-Lite0, 4 images of 176 x 240 pixels.

The goal is a cost of at most 2.4 supervised steps and 1.3 times their memory; ratios below are those of the
supervised step to ours.
"""

from typing import Any

import torch
from lightning_fabric import Fabric

from benchmarks.depthwise import CONFIG, IMAGES, SIZE
from benchmarks.loop import Loop
from benchmarks.measure import Goal, compare
from semiverse.data import Sample
from semiverse.datasets import SyntheticStreets
from semiverse.methods import Consistency, Supervised
from semiverse.mixture import Domain, DomainMixture, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.training.loop import place

RATE = 5e-4
"""As in the recipes. Where training diverges, exponentials of its scores are below the smallest normal number, and
processors take forty times as long for them."""


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    data = DomainMixture({"streets": Domain(SyntheticStreets(images=8, val_images=2), labeled=4)}, IMAGES, workers=0)
    mask = torch.randint(0, 8, (IMAGES, SIZE[0] // 16, SIZE[1] // 16), dtype=torch.uint8)
    mask = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)
    sample = Sample(torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8), mask, "")
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")

    def loop(method: Any) -> Loop:
        method.attach(data, 10_000)
        place(fabric, method)
        return Loop(fabric, method.train(), RATE)

    supervised = loop(Supervised(SegmentationModel(CONFIG, data.label_spaces)))
    consistency = loop(Consistency(SegmentationModel(CONFIG, data.label_spaces), threshold=0.0, ramp=(0.0, 0.0)))
    with supervised, consistency:
        return compare(
            lambda: supervised.step(TrainBatch({"streets": sample}, {})),
            lambda: consistency.step(TrainBatch({"streets": sample}, {"streets": sample})),
            rounds=8,
            goal=Goal(time=1 / 2.4, memory=1 / 1.3),
        )
