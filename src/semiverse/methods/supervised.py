"""Supervised learning: the baseline every other method is compared with."""

from collections.abc import Iterator

from torch import Tensor

from semiverse.methods.method import Method
from semiverse.mixture import TrainBatch


class Supervised(Method):
    """Learn from labelled images only.

    With one shared network (the default) this is joint training of all domains, ``univ-basic`` of Kalluri et al.; with
    ``model.separate`` every domain trains a network of its own, their "supervised only".
    """

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Cross entropy of each domain (Eq. 1)."""
        for domain, sample in batch.labeled.items():
            logits = self.model.classify(self.model.features(sample.image, domain, sample.padding), domain)
            yield self.supervised_loss(logits, sample, domain)
