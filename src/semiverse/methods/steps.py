"""How a training takes its steps: gradients, the optimisers' moves, learning rates, the position."""

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from semiverse.distributed import average_gradients, mean_over_processes, unsynchronized
from semiverse.methods.bookkeeping import Means
from semiverse.methods.non_finite import NonFiniteLossError
from semiverse.mixture import DomainMixture, TrainBatch


class Steps(LightningModule):
    """Steps of a training, which are counted, and of which learning rates are functions.

    Args:
        lr: Learning rate at the start.
        momentum: Of stochastic gradient descent.
        weight_decay: Of all parameters.
        power: Of the polynomial decay.
        decay: Whether the learning rate falls once an epoch (the public code of Kalluri et al.) or every step.
        clip: Largest norm of the gradient; None: no limit.
    """

    data: DomainMixture
    """Where batches come from; set by ``train`` before anything else, like ``total_steps``."""

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        power: float = 0.9,
        decay: Literal["epoch", "step"] = "epoch",
        clip: float | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.power, self.decay, self.clip = power, decay, clip
        self.steps_done, self.total_steps = 0, 1
        self.means = Means()

    def back_propagate(self, terms: Iterator[Tensor], optimizer: LightningOptimizer, batch: TrainBatch) -> None:
        """Form the gradients of an optimiser's parameters; nothing moves yet.

        Args:
            terms: What is minimised; each is back-propagated as soon as it is yielded.
            optimizer: Whose parameters will move.
            batch: Where the terms come from, for the message.

        Raises:
            NonFiniteLossError: If a term is not finite.
        """
        optimizer.zero_grad()
        with unsynchronized(self):
            for place, term in enumerate(terms):
                value = float(mean_over_processes(term))  # so that all of them stop where one has to
                if not math.isfinite(value):
                    wrong = [name for name, total in self.means.sums.items() if not torch.isfinite(total)]
                    remedy = f"lower the method's lr ({self.lr}) or set its clip"
                    term_of = f"{getattr(terms, '__name__', 'terms')}[{place}]"
                    raise NonFiniteLossError(self.steps_done, term_of, value, wrong, batch, remedy)
                self.manual_backward(term)

    def move(self, optimizer: LightningOptimizer, learning_rate: float) -> None:
        """Make the gradients those of all processes and step; every group has its own ``factor`` on the rate."""
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        average_gradients(_moving(optimizer))
        optimizer.step()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Limit the gradient of what an optimiser moves: only here is it no longer scaled, as half precision asks."""
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(_moving(optimizer), self.clip)

    def finish_step(self) -> None:
        """Count the step; at the end of an epoch do what happens then."""
        self.steps_done += 1
        if self.steps_done % self.data.steps_per_epoch == 0:
            self.end_epoch()  # part of the step: a checkpoint after it holds what it did

    def end_epoch(self) -> None:
        """What happens each time the labelled images have been seen once."""

    @property
    def progress(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return self.steps_done / self.total_steps

    @property
    def learning_rate(self) -> float:
        """Learning rate of the step that comes next: polynomial decay, once an epoch or every step."""
        return self.lr * self.decayed

    @property
    def decayed(self) -> float:
        """Share of its start value that a learning rate has in the step that comes next."""
        epoch = self.data.steps_per_epoch if self.decay == "epoch" else 1
        return polynomial(self.steps_done // epoch, -(-self.schedule_steps // epoch), self.power)

    @property
    def schedule_steps(self) -> int:
        """The step at which a learning rate would reach zero."""
        return self.total_steps

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the position in the training; what is drawn in a step depends on it alone."""
        means = {"sums": self.means.sums, "counts": self.means.counts}
        checkpoint["semiverse"] = {"steps_done": self.steps_done, "means": means}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from there."""
        state = checkpoint["semiverse"]
        self.steps_done = state["steps_done"]
        self.means.sums, self.means.counts = state["means"]["sums"], state["means"]["counts"]


def _moving(optimizer: Optimizer | LightningOptimizer) -> list[Parameter]:
    """What an optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def polynomial(done: int, total: int, power: float = 0.9) -> float:
    """Factor of the learning rate after ``done`` of ``total`` steps or epochs: (1 - done / total) ** power (B.2)."""
    return float(max(0.0, 1.0 - done / total) ** power)


def ramp(progress: float, begin: float, end: float) -> float:
    """Factor that is 0 until ``begin``, rises linearly and is 1 from ``end`` on; all three are shares of a run."""
    if progress < begin:
        return 0.0
    return 1.0 if progress >= end else (progress - begin) / (end - begin)
