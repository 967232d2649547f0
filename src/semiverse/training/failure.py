"""A loss that is not a number: everything known about it, and a run that repeats its step."""

import json
from typing import Any

import torch
from torch import Tensor

from semiverse.files import write_atomically
from semiverse.methods import Method
from semiverse.mixture import TrainBatch
from semiverse.run import Run

LABELED = "labeled.json"


class NonFiniteLossError(FloatingPointError):
    """A term of the objective is not finite; nothing that learns has moved in its step.

    Args:
        step: Number of steps done before.
        term: Which one: the function it is from and its place among what that gave, from 0.
        value: What the term is, over all processes.
        recorded: Names of the losses recorded since the last validation that are not finite.
        batch: Where the term comes from.
        remedy: What to try, for the message.
    """

    def __init__(self, step: int, term: str, value: float, recorded: list[str], batch: TrainBatch, remedy: str) -> None:
        kinds = {"labeled": batch.labeled, "unlabeled": batch.unlabeled, "ground_truth": batch.ground_truth}
        kinds["pseudolabeled"] = batch.pseudolabeled
        images = {k: {name: sample.id for name, sample in samples.items()} for k, samples in kinds.items() if samples}
        self.facts: dict[str, Any] = {
            "step": step,
            "term": term,
            "value": str(value),  # as JSON knows no such number
            "losses": recorded,
            "images": images,
        }
        named = f" ({', '.join(recorded)})" if recorded else ""
        super().__init__(
            f"the loss {term}{named} is {value} at step {step}, on images {images}; expected a finite number: {remedy}"
        )


class BeforeStep:
    """What a step changes before its losses are known: statistics and means; nothing else has moved by then."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._buffers = [torch.empty_like(buffer) for buffer in method.buffers()]
        self._means: tuple[dict[str, Tensor], dict[str, int]] = {}, {}

    def remember(self) -> None:
        """Keep how it is now."""
        self._means = dict(self.method.means.sums), dict(self.method.means.counts)
        torch._foreach_copy_(self._buffers, list(self.method.buffers()))

    @torch.no_grad()
    def restore(self) -> None:
        """Make it again as it was."""
        self.method.means.sums, self.method.means.counts = self._means
        torch._foreach_copy_(list(self.method.buffers()), self._buffers)


def write_failure(run: Run, error: NonFiniteLossError) -> None:
    """Leave in ``failure`` a run that stopped right before the step whose loss is not finite: going on repeats it.

    Beside the state before the step, its checkpoint, it holds the run's configuration and labelled images, and
    ``failure.json``: what was not finite, on which images, and the command that repeats it.
    """
    failure = run.failure
    for kept in (run.config, run.folder / LABELED):
        if kept.is_file():
            write_atomically(failure.folder / kept.name, kept.read_bytes())
    replay = f"semiverse train --config {failure.config} --out {failure.folder}"
    write_atomically(failure.failed, json.dumps(error.facts | {"replay": replay}, indent=1) + "\n")
