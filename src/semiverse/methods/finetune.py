"""Fine-tuning: each domain starts from the network that another domain's labels trained."""

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from torch import Tensor

from semiverse.methods.method import ALWAYS, Method, Role
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel


class Finetune(Method):
    """Transfer by fine-tuning, the "finetune" baseline of Kalluri et al. (2019), section 4.

    Every domain has a network of its own (``model.separate``), which starts from the supervised network of its partner,
    the next domain of the mixture; heads start anew.

    Args:
        model: The model to train, with separate networks.
        head_only: Learn only the heads, as the flag of the public code does; batch-norm statistics still move.

    Raises:
        ValueError: If the model has one shared network, or there is only one domain.
    """

    reads: ClassVar[Mapping[str, Role]] = {ALWAYS: Role("transfer", "transfer from the other domain")}

    def __init__(self, model: SegmentationModel, head_only: bool = False) -> None:
        super().__init__(model)
        if not model.config.separate or len(model.label_spaces) < 2:
            raise ValueError(
                "Finetune needs model.separate: true and at least two domains; "
                f"found separate={model.config.separate}, domains {', '.join(model.label_spaces)}"
            )
        self.head_only = head_only

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """Copy each domain's network from its partner's."""
        trained, domains = networks(), list(self.model.label_spaces)
        for domain, partner in zip(domains, [*domains[1:], domains[0]], strict=True):
            self.model.network(domain).load_state_dict(trained.network(partner).state_dict())

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Cross entropy of each domain (Eq. 1)."""
        for domain, sample in batch.labeled.items():
            features = self.model.features(sample.image, domain, sample.padding)
            logits = self.model.classify(features.detach() if self.head_only else features, domain)
            yield self.supervised_loss(logits, sample, domain)
