"""What is left of a training that came to a loss that is not finite."""

import json
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from semiverse.files import write_atomically
from semiverse.methods import Method
from semiverse.methods.non_finite import NonFiniteLossError
from semiverse.run import Run
from semiverse.training.labeled import FILE as LABELED


class FailureDump(Callback):
    """Leaves a run that stopped right before a step whose loss is not finite, so that going on repeats the step.

    It lies in ``failure`` inside the run folder: the run's configuration and labelled images, the state before the step
    as ``checkpoints/last.ckpt``, and ``failure.json``: what was not finite, on which images, and the command that
    repeats it.

    Args:
        run: The run that is trained.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._buffers: list[torch.Tensor] = []
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401, ARG002
        """Remember what a step changes before its loss is known: statistics and means; nothing else has moved then."""
        means, buffers = cast(Method, pl_module).means, list(pl_module.buffers())
        self._sums, self._counts = dict(means.sums), dict(means.counts)
        if not self._buffers:
            self._buffers = [torch.empty_like(buffer) for buffer in buffers]
        torch._foreach_copy_(self._buffers, buffers)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the run that repeats the step."""
        if not isinstance(exception, NonFiniteLossError):
            return
        method, failure = cast(Method, pl_module), self.run.failure
        method.means.sums, method.means.counts = self._sums, self._counts
        with torch.no_grad():
            torch._foreach_copy_(list(method.buffers()), self._buffers)
        trainer.save_checkpoint(failure.last, weights_only=False)
        if trainer.is_global_zero:
            for kept in (self.run.config, self.run.folder / LABELED):
                if kept.is_file():
                    write_atomically(failure.folder / kept.name, kept.read_bytes())
            replay = f"semiverse train --config {failure.config} --out {failure.folder}"
            write_atomically(failure.failed, json.dumps(exception.facts | {"replay": replay}, indent=1) + "\n")
