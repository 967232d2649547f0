"""Adaptation of predictions from a labelled source to an unlabelled target, AdaptSegNet (Tsai et al., CVPR 2018)."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, cast

from torch import Tensor
from torch.optim import Optimizer

from semiverse.data import Sample
from semiverse.methods.adversary import (
    AdversarialMethod,
    refuse_none_class,
    refuse_separate_labels,
    refuse_unseen_domains,
)
from semiverse.methods.declarations import Curve, Role
from semiverse.methods.judges import SOURCE, TARGET, Levels, SourceOrTarget, auxiliary_head
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel

MAIN, AUXILIARY = "main", "auxiliary"
RIGHT_ON_SIDES = "How often the discriminator of each level is right, on predictions for source and target"
LOSS_ON_SIDES = (
    "Loss of the discriminator of each level on predictions for source and target, means since the previous validation"
)
"""Titles of what its two sides are drawn together under."""


class Adaptation(AdversarialMethod):
    """Predictions for the target have to look like predictions for the source to a discriminator.

    Domains with labelled images are sources; those without any, whose images are used, are targets; all have the same
    classes. On sources L_seg + ``auxiliary_weight`` L_seg of the auxiliary head is minimised, on targets ``adversary``
    L_adv + ``auxiliary_adversary`` L_adv of the auxiliary head. That head stands on the encoder's last map but one; it
    is there only for training, and only if one of its weights is not 0: without it this is the single-level method.
    With both adversaries 0 it is training on the source alone, which never looks at a target image.

    The paper's weights are 0.001 and 0.0002 (single-level: 0.001; with least squares: 0.01), its training stops after
    150000 steps of one image of each side. The defaults are what the authors' code advises for today's torch.

    Args:
        model: The model to train.
        adversary: Weight of the adversarial term of the main head.
        auxiliary_adversary: Weight of the adversarial term of the auxiliary head.
        auxiliary_weight: Weight of the auxiliary head's cross entropy.
        least_squares: (logit - label)² as the loss of discriminators and against them, instead of the logistic one.
        targets: How several targets are drawn. "concatenated": in turn, each as often as it has images; "balanced": a
            batch of each in every step.
        schedule: Steps at which learning rates would reach zero, 250000 in the paper; None: the length of the training.
        options: Those of ``AdversarialMethod``.

    Raises:
        ValueError: If domains have different classes, heads have a channel that is no class, or the encoder has only
            one map.
    """

    reads: ClassVar[Mapping[str, Role]] = {
        "adversary": Role("unlabeled", "unlabelled images"),
        "auxiliary_adversary": Role("unlabeled", "unlabelled images"),
        "auxiliary_weight": Role("labeled", "auxiliary head"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        "auxiliary": Curve("Cross entropy of labelled pixels by the auxiliary head", "nats per pixel"),
        "main_adversarial": Curve(
            "Adversarial term of target images, main head", "mean over the discriminator's outputs"
        ),
        "auxiliary_adversarial": Curve(
            "Adversarial term of target images, auxiliary head", "mean over the discriminator's outputs"
        ),
        "discriminator_right_on_source": Curve(
            RIGHT_ON_SIDES, "% of its outputs", "source_or_target", ", source", factor=100
        ),
        "discriminator_right_on_target": Curve(
            RIGHT_ON_SIDES, "% of its outputs", "source_or_target", ", target", factor=100
        ),
        "discriminator_on_source": Curve(LOSS_ON_SIDES, "mean over its outputs", "source_or_target_loss", ", source"),
        "discriminator_on_target": Curve(LOSS_ON_SIDES, "mean over its outputs", "source_or_target_loss", ", target"),
    }

    discriminators: SourceOrTarget | None

    def __init__(
        self,
        model: SegmentationModel,
        adversary: float = 0.0005,
        auxiliary_adversary: float = 0.00005,
        auxiliary_weight: float = 0.1,
        least_squares: bool = False,
        targets: Literal["concatenated", "balanced"] = "concatenated",
        schedule: int | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(model, **options)
        refuse_none_class(model)
        refuse_separate_labels(model)
        self.adversary_weights = {MAIN: adversary, AUXILIARY: auxiliary_adversary}
        self.auxiliary_weight, self.targets, self.schedule = auxiliary_weight, targets, schedule
        judged = [level for level, weight in self.adversary_weights.items() if weight]
        if judged:
            classes = len(next(iter(model.label_spaces.values())))
            self.discriminators = SourceOrTarget(judged, classes, least_squares, model.config.align_corners)
        self.auxiliary = auxiliary_head(model) if auxiliary_weight or auxiliary_adversary else None
        self.seen: list[Levels] = []
        """Predictions of this step, for the discriminators to learn from."""

    @property
    def target_domains(self) -> list[str]:
        """Domains without labelled images, whose images are used."""
        return [name for name in self.model.label_spaces if not self.data.labeled[name] and self.data.unlabeled[name]]

    @property
    def unlabeled_from(self) -> int | None:
        """Target images are used from the first step on; without a discriminator they are never read.

        Raises:
            ValueError: If there is no target to adapt to, or statistics of a domain would never be learned.
        """
        targets = None if self.discriminators is None else self.target_domains
        refuse_unseen_domains(self.model, [name for name, records in self.data.labeled.items() if records], targets)
        return None if targets is None else 0

    @property
    def schedule_steps(self) -> int:
        """The step at which a learning rate would reach zero."""
        return self.schedule or self.total_steps

    def train_dataloader(self) -> Any:  # noqa: ANN401  (a loader of batches, as in ``Method``)
        """Batches from the step that training has reached, unlabelled ones of the targets alone."""
        return self.batches(self.target_domains, in_turn=self.targets == "concatenated")

    def configure_optimizers(self) -> Optimizer | list[Optimizer]:
        """Those of every adversarial method; the auxiliary head learns as fast as the main one."""
        optimizers = super().configure_optimizers()
        if self.auxiliary is not None:
            learning = [parameter for parameter in self.auxiliary.parameters() if parameter.requires_grad]
            model = optimizers[0] if isinstance(optimizers, list) else optimizers
            model.add_param_group({"params": learning, "factor": self.head_lr})
        return optimizers

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """The source first, then the target, each image batch through the network by itself."""
        self.seen = []
        for domain, sample in batch.labeled.items():
            yield self.source_loss(sample, domain, 1 / len(batch.labeled))
        if self.discriminators is not None:
            images = {name: batch.unlabeled[name].image for name in self.target_domains if name in batch.unlabeled}
            total = sum(len(one) for one in images.values())
            for domain, one in images.items():
                yield self.target_loss(one, domain, len(one) / total)

    def levels(self, images: Tensor, domain: str) -> dict[str, Tensor]:
        """Images, (N, 3, H, W) → logits of each level, (N, C, h, w)."""
        maps = self.model.encode(images, domain)
        logits = {MAIN: self.model.classify(self.model.network(domain).decoder(maps), domain)}
        if self.auxiliary is not None:
            logits[AUXILIARY] = cast(Tensor, self.auxiliary(maps[-2]))
        return logits

    def source_loss(self, sample: Sample, domain: str, share: float) -> Tensor:
        """L_seg of the main head + weight L_seg of the auxiliary one; ``share`` as in ``Levels``."""
        logits = self.levels(sample.image, domain)
        self.seen.append(Levels.cut_off(logits, sample.image, SOURCE, share))
        loss = self.supervised_loss(logits[MAIN], sample, domain)
        if self.auxiliary_weight:
            loss = loss + self.auxiliary_weight * self.supervised_loss(logits[AUXILIARY], sample, domain, AUXILIARY)
        return loss

    def target_loss(self, images: Tensor, domain: str, share: float) -> Tensor:
        """Weighted L_adv of the levels, for target images (N, 3, H, W) that are so much of the step's."""
        logits = self.levels(images, domain)
        self.seen.append(Levels.cut_off(logits, images, TARGET, share))
        loss = logits[MAIN].new_zeros(())
        for level, extra in cast(SourceOrTarget, self.discriminators).deceive(logits, self.seen[-1].size):
            self.means.add(f"{domain}/{level}_adversarial", extra)
            loss = loss + share * self.adversary_weights[level] * extra
        return loss

    def discriminator_terms(self, batch: TrainBatch) -> Iterator[Tensor]:  # noqa: ARG002  (nothing but predictions)
        """L_D of each level: one half for the source, one half for the target."""
        yield from cast(SourceOrTarget, self.discriminators).losses(self.seen, self.means)
        self.seen = []
