"""Adaptation of predictions from a labelled source to an unlabelled target, AdaptSegNet (Tsai et al., CVPR 2018)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, cast

from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.methods.adversary import AS_DEEPLAB
from semiverse.methods.label_map_discriminators import curves_of_sides, refuse_none_class
from semiverse.methods.method import Curve, Method, Opponent, Role
from semiverse.methods.source_or_target import SOURCE, TARGET, Levels, SourceOrTarget
from semiverse.mixture import DomainMixture, Draws, TrainBatch
from semiverse.models import Network, SegmentationModel, SummedAspp, build_head, load_weights
from semiverse.models.saving import find_model
from semiverse.run import Run
from semiverse.upsampling import ScoreMap

log = logging.getLogger(__name__)

MAIN, AUXILIARY = "main", "auxiliary"
PER_OUTPUT = "mean over the discriminator's outputs"


class Adaptation(Method):
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
        discriminator_lr: Learning rate of the discriminators at the start; it decays as the model's does.

    Raises:
        ValueError: If domains have different classes, heads have a channel that is no class, or the encoder has only
            one map.
    """

    optimizer = AS_DEEPLAB
    reads: ClassVar[Mapping[str, Role]] = {
        "adversary": Role("unlabeled", "unlabelled images"),
        "auxiliary_adversary": Role("unlabeled", "unlabelled images"),
        "auxiliary_weight": Role("labeled", "auxiliary head"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        "auxiliary": Curve("Cross entropy of labelled pixels by the auxiliary head", "nats per pixel"),
        "main_adversarial": Curve("Adversarial term of target images, main head", PER_OUTPUT),
        "auxiliary_adversarial": Curve("Adversarial term of target images, auxiliary head", PER_OUTPUT),
        **curves_of_sides(
            ("source", "target"),
            "source_or_target",
            "How often the discriminator of each level is right, on predictions for source and target",
            "Loss of the discriminator of each level on predictions for source and target, means since the previous "
            "validation",
            "mean over its outputs",
        ),
    }

    def __init__(
        self,
        model: SegmentationModel,
        adversary: float = 0.0005,
        auxiliary_adversary: float = 0.00005,
        auxiliary_weight: float = 0.1,
        least_squares: bool = False,
        targets: Literal["concatenated", "balanced"] = "concatenated",
        discriminator_lr: float = 1e-4,
    ) -> None:
        super().__init__(model)
        refuse_none_class(model)
        refuse_separate_labels(model)
        self.adversary_weights = {MAIN: adversary, AUXILIARY: auxiliary_adversary}
        self.auxiliary_weight, self.targets, self.discriminator_lr = auxiliary_weight, targets, discriminator_lr
        judged = [level for level, weight in self.adversary_weights.items() if weight]
        classes = len(next(iter(model.label_spaces.values())))
        self.discriminators = SourceOrTarget(judged, classes, least_squares) if judged else None
        self.auxiliary = auxiliary_head(model) if auxiliary_weight or auxiliary_adversary else None
        self.target_domains: list[str] = []
        self.seen: list[Levels] = []
        """Predictions of this step, for the discriminators to learn from."""

    def attach(self, data: DomainMixture, total_steps: int) -> None:
        """Find the targets: domains without labelled images, whose images are used.

        Raises:
            ValueError: If there is no target to adapt to, or statistics of a domain would never be learned.
        """
        super().attach(data, total_steps)
        self.target_domains = [
            name for name in self.model.label_spaces if not data.labeled[name] and data.unlabeled[name]
        ]
        if self.discriminators is not None and not self.target_domains:
            raise ValueError(
                f"none of the domains {', '.join(self.model.label_spaces)} has images but no labels; expected a target "
                "to adapt to: set data.domains.NAME.labeled: 0, or train on the source alone with adversary: 0 and "
                "auxiliary_adversary: 0"
            )
        looked_at = [] if self.discriminators is None else self.target_domains
        unseen = [name for name in self.model.label_spaces if not data.labeled.get(name) and name not in looked_at]
        if unseen and self.model.config.batch_norm == "per_domain":
            raise ValueError(
                f"domain {', '.join(unseen)} would never go through the network in training, so that batch-norm "
                "statistics of its own could not be learned; expected those of the source: set model.batch_norm: shared"
            )

    def draws(self) -> Draws:
        """Target images from the first step on; without a discriminator they are never read."""
        if self.discriminators is None:
            return Draws()
        return Draws(0, self.target_domains, in_turn=self.targets == "concatenated")

    def opponents(self) -> Sequence[Opponent]:
        """The discriminators of all levels."""
        if self.discriminators is None:
            return ()
        return [Opponent(self.discriminators, self.discriminator_terms, self.discriminator_lr)]

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """The source first, then the target, each image batch through the network by itself."""
        self.seen = []
        for domain, sample in batch.labeled.items():
            yield self.source_loss(sample, domain, 1 / len(batch.labeled))
        if self.discriminators is not None:
            samples = {name: batch.unlabeled[name] for name in self.target_domains if name in batch.unlabeled}
            total = sum(len(one.image) for one in samples.values())
            for domain, one in samples.items():
                yield self.target_loss(one.image, domain, len(one.image) / total, one.padding)

    def levels(self, images: Tensor, domain: str, padding: Tensor | None = None) -> dict[str, ScoreMap]:
        """Images, (N, 3, H, W), and their padding, (N, H, W) → logits of each level, (N, C, h, w)."""
        maps = self.model.encode(images, domain, padding)
        logits = {MAIN: self.model.classify(self.model.network(domain).decoder(maps), domain)}
        if self.auxiliary is not None:
            logits[AUXILIARY] = ScoreMap(self.auxiliary(maps[-2]), self.model.upsampling)
        return logits

    def source_loss(self, sample: Sample, domain: str, share: float) -> Tensor:
        """L_seg of the main head + weight L_seg of the auxiliary one; ``share`` as in ``Levels``."""
        logits = self.levels(sample.image, domain, sample.padding)
        self.seen.append(Levels.cut_off(logits, sample.image, SOURCE, share, sample.padding))
        loss = self.supervised_loss(logits[MAIN], sample, domain)
        if self.auxiliary_weight:
            loss = loss + self.auxiliary_weight * self.supervised_loss(logits[AUXILIARY], sample, domain, AUXILIARY)
        return loss

    def target_loss(self, images: Tensor, domain: str, share: float, padding: Tensor | None = None) -> Tensor:
        """Weighted L_adv of the levels, for target images (N, 3, H, W) that are so much of the step's.

        Outputs of discriminators in their padding, (N, H, W), do not count.
        """
        logits = self.levels(images, domain, padding)
        self.seen.append(Levels.cut_off(logits, images, TARGET, share, padding))
        loss = logits[MAIN].values.new_zeros(())
        discriminators = cast(SourceOrTarget, self.discriminators)
        for level in discriminators.networks:  # the loss of a discriminator, which does not move, on the wrong label
            judgement = discriminators.judge(level, logits[level], self.seen[-1].size)
            extra = discriminators.loss(judgement, SOURCE, padding)
            self.means.add(f"{domain}/{level}_adversarial", extra)
            loss = loss + share * self.adversary_weights[level] * extra
        return loss

    def discriminator_terms(self, batch: TrainBatch) -> Iterator[Tensor]:  # noqa: ARG002  (nothing but predictions)
        """L_D of each level: one half for the source, one half for the target."""
        yield from cast(SourceOrTarget, self.discriminators).losses(self.seen, self.means)
        self.seen = []


def auxiliary_head(model: SegmentationModel) -> nn.Module:
    """A further head for the classes of a model, of the kind that its heads are; it starts from what weights fit."""
    network = cast(Network, next(iter(model.networks.values())))
    channels = network.encoder.channels
    if len(channels) < 2:
        raise ValueError(
            f"encoder {model.config.encoder!r} has one map; expected two or more, for a head on the last but one: use "
            "another encoder, or auxiliary_weight: 0 and auxiliary_adversary: 0"
        )
    classes = len(next(iter(model.label_spaces.values())))
    head, weights = build_head(model.config, channels[-2], classes), model.config.weights
    if weights is not None and weights.is_dir():  # a run, whose last checkpoint has it as ``Adaptation`` does
        weights, part = Run(find_model(weights).parent).last, "auxiliary."
    else:  # a published file, whose ``layer5`` it is where there are two heads
        part = "layer5."
    if weights is not None and weights.is_file() and (part == "auxiliary." or isinstance(head, SummedAspp)):
        log.info("auxiliary head: %s", load_weights(head, weights, part=part, required=None))
    return head


def refuse_separate_labels(model: SegmentationModel) -> None:
    """Refuse a model whose domains have not all the same classes, or not one network."""
    first, *others = model.label_spaces
    for other in others:
        one, two = model.label_spaces[first], model.label_spaces[other]
        if one != two:
            raise ValueError(
                f"domain {first} has the label space {one.name!r} ({', '.join(one.classes)}), domain {other} "
                f"{two.name!r} ({', '.join(two.classes)}); expected one name and the same classes in all domains, as "
                "predictions for source and target are compared class by class: project the datasets with {class_path: "
                "Remapped, init_args: {dataset: ..., mapping: {old: new, ...}, classes: [...], name: common}}, classes "
                "and name the same in each"
            )
    if model.config.separate:
        raise ValueError(
            "Adaptation found model.separate: true, with which the target's network would learn nothing from the "
            "source's labels; expected one network: set it to false"
        )
