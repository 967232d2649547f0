"""What a training writes while it goes: scores, checkpoints, weights, and how far it is.

A checkpoint holds everything that a training goes on from, so that a resumed one is the same bit for bit.
"""

import io
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from torch import Tensor
from torch.optim import Optimizer

from semiverse.distributed import mean_over_processes, process_count
from semiverse.files import FULL_DISK, write_atomically
from semiverse.inference.domains import note_domains
from semiverse.methods import Method
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel
from semiverse.progress import Progress
from semiverse.run import Run
from semiverse.training.sharding import divide_state, divided_as, whole

log = logging.getLogger(__name__)

FORMAT = 2
"""Of the entries of a checkpoint; 1 was Lightning's."""


class Recorder:
    """Writes metrics.csv, events, checkpoints and the model of a run.

    Everything is written before the checkpoint that says so: a run that is killed in between repeats the steps since
    the checkpoint before, and writes the same again.

    Args:
        run: Where to.
        keep: Which weights the model folder holds in the end.
        every: Steps between validations.
        save_every: Steps between checkpoints to resume from, beside those at validations.
    """

    method: Method
    fabric: Fabric

    def __init__(self, run: Run, keep: Literal["best", "last"], every: int, save_every: int = 100) -> None:
        self.run, self.keep, self.every, self.save_every = run, keep, every, save_every
        self.best, self.best_step = -1.0, 0
        self.seconds = 0.0  # of earlier starts
        self._started = self._since = time.perf_counter()
        self._images = 0
        self._progress: Progress | None = None

    @contextmanager
    def watch(self, method: Method, fabric: Fabric) -> Iterator[None]:
        """Show where a training is, from the step that it has reached."""
        self.method, self.fabric = method, fabric
        self._started = self._since = time.perf_counter()
        title, length = self.run.folder.name, method.total_steps
        shown = Progress(title, length, "steps", method.steps_done, delay=0) if fabric.is_global_zero else nullcontext()
        with shown as self._progress:
            yield

    def count(self, batch: TrainBatch) -> None:
        """Note that a step is done."""
        samples = [*batch.labeled.values(), *batch.unlabeled.values(), *batch.pseudolabeled.values()]
        self._images += sum(len(sample.image) for sample in samples) * self.fabric.world_size
        if self._progress is not None:
            shown = self._progress.drawn and self.method.steps_done % 5 == 0  # as each look waits for the device
            self._progress.advance(note=short_means(self.method) if shown else "")

    def write_row(self, scores: dict[str, float], learning_rate: float, checkpoint: "Checkpoint") -> dict[str, float]:
        """Write a row of scores, the model if it is the best so far, and checkpoints."""
        method, seconds = self.method, time.perf_counter() - self._since
        checkpoint.share_means()
        row: dict[str, float] = {"step": method.steps_done, **method.means.take(), **scores}
        row |= {"learning_rate": learning_rate, "images_per_second": self._images / max(seconds, 1e-9)}
        # Where nothing can be scored, the latest weights are the best that is known.
        unscored = all(math.isnan(value) for name, value in scores.items() if name.endswith("/miou"))
        improved = unscored or scores["sum_miou"] > self.best
        if improved:
            self.best, self.best_step = scores["sum_miou"], method.steps_done
        try:
            self.fabric.log_dict({k: v for k, v in row.items() if k != "step"}, step=method.steps_done)
        except ValueError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            raise error.__cause__ from None  # a full disk, which Lightning tells as numbers that cannot be logged
        if improved and self.keep == "best":
            self.save_model()
        if self.fabric.is_global_zero:
            self.run.append_metrics(row)
            listed = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            if self._progress is not None:
                self._progress.say(f"step {method.steps_done:>6} of {method.total_steps}: {listed}")
        checkpoint.save(self.run.best if improved else self.run.last)
        if improved and self.fabric.is_global_zero:
            write_atomically(self.run.last, self.run.best.read_bytes())
        self._images, self._since = 0, time.perf_counter()
        return row

    def finish(self) -> None:
        """Write the final model and say that the run is complete."""
        if self.keep == "last" or self.fabric.broadcast(not self.run.model.is_dir()):
            self.save_model()
        if not self.fabric.is_global_zero:
            return
        if len(self.method.result().label_spaces) > 1:  # an only one need not be recognized
            self.note_domains()
        facts = {"steps": self.method.steps_done, "seconds": round(self.seconds_spent(), 1), "best_sum_miou": self.best}
        write_atomically(self.run.folder / "finished.json", json.dumps(facts | {"best_step": self.best_step}) + "\n")
        step = self.best_step if self.keep == "best" else self.method.steps_done
        rows = [row for row in self.run.read_metrics() if int(row["step"]) == step]
        scores = [f"{name} {float(value):.3f}" for row in rows for name, value in row.items() if name.endswith("miou")]
        holds = f"{self.run.model}: {self.keep} weights, of step {step}"
        if self._progress is not None:
            self._progress.say(f"{holds}: {'  '.join(scores)} ({self.seconds_spent():.0f} s)")

    def save_model(self) -> None:
        """Replace the model folder; if it cannot be written, the previous model stays."""
        model = self.method.result()
        weights = whole(model.state_dict())
        if self.fabric.is_global_zero:
            write_model_or_explain(model, self.run.model, weights)

    def note_domains(self) -> None:
        """Add to the model what images of its domains look like, so that it can tell which an image resembles."""
        model = SegmentationModel.load(self.run.model, self.fabric.device)
        try:
            note_domains(model, self.method.data)
        except (OSError, ValueError) as error:  # the training is done, whatever became of its images meanwhile
            log.warning("the model cannot tell its domains apart, as an image could not be read: %s", error)
        else:
            write_model_or_explain(model, self.run.model)

    def seconds_spent(self) -> float:
        """Time of all starts together."""
        return self.seconds + time.perf_counter() - self._started


