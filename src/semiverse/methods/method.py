"""What every method shares: the supervised term, the step, the optimiser, validation."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.methods.bookkeeping import Confusions, Means
from semiverse.methods.non_finite import NonFiniteLossError
from semiverse.methods.processes import average_gradients, mean_over_processes, unsynchronized
from semiverse.mixture import DomainMixture, TrainBatch
from semiverse.models import SegmentationModel, parameter_groups
from semiverse.schedules import polynomial


class Method(LightningModule):
    """An objective for a segmentation model: a subclass writes ``terms``.

    Args:
        model: The model to train; it holds what inference needs, the method what only training needs.
        lr: Learning rate at the start.
        momentum: Of stochastic gradient descent.
        weight_decay: Of all parameters.
        power: Of the polynomial decay.
        decay: Whether the learning rate falls once an epoch (the public code of Kalluri et al.) or every step.
        clip: Largest norm of the gradient; None: no limit.
        head_lr: Factor on the learning rate of the heads, and of whatever else stands behind the decoder; 10 for
            DeepLab-v2.
        zero_border: Upsample scores as the published frozen transposed convolution does: zero outside the image.
    """

    data: DomainMixture
    """Where batches come from; set by ``train`` before anything else, like ``total_steps``."""

    def __init__(
        self,
        model: SegmentationModel,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        power: float = 0.9,
        decay: Literal["epoch", "step"] = "epoch",
        clip: float | None = None,
        head_lr: float = 1.0,
        zero_border: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.power, self.decay, self.clip = power, decay, clip
        self.head_lr, self.zero_border = head_lr, zero_border
        self.steps_done, self.total_steps = 0, 1
        self.means, self.by_decoder = Means(), Confusions(model.label_spaces)
        self.scores: dict[str, float] = {}

    @abstractmethod
    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Losses of one step, whose sum is minimised.

        Each is back-propagated as soon as it is yielded, so that only one term's graph is alive at a time.
        """

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """What has to happen once before a new training.

        Args:
            networks: Gives supervised networks of their own for every domain, trained first if need be.
        """

    def end_epoch(self) -> None:
        """What happens each time the labelled images have been seen once."""

    @property
    def unlabeled_from(self) -> int | None:
        """The step from which on unlabelled images are used; None: never. Before it they are not even read."""
        return None

    @property
    def needs_ground_truth(self) -> bool:
        """Whether a batch draws labelled images once more."""
        return False

    def supervised_loss(self, logits: Tensor, sample: Sample, domain: str) -> Tensor:
        """Cross entropy of the domain's decoder on labelled pixels (Kalluri et al. (2019), Eq. 1).

        Args:
            logits: Of the domain's classes, for the images of the sample, (N, C, h, w).
            sample: With masks (N, H, W).
            domain: Whose label space.
        """
        total, corners = self.labeled_pixels(sample.mask), self.model.config.align_corners
        loss = cross_entropy(logits, sample.mask, None, total, corners, self.zero_border)
        self.means.add(f"{domain}/supervised", loss)
        return loss

    def labeled_pixels(self, mask: Tensor) -> float:
        """Labelled pixels of a batch; with several processes the mean over them, so that they share one mean loss."""
        return max(1.0, float(mean_over_processes((mask != IGNORE).sum().double())))

    def training_step(self, batch: TrainBatch, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's signature)
        """Back-propagate every term of the objective, then step once."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        self.back_propagate(self.terms(batch), optimizer, batch)
        self.move(optimizer, self.learning_rate)
        self.finish_step()

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

    def configure_optimizers(self) -> Optimizer | list[Optimizer]:
        """Stochastic gradient descent over everything of the model that learns, each parameter once."""
        groups = parameter_groups(self.model, head_factor=self.head_lr)
        return SGD(groups, self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def on_fit_start(self) -> None:
        """Reduced precision pays with channels last; full precision does not (docs/performance.md)."""
        if "32" not in str(self.trainer.precision):
            self.model.to(memory_format=torch.channels_last)

    def train_dataloader(self) -> DataLoader[TrainBatch]:
        """Batches from the step that training has reached."""
        return self.data.training(
            lambda: self.steps_done,
            self.unlabeled_from,
            self.trainer.global_rank,
            self.trainer.world_size,
            self.needs_ground_truth,
        )

    def val_dataloader(self) -> list[DataLoader[Sample]]:
        """One loader a domain."""
        return self.data.validation(self.trainer.global_rank, self.trainer.world_size)

    def validation_step(self, sample: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Count predictions for one batch of a domain."""
        domain = list(self.data.domains)[dataloader_idx]
        self.validate_features(self.model.features(sample.image, domain), sample, domain)

    def validate_features(self, features: Tensor, sample: Sample, domain: str) -> None:
        """Count the decoder's predictions from features (N, D, h, w) against masks (N, H, W)."""
        self.by_decoder.add(domain, self.model.classify(features, domain), sample.mask, self.model.config.align_corners)

    def on_validation_epoch_end(self) -> None:
        """Scores of every domain, and their sum over the domains that have labels to validate with."""
        mious = self.by_decoder.take()
        total = sum(miou for miou in mious.values() if not math.isnan(miou))
        self.scores = {f"{domain}/miou": miou for domain, miou in mious.items()} | {"sum_miou": total}

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
