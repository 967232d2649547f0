"""A training step of EfficientNet-Lite0 with "mlp", 2 images of 512 x 1024 pixels, in float32 with channels last.

The reference has torch's own backward pass of dense convolutions, ours forms the gradient of weights by products of
matrices (``models/dense.py``). Only on processors with AVX2 alone are they different.
"""

from typing import Any

import torch

from benchmarks.depthwise import compare_steps
from benchmarks.measure import Goal


def run() -> dict[str, Any]:
    alike = torch.backends.cpu.get_cpu_capability() != "AVX2"
    goal = Goal(time=0.95 if alike else 1.15)
    return compare_steps("semiverse.models.network.convert_dense", 2, (512, 1024), torch.float32, 4, goal)
