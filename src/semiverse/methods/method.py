"""What a method is: an objective for a segmentation model, written as the terms of a step."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.losses import cross_entropy
from semiverse.methods.counting import labeled_pixels
from semiverse.methods.optimizer import AS_PUBLISHED, Optimizer
from semiverse.mixture import DomainMixture, Draws, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.upsampling import ScoreMap

ALWAYS = ""
"""The key in ``reads`` of what a method does whatever its options are."""


class Role(NamedTuple):
    """What training does where an option is not zero, false or null.

    Args:
        kind: It reads unlabelled images, or the pseudo-labels of domains that have them, adds something on labelled
            ones, or starts from another domain's network.
        words: What that is, as a verdict says it: "unlabelled images", "label embeddings as anchor".
    """

    kind: Literal["labeled", "unlabeled", "pseudolabels", "transfer"]
    words: str


class Curve(NamedTuple):
    """How a recorded number is shown.

    Args:
        title: What it is; of a panel with several of them, what they are together.
        unit: What stands at the axis.
        panel: Numbers with the same panel are drawn together; empty: alone.
        legend: What tells it apart there.
        scale: Of the axis: any values, whole numbers, or logarithms with zero at the bottom.
        factor: Brings values to the unit.
        by_class: There is one for each class, recorded as ``NAME/CLASS``.
    """

    title: str
    unit: str
    panel: str = ""
    legend: str = ""
    scale: Literal["linear", "whole", "log"] = "linear"
    factor: float = 1.0
    by_class: bool = False


class Opponent(NamedTuple):
    """A second player, which learns in the second half of every step from what the model did in the first.

    Args:
        network: What learns; it stands still while the model learns.
        terms: Its losses, each back-propagated as it is yielded; predictions in them are cut off from the model.
        lr: Its learning rate at the start; it decays as the model's does. Its optimiser is Adam (Hung et al.'s code).
    """

    network: nn.Module
    terms: Callable[[TrainBatch], Iterator[Tensor]]
    lr: float

    def build(self) -> torch.optim.Optimizer:
        """The optimiser that moves it."""
        groups = [{"params": list(self.network.parameters()), "factor": 1.0}]
        return torch.optim.Adam(groups, self.lr, betas=(0.9, 0.99))


class Method(nn.Module):
    """An objective for a segmentation model: a subclass writes ``terms``, and what else it needs of the rest.

    The loop (``training/loop.py``) calls ``attach`` and ``prepare`` once, then in every step ``terms``, those of the
    ``opponents``, and ``after_step``; at validations it asks for the ``result``.

    Everything of a method that requires a gradient learns: encoders, decoders, and what stands behind them as fast as
    heads; only what its opponents are made of has optimisers of its own.

    Args:
        model: The model to train; it holds what inference needs, the method what only training needs.

    Attributes:
        data: What is learned from; known from ``attach`` on, like ``total_steps``.
        total_steps: Length of the training.
        steps_done: Position in it; what is drawn in a step depends on it alone.
        means: Where terms record numbers, as ``DOMAIN/NAME``.
        class_weights: What a pixel of each class counts in supervised terms, (C,), by domain; all alike where there is
            none.
    """

    reads: ClassVar[Mapping[str, Role]] = {}
    """What options stand for, by their dotted names: verdicts of reports come from here."""
    records: ClassVar[Mapping[str, Curve]] = {"supervised": Curve("Cross entropy of labelled pixels", "nats per pixel")}
    """Titles and units of what is recorded, by the last part of its name; those of base classes count as well."""
    optimizer: ClassVar[Optimizer] = AS_PUBLISHED
    """What its authors train with."""

    data: DomainMixture

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        self.model = model
        self.means = Means()
        self.steps_done, self.total_steps = 0, 1
        self.class_weights: Mapping[str, Tensor] = {}

    def attach(self, data: DomainMixture, total_steps: int) -> None:
        """Get to know the data and the length of the training, and refuse what does not fit.

        Raises:
            ValueError: If the method cannot learn from this data.
        """
        self.data, self.total_steps, self.class_weights = data, total_steps, data.class_weights

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """What has to happen once before a new training.

        Args:
            networks: Gives supervised networks of their own for every domain, trained first if need be.
        """

    def draws(self) -> Draws:
        """What batches hold beside labelled images."""
        return Draws()

    @abstractmethod
    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Losses of one step, whose sum is minimised.

        Each is back-propagated as soon as it is yielded, so that only one term's graph is alive at a time. The padding
        of a sample goes with its images: to the model, and as ``mask`` to losses on images without labels.
        """

    def opponents(self) -> Sequence[Opponent]:
        """Those that the model has to deceive."""
        return ()

    def after_step(self) -> None:
        """What follows once everything has moved, such as the step of a teacher; it is part of the step."""

    def result(self) -> SegmentationModel:
        """What is validated and saved."""
        return self.model

    def further_results(self) -> Mapping[str, SegmentationModel]:
        """Models that are validated beside the result, by what they are called: ``DOMAIN/miou_by_NAME``."""
        return {}

    def observe(self, features: Tensor, domain: str) -> None:
        """Record what features of validation images, (N, D, h, w), show beside scores."""

    def measures(self) -> dict[str, float]:
        """Numbers of its own that stand beside the scores of a validation."""
        return {}

    def supervised_loss(self, logits: ScoreMap, sample: Sample, domain: str, title: str = "supervised") -> Tensor:
        """Cross entropy of the domain's decoder on labelled pixels (Kalluri et al. (2019), Eq. 1).

        Args:
            logits: Of the domain's classes, for the images of the sample, (N, C, h, w).
            sample: With masks (N, H, W).
            domain: Whose label space.
            title: What it is recorded as.
        """
        weights = self.class_weights.get(domain)
        loss = cross_entropy(logits, sample.mask, total=labeled_pixels(sample.mask, weights), weights=weights)
        self.means.add(f"{domain}/{title}", loss)
        return loss

    @property
    def progress(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return self.steps_done / self.total_steps

    def later(self, step: int | None) -> int:
        """The step from which on a term counts: the given one, or a quarter of the training (5000 of 20000)."""
        return self.total_steps // 4 if step is None else step

    @property
    def epoch_ends(self) -> bool:
        """Whether the labelled images have just been seen once more; asked after a step."""
        return self.steps_done % self.data.steps_per_epoch == 0


def declared(method: type) -> dict[str, Any]:
    """What a method class declares, as plain values: ``reads`` by option, ``records`` by the last part of a column."""
    reads: Mapping[str, Role] = getattr(method, "reads", {})
    records: dict[str, Curve] = {}
    for kind in reversed(method.__mro__):
        records |= vars(kind).get("records", {})
    return {
        "reads": {option: role._asdict() for option, role in reads.items()},
        "records": {name: curve._asdict() for name, curve in records.items()},
    }


class Means:
    """Means of recorded scalars since they were last taken; sums stay on the device until then."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Record a scalar."""
        value = value.detach().double()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Means by name; counting starts anew."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


def ramp(progress: float, begin: float, end: float) -> float:
    """Factor that is 0 until ``begin``, rises linearly and is 1 from ``end`` on; all three are shares of a run."""
    if progress < begin:
        return 0.0
    return 1.0 if progress >= end else (progress - begin) / (end - begin)
