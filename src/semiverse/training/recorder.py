"""What a training writes while it goes: scores, checkpoints, weights, and a bar to watch."""

import io
import json
import time
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO
from safetensors import SafetensorError
from tqdm import tqdm

from semiverse.files import FULL_DISK, write_atomically
from semiverse.methods import Method
from semiverse.methods.bookkeeping import Means
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel
from semiverse.run import Run

BAR_EVERY = 5
"""Steps between looks at the losses: each waits for the device."""


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or absent: a crash or a full disk leaves the previous one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401, ARG002
        """Write to a neighbouring file and rename it into place."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getbuffer())


class StepSeeds(Callback):
    """Makes the random numbers of a step a function of seed, process and step, as its batch is one.

    What happens between steps (validation, loaders, another start) then changes nothing.

    Args:
        seed: Of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401, ARG002
        """Seed torch for the step that comes."""
        key = [self.seed, trainer.global_rank, cast(Method, pl_module).steps_done]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))


class Recorder(Callback):
    """Writes metrics.csv, events, checkpoints and the model of a run, and stops it after its last step.

    Everything is written before the checkpoint that says so: a run that is killed in between repeats the steps since
    the checkpoint before, and writes the same again.

    Args:
        run: Where to.
        keep: Which weights the model folder holds in the end.
        every: Steps between validations.
        save_every: Steps between checkpoints to resume from, beside those at validations.
    """

    def __init__(self, run: Run, keep: Literal["best", "last"], every: int, save_every: int = 100) -> None:
        self.run, self.keep, self.every, self.save_every = run, keep, every, save_every
        self.best, self.best_step = -1.0, 0
        self.seconds = 0.0  # of earlier starts
        self._started = self._since = time.perf_counter()
        self._images = 0
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show where training is; a run that was stopped after its last step has nothing to do."""
        method = cast(Method, pl_module)
        self._started = self._since = time.perf_counter()
        self._bar = tqdm(
            total=method.total_steps,
            initial=method.steps_done,
            desc=self.run.folder.name,
            unit="step",
            dynamic_ncols=True,
            disable=None if trainer.is_global_zero else True,  # None: no bar where no terminal shows it
        )
        trainer.should_stop = method.steps_done >= method.total_steps

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,  # noqa: ARG002
        batch: TrainBatch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count, show, save where no validation will, and stop after the last step, which validates once more."""
        method, bar = cast(Method, pl_module), cast("tqdm[Any]", self._bar)
        samples = [*batch.labeled.values(), *batch.unlabeled.values()]
        self._images += sum(len(sample.image) for sample in samples) * trainer.world_size
        bar.update()
        if not bar.disable and method.steps_done % BAR_EVERY == 0:
            bar.set_postfix(short_means(method), refresh=False)
        trainer.should_stop = method.steps_done >= method.total_steps
        if method.steps_done % self.save_every == 0 and method.steps_done % self.every and not trainer.should_stop:
            share_means(trainer, method.means)  # every process goes on from the one checkpoint
            trainer.save_checkpoint(self.run.last, weights_only=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a row of scores, the model if it is the best so far, and checkpoints."""
        method = cast(Method, pl_module)
        seconds = time.perf_counter() - self._since
        share_means(trainer, method.means)
        row = {"step": method.steps_done, **method.means.take(), **method.scores}
        row |= {"learning_rate": method.learning_rate, "images_per_second": self._images / max(seconds, 1e-9)}
        improved = method.scores["sum_miou"] > self.best
        if improved:
            self.best, self.best_step = method.scores["sum_miou"], method.steps_done
        if trainer.logger is not None:
            trainer.logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=method.steps_done)
        if trainer.is_global_zero:
            self.run.append_metrics(row)
            listed = "  ".join(f"{name} {value:.3f}" for name, value in method.scores.items())
            tqdm.write(f"step {method.steps_done:>6} of {method.total_steps}: {listed}")
            if improved and self.keep == "best":
                save_model(self.run, method.model)
        trainer.save_checkpoint(self.run.best if improved else self.run.last, weights_only=False)
        if improved and trainer.is_global_zero:
            write_atomically(self.run.last, self.run.best.read_bytes())
        self._images, self._since = 0, time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the final model and say that the run is complete; no process goes on before it is."""
        method = cast(Method, pl_module)
        self._close_bar()
        if trainer.is_global_zero:
            if self.keep == "last" or not self.run.model.is_dir():
                save_model(self.run, method.model)
            facts = {"steps": method.steps_done, "seconds": round(self._seconds(), 1), "best_sum_miou": self.best}
            write_atomically(
                self.run.folder / "finished.json", json.dumps(facts | {"best_step": self.best_step}) + "\n"
            )
            print(self._summary(method))
        trainer.strategy.barrier("finished")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Leave the terminal in order."""
        self._close_bar()

    def state_dict(self) -> dict[str, Any]:
        """The best score so far, and the time spent."""
        return {"best": self.best, "best_step": self.best_step, "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.best, self.best_step, self.seconds = (state_dict[name] for name in ("best", "best_step", "seconds"))

    def _seconds(self) -> float:
        return self.seconds + time.perf_counter() - self._started

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _summary(self, method: Method) -> str:
        """What the model folder holds, in a line."""
        step = self.best_step if self.keep == "best" else method.steps_done
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


def short_means(method: Method) -> dict[str, str]:
    """Losses since the last validation for the bar: by their own names, the mean over domains."""
    means = {name: float(total) / method.means.counts[name] for name, total in method.means.sums.items()}
    kinds = list(dict.fromkeys(name.split("/")[-1] for name in means))[:4]
    of_kind = {kind: [value for name, value in means.items() if name.split("/")[-1] == kind] for kind in kinds}
    return {kind: f"{sum(values) / len(values):.3f}" for kind, values in of_kind.items()}


def share_means(trainer: Trainer, means: Means) -> None:
    """Make losses of one process those of all: each is normalised so that the mean over processes is the batch's."""
    if trainer.world_size > 1 and means.sums:
        together = trainer.strategy.reduce(torch.stack(list(means.sums.values())), reduce_op="mean")
        means.sums = dict(zip(means.sums, cast(torch.Tensor, together).unbind(), strict=True))
