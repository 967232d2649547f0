"""Adversarial semi-supervised learning, AdvSemiSeg (Hung et al., BMVC 2018, arXiv:1802.07934)."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy, pseudo_labels
from semiverse.methods.adversary import AdversarialMethod
from semiverse.methods.declarations import Curve, Role
from semiverse.methods.judges import LabelMapDiscriminators, Prediction
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel

RIGHT_ON_MAPS = "How often the discriminator is right, on predictions and on label maps"
LOSS_ON_MAPS = (
    "Cross entropy of the discriminator on predictions and on label maps, means since the previous validation"
)
"""Titles of what its two sides are drawn together under."""


class Adversarial(AdversarialMethod):
    """Predictions have to look like label maps to a discriminator, which also says where they can be labels themselves.

    There is one discriminator a label space; unlabelled images of a label space without any label are left out. On
    labelled images L_ce + ``labeled_adversary`` L_adv is minimised, on unlabelled ones ``unlabeled_adversary`` L_adv +
    ``pseudo_weight`` L_semi. Published lengths: 20000 steps of 10 images (Pascal VOC), 40000 of 2 (Cityscapes).

    Args:
        model: The model to train.
        labeled_adversary: Weight of the adversarial term on labelled images.
        unlabeled_adversary: Weight of the adversarial term on unlabelled images.
        pseudo_weight: Weight of the cross entropy with the model's own predictions where the discriminator trusts them.
        pseudo_from: Step from which on that counts; None: after a quarter of the training, as 5000 of 20000.
        threshold: Confidence of the discriminator, in [0, 1], from which on it trusts a prediction.
        options: Those of ``AdversarialMethod``.
    """

    reads: ClassVar[Mapping[str, Role]] = {
        "unlabeled_adversary": Role("unlabeled", "unlabelled images"),
        "pseudo_weight": Role("unlabeled", "unlabelled images"),
        "labeled_adversary": Role("labeled", "adversary on labelled images"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        "labeled_adversarial": Curve("Adversarial term of labelled images", "nats per pixel"),
        "unlabeled_adversarial": Curve("Adversarial term of unlabelled images", "nats per pixel"),
        "pseudo_label": Curve("Cross entropy with pseudo-labels", "nats per labelled pixel"),
        "pseudo_labels": Curve(
            "Unlabelled pixels that become labels", "% of all pixels", scale="log", factor=100.0, by_class=True
        ),
        "discriminator_right_on_predictions": Curve(
            RIGHT_ON_MAPS, "% of its outputs", "discriminator", ", predictions", factor=100
        ),
        "discriminator_right_on_labels": Curve(
            RIGHT_ON_MAPS, "% of its outputs", "discriminator", ", labels", factor=100
        ),
        "discriminator_on_predictions": Curve(LOSS_ON_MAPS, "nats per pixel", "discriminator_loss", ", predictions"),
        "discriminator_on_labels": Curve(LOSS_ON_MAPS, "nats per pixel", "discriminator_loss", ", labels"),
    }

    discriminators: LabelMapDiscriminators | None

    def __init__(
        self,
        model: SegmentationModel,
        labeled_adversary: float = 0.01,
        unlabeled_adversary: float = 0.001,
        pseudo_weight: float = 0.1,
        pseudo_from: int | None = None,
        threshold: float = 0.2,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(model, **options)
        if labeled_adversary or unlabeled_adversary or pseudo_weight:
            self.discriminators = LabelMapDiscriminators(model)
        self.labeled_adversary, self.unlabeled_adversary = labeled_adversary, unlabeled_adversary
        self.pseudo_weight, self.pseudo_from, self.threshold = pseudo_weight, pseudo_from, threshold
        self.predictions: list[Prediction] = []
        """Of this step, for the discriminators to learn from."""

    @property
    def unlabeled_from(self) -> int | None:
        """Unlabelled images are used from the first step on, where a term uses them."""
        if self.unlabeled_adversary:
            return 0
        return self.later(self.pseudo_from) if self.pseudo_weight else None

    @property
    def needs_ground_truth(self) -> bool:
        """Discriminators see label maps of images that the model is not shown in this step."""
        return self.discriminators is not None

    def later(self, step: int | None) -> int:
        """The step from which on a term counts: the given one, or a quarter of the training."""
        return self.total_steps // 4 if step is None else step

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Unlabelled images first, then labelled ones, each through the network by itself."""
        self.predictions = []
        known = {self.model.space_key(domain) for domain in batch.labeled}
        for domain in self.model.label_spaces:
            if domain in batch.unlabeled and self.model.space_key(domain) in known:
                yield self.unlabeled_loss(batch.unlabeled[domain].image, domain)
            if domain in batch.labeled:
                yield self.labeled_loss(batch.labeled[domain], domain)

    def labeled_loss(self, sample: Sample, domain: str) -> Tensor:
        """L_ce + weight L_adv of labelled images."""
        logits = self.model.classify(self.model.features(sample.image, domain), domain)
        return self.supervised_loss(logits, sample, domain) + self.labeled_adversarial_loss(logits, sample, domain)

    def labeled_adversarial_loss(self, logits: Tensor, sample: Sample, domain: str) -> Tensor:
        """Weight L_adv of a prediction for labelled images; ignored pixels do not count."""
        if self.discriminators is None:
            return logits.new_zeros(())
        prediction = self.remember(logits, sample.image, domain, sample.mask)
        if not self.labeled_adversary:
            return logits.new_zeros(())
        loss = self.discriminators.deceive(prediction, self.discriminators.judge(prediction, logits))
        self.means.add(f"{domain}/labeled_adversarial", loss)
        return self.labeled_adversary * loss

    def unlabeled_loss(self, images: Tensor, domain: str) -> Tensor:
        """Weight L_adv + weight L_semi of unlabelled images, (N, 3, H, W)."""
        return self.unlabeled_adversarial_loss(
            self.model.classify(self.model.features(images, domain), domain), images, domain
        )

    def unlabeled_adversarial_loss(self, logits: Tensor, images: Tensor, domain: str) -> Tensor:
        """Weight L_adv + weight L_semi of a prediction for unlabelled images."""
        if self.discriminators is None:
            return logits.new_zeros(())
        prediction = self.remember(logits, images, domain)
        judgement = self.discriminators.judge(prediction, logits)
        adversarial = self.discriminators.deceive(prediction, judgement)
        self.means.add(f"{domain}/unlabeled_adversarial", adversarial)
        loss = self.unlabeled_adversary * adversarial
        if self.pseudo_weight and self.steps_done >= self.later(self.pseudo_from):
            loss = loss + self.pseudo_weight * self.pseudo_loss(logits, judgement, prediction.size, domain)
        return loss

    def remember(self, logits: Tensor, images: Tensor, domain: str, mask: Tensor | None = None) -> Prediction:
        """Keep a prediction for the discriminators' half of the step."""
        size = (images.shape[-2], images.shape[-1])
        self.predictions.append(Prediction(self.model.space_key(domain), logits.detach(), size, mask))
        return self.predictions[-1]

    def pseudo_loss(self, logits: Tensor, judgement: Tensor, size: tuple[int, int], domain: str) -> Tensor:
        """L_semi: cross entropy with the model's own predictions where the discriminator trusts them."""
        corners = self.model.config.align_corners
        labels = pseudo_labels(logits, judgement, size, self.threshold, corners)
        space = self.model.label_spaces[domain]
        trusted = torch.bincount(labels.flatten(), minlength=IGNORE + 1)[: len(space)] / labels.numel()
        for title, share in zip(space.classes, trusted, strict=True):
            self.means.add(f"{domain}/pseudo_labels/{title}", share)
        loss = cross_entropy(logits, labels, total=self.labeled_pixels(labels), align_corners=corners)
        self.means.add(f"{domain}/pseudo_label", loss)
        return loss

    def discriminator_terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L_D of this step's predictions and of label maps drawn for it."""
        if self.discriminators is not None:
            yield from self.discriminators.losses(self.predictions, batch.ground_truth, self.means)
        self.predictions = []
