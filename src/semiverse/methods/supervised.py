"""Supervised learning: the baseline every other method is compared with."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from torch import Tensor

from semiverse.methods import pseudolabels
from semiverse.methods.method import Curve, Method, Role
from semiverse.methods.strong_views import StrongView
from semiverse.mixture import Draws, TrainBatch
from semiverse.models import SegmentationModel


class Supervised(Method):
    """Learn from labelled images only, and from pseudo-labels where a domain has them (self-training).

    With one shared network (the default) this is joint training of all domains, ``univ-basic`` of Kalluri et al.; with
    ``model.separate`` every domain trains a network of its own, their "supervised only".

    Args:
        model: The model to train.
        pseudo_weight: Of the cross entropy of pseudo-labels made once, in domains that have ``pseudolabels``.
        strong: How strong views of pseudo-labelled images are drawn; None: as ``Consistency`` draws its own.

    Raises:
        ValueError: If the weight is negative.
    """

    reads: ClassVar[Mapping[str, Role]] = pseudolabels.READS
    records: ClassVar[Mapping[str, Curve]] = pseudolabels.RECORDS

    def __init__(self, model: SegmentationModel, pseudo_weight: float = 1.0, strong: StrongView | None = None) -> None:
        super().__init__(model)
        if pseudo_weight < 0:
            raise ValueError(f"Supervised has pseudo_weight {pseudo_weight}; expected 0 or more: correct it")
        self.pseudo_weight, self.strong = pseudo_weight, strong

    def draws(self) -> Draws:
        """Pseudo-labelled images, where there are any."""
        return Draws(pseudolabeled=True)

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Cross entropy of each domain (Eq. 1), and of its pseudo-labels."""
        for domain, sample in batch.labeled.items():
            logits = self.model.classify(self.model.features(sample.image, domain, sample.padding), domain)
            yield self.supervised_loss(logits, sample, domain)
        for domain in batch.pseudolabeled:
            loss = pseudolabels.pseudolabel_loss(self, batch, domain, self.strong or StrongView())
            yield self.pseudo_weight * loss
