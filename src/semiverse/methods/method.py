"""What every method shares: the supervised term, the optimiser, its batches, validation."""

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader

from semiverse.data import Sample
from semiverse.distributed import mean_over_processes
from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.methods.bookkeeping import Confusions
from semiverse.methods.declarations import Curve, Role
from semiverse.methods.steps import Steps
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel, parameter_groups


class Method(Steps):
    """An objective for a segmentation model: a subclass writes ``terms``.

    Args:
        model: The model to train; it holds what inference needs, the method what only training needs.
        head_lr: Factor on the learning rate of the heads, and of whatever else stands behind the decoder; 10 for
            DeepLab-v2.
        zero_border: Upsample scores as the published frozen transposed convolution does: zero outside the image.
        options: Those of ``Steps``.
    """

    reads: ClassVar[Mapping[str, Role]] = {}
    """What training does beyond learning from labelled images, by the option that switches it on."""
    records: ClassVar[Mapping[str, Curve]] = {
        "supervised": Curve("Cross entropy of labelled pixels", "nats per pixel"),
    }
    """How numbers are shown that training records, by the last part of their column."""

    def __init__(
        self,
        model: SegmentationModel,
        head_lr: float = 1.0,
        zero_border: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        self.model, self.head_lr, self.zero_border = model, head_lr, zero_border
        self.by_decoder = Confusions(model.label_spaces)
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

    @property
    def unlabeled_from(self) -> int | None:
        """The step from which on unlabelled images are used; None: never. Before it they are not even read."""
        return None

    @property
    def needs_ground_truth(self) -> bool:
        """Whether a batch draws labelled images once more."""
        return False

    def supervised_loss(self, logits: Tensor, sample: Sample, domain: str, title: str = "supervised") -> Tensor:
        """Cross entropy of the domain's decoder on labelled pixels (Kalluri et al. (2019), Eq. 1).

        Args:
            logits: Of the domain's classes, for the images of the sample, (N, C, h, w).
            sample: With masks (N, H, W).
            domain: Whose label space.
            title: What it is recorded as.
        """
        total, corners = self.labeled_pixels(sample.mask), self.model.config.align_corners
        loss = cross_entropy(logits, sample.mask, None, total, corners, self.zero_border)
        self.means.add(f"{domain}/{title}", loss)
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
        return self.batches()

    def batches(
        self, unlabeled_domains: Collection[str] | None = None, in_turn: bool = False
    ) -> DataLoader[TrainBatch]:
        """Those of ``train_dataloader``, unlabelled ones as ``DomainMixture.training`` draws them with this."""
        return self.data.training(
            lambda: self.steps_done,
            self.unlabeled_from,
            self.trainer.global_rank,
            self.trainer.world_size,
            self.needs_ground_truth,
            unlabeled_domains,
            in_turn,
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
