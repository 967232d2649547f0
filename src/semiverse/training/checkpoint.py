"""Checkpoints: everything that a training goes on from, so that a resumed one is the same bit for bit."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch.optim import Optimizer

from semiverse.distributed import mean_over_processes, process_count
from semiverse.files import write_atomically
from semiverse.methods import Method

if TYPE_CHECKING:
    from semiverse.training.recorder import Recorder

FORMAT = 2
"""Of the entries of a file; 1 was Lightning's."""


class Checkpoint:
    """Reads and writes the state of a training.

    Args:
        fabric: Whose precision may have a state, and which process writes.
        method: What is trained.
        optimizers: What moves it, and its opponents.
        recorder: What the run has seen so far.
    """

    def __init__(self, fabric: Fabric, method: Method, optimizers: Sequence[Optimizer], recorder: "Recorder") -> None:
        self.fabric, self.method, self.optimizers, self.recorder = fabric, method, optimizers, recorder

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all; every process goes on from the one.

        Raises:
            OSError: If it cannot be written; the previous one stays.
        """
        self.share_means()
        if self.fabric.is_global_zero:
            write_atomically(path, self.content())

    def content(self) -> bytes:
        """The file."""
        method, buffer = self.method, io.BytesIO()
        state = {
            "format": FORMAT,
            "state_dict": method.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "steps_done": method.steps_done,
            "means": {"sums": method.means.sums, "counts": method.means.counts},
            "precision": self.fabric.strategy.precision.state_dict(),
            "recorder": self.recorder.state(),
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one.

        Raises:
            ValueError: If a version of this library wrote it whose trainings cannot be gone on with.
        """
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.fabric.device, weights_only=True)
        if state.get("format") != FORMAT:
            raise ValueError(
                f"{path} is a checkpoint of an earlier version of semiverse; expected one of this version, as only "
                "that can be resumed: evaluate or predict with its model, start from it with model.weights, or train "
                "into another --out"
            )
        method = self.method
        method.load_state_dict(state["state_dict"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        method.steps_done = state["steps_done"]
        method.means.sums, method.means.counts = state["means"]["sums"], state["means"]["counts"]
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.recorder.go_on(state["recorder"])

    def share_means(self) -> None:
        """Make losses of one process those of all: each is normalised so that their mean is the batch's."""
        means = self.method.means
        if process_count() > 1 and means.sums:
            together = mean_over_processes(torch.stack(list(means.sums.values())))
            means.sums = dict(zip(means.sums, together.unbind(), strict=True))
