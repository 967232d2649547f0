"""Steps of a training of EfficientNet-Lite0 with the decoder "mlp", 8 images of 192 x 256 pixels, in float32.

In the reference the C library gives memory back to the system as it does by itself, in ours it keeps it from step to
step as trainings on a CPU do (``allocation.py``). Each in processes of its own: what the library gives back depends on
all that was asked of it before, and so differs from process to process.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.measure import Goal
from semiverse import Domain, DomainMixture, ModelConfig, train
from semiverse.datasets import SyntheticStreets
from semiverse.methods import Method

ROUNDS, WARM_UP, STEPS, IMAGES, SIZE = 3, 5, 15, 8, (192, 256)


def run() -> dict[str, Any]:
    def measured(kind: str) -> dict[str, float]:
        call = [sys.executable, "-m", "benchmarks.allocation", kind]
        found = subprocess.run(call, capture_output=True, text=True, check=True).stdout
        values: dict[str, float] = json.loads(next(line for line in found.splitlines() if line.startswith("{")))
        return values

    pairs = [(measured("given back"), measured("kept")) for _ in range(ROUNDS)]

    def ratio(key: str) -> float:
        return statistics.median(theirs[key] / ours[key] for theirs, ours in pairs)

    goal = Goal(time=1.1, memory=0.95)
    return {
        "rounds": ROUNDS,
        "reference_ms": statistics.median(theirs["ms"] for theirs, _ in pairs),
        "ours_ms": statistics.median(ours["ms"] for _, ours in pairs),
        "ratio": ratio("ms"),
        "reference_pages_a_step": statistics.median(theirs["pages"] for theirs, _ in pairs),
        "our_pages_a_step": statistics.median(ours["pages"] for _, ours in pairs),
        "memory_ratio": ratio("peak_mib"),
        "goal": goal._asdict(),
        "reached": ratio("ms") >= goal.time and ratio("peak_mib") >= (goal.memory or 0),
    }


class Watch:
    """Milliseconds of a step, pages of memory that the system cleared for it, and the most that the process held."""

    def on_step_end(self, method: Method, **_: object) -> None:
        """Begin to count, or say what was counted."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = time.perf_counter()
        if method.steps_done == WARM_UP:
            self.start, self.pages = now, used.ru_minflt
        elif method.steps_done == WARM_UP + STEPS:
            ms, pages = 1e3 * (now - self.start) / STEPS, (used.ru_minflt - self.pages) / STEPS
            print(json.dumps({"ms": ms, "pages": pages, "peak_mib": used.ru_maxrss / 1024}))


def training() -> None:
    data = DomainMixture({"streets": Domain(SyntheticStreets(images=16, val_images=2, size=SIZE))}, IMAGES, workers=1)
    model = ModelConfig("tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False)
    trainer = {"max_steps": WARM_UP + STEPS, "accelerator": "cpu", "precision": "32-true"}
    with tempfile.TemporaryDirectory() as folder:
        told = {"check": False, "validate_every": WARM_UP + STEPS, "callbacks": [Watch()]}
        train(data, model=model, trainer=trainer, out=Path(folder) / "run", **told)


if __name__ == "__main__":
    with nullcontext() if sys.argv[1] == "kept" else patch("semiverse.training.loop.memory_kept", nullcontext):
        training()
