"""What a training writes while it goes: scores, checkpoints, weights, and how far it is."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from lightning_fabric import Fabric
from safetensors import SafetensorError

from semiverse.files import FULL_DISK, write_atomically
from semiverse.methods import Method
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel
from semiverse.progress import Progress
from semiverse.run import Run
from semiverse.training.checkpoint import Checkpoint

LOOK_EVERY = 5
"""Steps between looks at the losses: each waits for the device."""


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
        if not fabric.is_global_zero:
            yield
            return
        title = self.run.folder.name
        with Progress(title, method.total_steps, "steps", method.steps_done, delay=0) as self._progress:
            yield

    def count(self, batch: TrainBatch) -> None:
        """Note that a step is done."""
        samples = [*batch.labeled.values(), *batch.unlabeled.values()]
        self._images += sum(len(sample.image) for sample in samples) * self.fabric.world_size
        if self._progress is not None:
            shown = self._progress.drawn and self.method.steps_done % LOOK_EVERY == 0
            self._progress.advance(note=short_means(self.method) if shown else "")

    def write_row(self, scores: dict[str, float], learning_rate: float, checkpoint: Checkpoint) -> dict[str, float]:
        """Write a row of scores, the model if it is the best so far, and checkpoints."""
        method, seconds = self.method, time.perf_counter() - self._since
        checkpoint.share_means()
        row: dict[str, float] = {"step": method.steps_done, **method.means.take(), **scores}
        row |= {"learning_rate": learning_rate, "images_per_second": self._images / max(seconds, 1e-9)}
        improved = scores["sum_miou"] > self.best
        if improved:
            self.best, self.best_step = scores["sum_miou"], method.steps_done
        self.fabric.log_dict({k: v for k, v in row.items() if k != "step"}, step=method.steps_done)
        if self.fabric.is_global_zero:
            self.run.append_metrics(row)
            listed = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            self._say(f"step {method.steps_done:>6} of {method.total_steps}: {listed}")
            if improved and self.keep == "best":
                save_model(self.run, method.result())
        checkpoint.save(self.run.best if improved else self.run.last)
        if improved and self.fabric.is_global_zero:
            write_atomically(self.run.last, self.run.best.read_bytes())
        self._images, self._since = 0, time.perf_counter()
        return row

    def finish(self) -> None:
        """Write the final model and say that the run is complete."""
        if not self.fabric.is_global_zero:
            return
        if self.keep == "last" or not self.run.model.is_dir():
            save_model(self.run, self.method.result())
        facts = {"steps": self.method.steps_done, "seconds": round(self._seconds(), 1), "best_sum_miou": self.best}
        write_atomically(self.run.folder / "finished.json", json.dumps(facts | {"best_step": self.best_step}) + "\n")
        self._say(self._summary())

    def state(self) -> dict[str, Any]:
        """The best score so far, and the time spent."""
        return {"best": self.best, "best_step": self.best_step, "seconds": self._seconds()}

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self.best, self.best_step, self.seconds = (state[name] for name in ("best", "best_step", "seconds"))

    def _seconds(self) -> float:
        return self.seconds + time.perf_counter() - self._started

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress.say(line)

    def _summary(self) -> str:
        """What the model folder holds, in a line."""
        step = self.best_step if self.keep == "best" else self.method.steps_done
        rows = [row for row in self.run.read_metrics() if int(row["step"]) == step]
        scores = [f"{name} {float(value):.3f}" for row in rows for name, value in row.items() if name.endswith("miou")]
        what = "best" if self.keep == "best" else "last"
        return f"{self.run.model}: {what} weights, of step {step}: {'  '.join(scores)} ({self._seconds():.0f} s)"


def save_model(run: Run, model: SegmentationModel) -> None:
    """Replace the model folder of a run.

    Raises:
        OSError: If it cannot be written; the previous model stays.
    """
    try:
        model.save(run.model)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{run.model} cannot be written ({error}); {FULL_DISK}") from error


def short_means(method: Method) -> str:
    """Losses since the last validation for the bar: by their own names, the mean over domains."""
    means = {name: float(total) / method.means.counts[name] for name, total in method.means.sums.items()}
    kinds = list(dict.fromkeys(name.split("/")[-1] for name in means))[:4]
    of_kind = {kind: [value for name, value in means.items() if name.split("/")[-1] == kind] for kind in kinds}
    return ", ".join(f"{kind} {sum(values) / len(values):.3f}" for kind, values in of_kind.items())
