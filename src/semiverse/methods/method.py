"""What every method shares: the supervised term, the step, the optimiser, validation."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.distributed import all_reduce
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.methods.bookkeeping import Confusions, Means
from semiverse.methods.processes import average_gradients, process_count, unsynchronized
from semiverse.mixture import DomainMixture, TrainBatch
from semiverse.models import SegmentationModel
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
        zero_border: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.power, self.decay, self.clip, self.zero_border = power, decay, clip, zero_border
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

    def supervised_loss(self, features: Tensor, sample: Sample, domain: str) -> Tensor:
        """Cross entropy of the domain's decoder on labelled pixels (Kalluri et al. (2019), Eq. 1).

        Args:
            features: Of the images of the sample, (N, D, h, w).
            sample: With masks (N, H, W).
            domain: Whose head and label space.
        """
        logits, total = self.model.classify(features, domain), self.labeled_pixels(sample.mask)
        loss = cross_entropy(logits, sample.mask, total=total, zero_border=self.zero_border)
        self.means.add(f"{domain}/supervised", loss)
        return loss

    def labeled_pixels(self, mask: Tensor) -> float:
        """Labelled pixels of a batch; with several processes the mean over them, so that they share one mean loss."""
        count = (mask != IGNORE).sum().double()
        if process_count() > 1:
            all_reduce(count)
        return max(1.0, float(count) / process_count())

    def training_step(self, batch: TrainBatch, batch_idx: int) -> None:  # noqa: ARG002  (Lightning's signature)
        """Back-propagate every term of the objective, then step once."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate
        optimizer.zero_grad()
        with unsynchronized(self):
            for term in self.terms(batch):
                if not torch.isfinite(term):
                    raise FloatingPointError(self._not_finite(term, batch))
                self.manual_backward(term)
        average_gradients(self.parameters())
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.clip)
        optimizer.step()
        self.steps_done += 1
        if self.steps_done % self.data.steps_per_epoch == 0:
            self.end_epoch()  # part of the step: a checkpoint after it holds what it did

    def _not_finite(self, term: Tensor, batch: TrainBatch) -> str:
        images = {name: sample.id for name, sample in [*batch.labeled.items(), *batch.unlabeled.items()]}
        return (
            f"the loss is {float(term)} at step {self.steps_done}, on images {images}; expected a finite number: lower "
            f"the method's lr ({self.lr}) or set its clip"
        )

    @property
    def progress(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return self.steps_done / self.total_steps

    @property
    def learning_rate(self) -> float:
        """Learning rate of the step that comes next: polynomial decay, once an epoch or every step."""
        epoch = self.data.steps_per_epoch if self.decay == "epoch" else 1
        return self.lr * polynomial(self.steps_done // epoch, -(-self.total_steps // epoch), self.power)

    def configure_optimizers(self) -> Optimizer:
        """Stochastic gradient descent over everything that learns."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return SGD(learning, self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def on_fit_start(self) -> None:
        """Reduced precision pays with channels last; full precision does not (docs/performance.md)."""
        if "32" not in str(self.trainer.precision):
            self.model.to(memory_format=torch.channels_last)

    def train_dataloader(self) -> DataLoader[TrainBatch]:
        """Batches from the step that training has reached."""
        trainer = self.trainer
        return self.data.training(lambda: self.steps_done, self.unlabeled_from, trainer.global_rank, trainer.world_size)

    def val_dataloader(self) -> list[DataLoader[Sample]]:
        """One loader a domain."""
        return self.data.validation(self.trainer.global_rank, self.trainer.world_size)

    def validation_step(self, sample: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        """Count predictions for one batch of a domain."""
        domain = list(self.data.domains)[dataloader_idx]
        self.validate_features(self.model.features(sample.image, domain), sample, domain)

    def validate_features(self, features: Tensor, sample: Sample, domain: str) -> None:
        """Count the decoder's predictions from features (N, D, h, w) against masks (N, H, W)."""
        self.by_decoder.add(domain, self.model.classify(features, domain), sample.mask)

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
