"""Steps of a training and images of predictions on a CPU, EfficientNet-Lite0 with the decoder "mlp", in float32.

In the reference the C library gives memory back to the system as it does by itself, in ours it keeps it from step to
step and from image to image (``allocation.py``). Each in processes of its own: what the library gives back depends on
all that was asked of it before, and so differs from process to process.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from benchmarks.measure import Goal
from semiverse import Domain, DomainMixture, ModelConfig, SegmentationModel, train
from semiverse.commands.predict import predict
from semiverse.datasets import SyntheticStreets
from semiverse.labels import LabelSpace
from semiverse.methods import Method

ROUNDS, WARM_UP, STEPS, IMAGES, SIZE = 3, 5, 15, 8, (192, 256)
SMALLEST, LARGEST, PREDICTED = (240, 320), (720, 960), 32
CONFIG = ModelConfig("tf_efficientnet_lite0", decoder="mlp", output_stride=32, pretrained=False)
GOALS = {
    "training": Goal(time=1.1, memory=0.95),
    "images of one size": Goal(time=1.1, memory=0.95),
    "images of many sizes": Goal(time=1.1, memory=0.8),
}


def run() -> dict[str, Any]:
    return {work: _compared(work, goal) for work, goal in GOALS.items()}


def _compared(work: str, goal: Goal) -> dict[str, Any]:
    pairs = [(_measured(work, "given back"), _measured(work, "kept")) for _ in range(ROUNDS)]

    def ratio(key: str) -> float:
        return statistics.median(theirs[key] / ours[key] for theirs, ours in pairs)

    return {
        "rounds": ROUNDS,
        "reference_ms": statistics.median(theirs["ms"] for theirs, _ in pairs),
        "ours_ms": statistics.median(ours["ms"] for _, ours in pairs),
        "ratio": ratio("ms"),
        "reference_pages": statistics.median(theirs["pages"] for theirs, _ in pairs),
        "our_pages": statistics.median(ours["pages"] for _, ours in pairs),
        "memory_ratio": ratio("peak_mib"),
        "goal": goal._asdict(),
        "reached": ratio("ms") >= goal.time and ratio("peak_mib") >= (goal.memory or 0),
    }


def _measured(work: str, kind: str) -> dict[str, float]:
    call = [sys.executable, "-m", "benchmarks.allocation", work, kind]
    found = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    values: dict[str, float] = json.loads(next(line for line in found.splitlines() if line.startswith("{")))
    return values


class Meter:
    """Milliseconds a step or image, pages of memory that the system cleared for it, and the most that was held."""

    def __init__(self) -> None:
        self.start, self.pages = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def say(self, times: int) -> None:
        """Print what so many steps or images took."""
        used, ms = resource.getrusage(resource.RUSAGE_SELF), 1e3 * (time.perf_counter() - self.start) / times
        print(json.dumps({"ms": ms, "pages": (used.ru_minflt - self.pages) / times, "peak_mib": used.ru_maxrss / 1024}))


class Watch:
    """Measures the steps after the first ones."""

    def on_step_end(self, method: Method, **_: object) -> None:
        """Begin to count, or say what was counted."""
        if method.steps_done == WARM_UP:
            self.meter = Meter()
        elif method.steps_done == WARM_UP + STEPS:
            self.meter.say(STEPS)


def training() -> None:
    data = DomainMixture({"streets": Domain(SyntheticStreets(images=16, val_images=2, size=SIZE))}, IMAGES, workers=1)
    trainer = {"max_steps": WARM_UP + STEPS, "accelerator": "cpu", "precision": "32-true"}
    with tempfile.TemporaryDirectory() as folder:
        told = {"check": False, "validate_every": WARM_UP + STEPS, "callbacks": [Watch()]}
        train(data, model=CONFIG, trainer=trainer, out=Path(folder) / "run", **told)


def predicting(many_sizes: bool) -> None:
    """A folder, by the command, of which each image has its own height and width, or all have the largest."""
    drawn = np.random.default_rng(0)
    coarse = Image.fromarray(drawn.integers(0, 256, (12, 16, 3), np.uint8))
    sizes = drawn.integers(SMALLEST, LARGEST, (PREDICTED, 2), endpoint=True) if many_sizes else [LARGEST] * PREDICTED
    with tempfile.TemporaryDirectory() as folder:
        model, photos = Path(folder) / "model", Path(folder) / "photos"
        photos.mkdir()
        SegmentationModel(CONFIG, {"street": LabelSpace("street", ("road", "house", "sign"))}).save(model)
        for number, (height, width) in enumerate(sizes):
            coarse.resize((int(width), int(height))).save(photos / f"{number:02d}.jpg")
        meter = Meter()
        predict(model, [photos], out=Path(folder) / "masks", overlay=False)
        meter.say(PREDICTED)


if __name__ == "__main__":
    _, what, how = sys.argv
    with ExitStack() as stack:
        for place in ("training.loop", "inference.folder") if how == "given back" else ():
            stack.enter_context(patch(f"semiverse.{place}.memory_kept", lambda _: nullcontext(lambda: None)))
        training() if what == "training" else predicting(what == "images of many sizes")