def write_model_or_explain(model: SegmentationModel, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Save a model, with these weights or its own.

    Raises:
        OSError: If it cannot be written; the previous one stays.
    """
    try:
        model.save(folder, weights)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{folder} cannot be written ({error}); {FULL_DISK}") from error


def short_means(method: Method) -> str:
    """Losses since the last validation for the bar: by their own names, the mean over domains."""
    means = {name: float(total) / method.means.counts[name] for name, total in method.means.sums.items()}
    kinds = list(dict.fromkeys(name.split("/")[-1] for name in means))[:4]
    of_kind = {kind: [value for name, value in means.items() if name.split("/")[-1] == kind] for kind in kinds}
    return ", ".join(f"{kind} {sum(values) / len(values):.3f}" for kind, values in of_kind.items())


class Checkpoint:
    """Reads and writes the state of a training.

    Args:
        fabric: Whose precision may have a state, and which process writes.
        method: What is trained.
        optimizers: What moves it, and its opponents.
        recorder: What the run has seen so far.
    """

    def __init__(self, fabric: Fabric, method: Method, optimizers: Sequence[Optimizer], recorder: Recorder) -> None:
        self.fabric, self.method, self.optimizers, self.recorder = fabric, method, optimizers, recorder

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all; every process goes on from the one.

        Raises:
            OSError: If it cannot be written; the previous one stays.
        """
        self.share_means()
        state = self.state()
        if self.fabric.is_global_zero:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            write_atomically(path, buffer.getvalue())

    def state(self) -> dict[str, Any]:
        """What the file holds, for every process, as all of them have to ask."""
        method, recorder = self.method, self.recorder
        return {
            "format": FORMAT,
            "state_dict": whole(method.state_dict()),
            "optimizers": whole([optimizer.state_dict() for optimizer in self.optimizers]),
            "steps_done": method.steps_done,
            "means": {"sums": method.means.sums, "counts": method.means.counts},
            "precision": self.fabric.strategy.precision.state_dict(),
            "recorder": {"best": recorder.best, "best_step": recorder.best_step, "seconds": recorder.seconds_spent()},
        }

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one.

        Raises:
            ValueError: If a version of this library wrote it whose trainings cannot be gone on with.
        """
        if not path.is_file():
            return
        with self.recorder.run.part(path):
            state = torch.load(path, map_location=self.fabric.device, weights_only=True)
            if not isinstance(state, dict):
                raise ValueError(f"found {type(state).__name__}")
        if state.get("format") != FORMAT:
            raise ValueError(
                f"{path} is a checkpoint of an earlier version of semiverse; expected one of this version, as only "
                "that can be resumed: evaluate or predict with its model, start from it with model.weights, or train "
                "into another --out"
            )
        with self.recorder.run.part(path):
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        """Set everything as a checkpoint holds it."""
        method = self.method
        method.load_state_dict(divided_as(method.state_dict(), state["state_dict"]))
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
            divide_state(optimizer)
        method.steps_done = state["steps_done"]
        method.means.sums, method.means.counts = state["means"]["sums"], state["means"]["counts"]
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        recorder, seen = self.recorder, state["recorder"]
        recorder.best, recorder.best_step, recorder.seconds = seen["best"], seen["best_step"], seen["seconds"]

    def share_means(self) -> None:
        """Make losses of one process those of all: each is normalised so that their mean is the batch's."""
        means = self.method.means
        if process_count() > 1 and means.sums:
            together = mean_over_processes(torch.stack(list(means.sums.values())))
            means.sums = dict(zip(means.sums, together.unbind(), strict=True))
