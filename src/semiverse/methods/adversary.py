"""The second player of AdvSemiSeg, which latent classes use as well (Hung et al., BMVC 2018, section 3)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import REAL, cross_entropy, pseudo_labels
from semiverse.methods.counting import image_pixels, labeled_pixels
from semiverse.methods.label_map_discriminators import LabelMapDiscriminators, Prediction, curves_of_sides
from semiverse.methods.method import Curve, Means, Opponent, Role
from semiverse.methods.optimizer import AS_PUBLISHED
from semiverse.mixture import TrainBatch
from semiverse.models import SegmentationModel
from semiverse.upsampling import ScoreMap

AS_DEEPLAB = replace(AS_PUBLISHED, lr=2.5e-4, weight_decay=5e-4, decay="step", head_factor=10.0)
"""The optimiser of the model in the public code of AdvSemiSeg and AdaptSegNet."""


READS: Mapping[str, Role] = {
    "unlabeled_adversary": Role("unlabeled", "unlabelled images"),
    "pseudo_weight": Role("unlabeled", "unlabelled images"),
    "labeled_adversary": Role("labeled", "adversary on labelled images"),
}
RECORDS: Mapping[str, Curve] = {
    "labeled_adversarial": Curve("Adversarial term of labelled images", "nats per pixel"),
    "unlabeled_adversarial": Curve("Adversarial term of unlabelled images", "nats per pixel"),
    "pseudo_label": Curve("Cross entropy with pseudo-labels", "nats per labelled pixel"),
    "pseudo_labels": Curve(
        "Unlabelled pixels that become labels", "% of all pixels", scale="log", factor=100.0, by_class=True
    ),
    **curves_of_sides(
        ("predictions", "labels"),
        "discriminator",
        "How often the discriminator is right, on predictions and on label maps",
        "Cross entropy of the discriminator on predictions and on label maps, means since the previous validation",
        "nats per pixel",
    ),
}
"""What options of an adversary stand for, and what it records."""


class LabelMapAdversary(nn.Module):
    """What AdvSemiSeg adds to a step: terms against discriminators, labels that these trust, and their own half.

    Args:
        model: Whose predictions are judged.
        weights: Of the adversarial term on labelled images, of that on unlabelled ones, and of the cross entropy with
            the model's own predictions where the discriminator trusts them.
        threshold: Confidence of the discriminator, in [0, 1], from which on it trusts a prediction.
        lr: Learning rate of the discriminators.
        means: Where to note losses.
    """

    def __init__(
        self, model: SegmentationModel, weights: tuple[float, float, float], threshold: float, lr: float, means: Means
    ) -> None:
        super().__init__()
        self.labeled, self.unlabeled, self.pseudo = weights
        self.threshold, self.lr, self.means = threshold, lr, means
        self.label_spaces = model.label_spaces
        self.discriminators = LabelMapDiscriminators(model) if any(weights) else None
        self.predictions: list[Prediction] = []
        """Of this step, for the discriminators to learn from."""

    def opponents(self) -> list[Opponent]:
        """The discriminators; without a weight there are none."""
        if self.discriminators is None:
            return []
        return [Opponent(self.discriminators, self.discriminator_terms, self.lr)]

    def unlabeled_from(self, pseudo_from: int) -> int | None:
        """The first step in which a term uses unlabelled images, of labels that count from a given step on."""
        return 0 if self.unlabeled else pseudo_from if self.pseudo else None

    def labeled_loss(self, logits: ScoreMap, sample: Sample, domain: str) -> Tensor:
        """Weight L_adv of a prediction for labelled images; ignored pixels do not count."""
        if self.discriminators is None:
            return logits.values.new_zeros(())
        prediction = self._remember(logits, sample.image, domain, sample.padding, sample.mask)
        if not self.labeled:
            return logits.values.new_zeros(())
        _, loss = self._deceive(prediction, logits)
        self.means.add(f"{domain}/labeled_adversarial", loss)
        return self.labeled * loss

    def unlabeled_loss(
        self, logits: ScoreMap, images: Tensor, domain: str, label: bool, padding: Tensor | None = None
    ) -> Tensor:
        """Weight L_adv of a prediction for unlabelled images (N, 3, H, W), and weight L_semi if they are to label.

        What is ``IGNORE`` in their padding, (N, H, W), does not count, and becomes no label.
        """
        if self.discriminators is None:
            return logits.values.new_zeros(())
        prediction = self._remember(logits, images, domain, padding)
        judgement, adversarial = self._deceive(prediction, logits)
        self.means.add(f"{domain}/unlabeled_adversarial", adversarial)
        loss = self.unlabeled * adversarial
        if not (self.pseudo and label):
            return loss
        labels = pseudo_labels(logits, judgement, prediction.size, self.threshold)
        if padding is not None:
            labels.masked_fill_(padding == IGNORE, IGNORE)
        classes = self.label_spaces[domain].classes
        trusted = torch.bincount(labels.flatten(), minlength=IGNORE + 1)[: len(classes)] / image_pixels(images, padding)
        for title, share in zip(classes, trusted, strict=True):
            self.means.add(f"{domain}/pseudo_labels/{title}", share)
        semi = cross_entropy(logits, labels, total=labeled_pixels(labels))
        self.means.add(f"{domain}/pseudo_label", semi)
        return loss + self.pseudo * semi

    def _remember(
        self, logits: ScoreMap, images: Tensor, domain: str, padding: Tensor | None, mask: Tensor | None = None
    ) -> Prediction:
        """Keep a prediction for the discriminators' half of the step."""
        space = cast(LabelMapDiscriminators, self.discriminators).space_of[domain]
        size = (images.shape[-2], images.shape[-1])
        self.predictions.append(Prediction(space, logits.detach(), size, mask, padding))
        return self.predictions[-1]

    def _deceive(self, prediction: Prediction, logits: ScoreMap) -> tuple[ScoreMap, Tensor]:
        """What the discriminator says of a prediction, and L_adv: how far that is from taking it for labels."""
        discriminators = cast(LabelMapDiscriminators, self.discriminators)
        judgement = discriminators.judge(prediction.space, logits.at(prediction.size).softmax(dim=1))
        return judgement, discriminators.loss(judgement, REAL, prediction, prediction.pixels)

    def discriminator_terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L_D of this step's predictions and of label maps drawn for it."""
        discriminators = cast(LabelMapDiscriminators, self.discriminators)
        predictions, self.predictions = self.predictions, []
        yield from discriminators.losses(predictions, batch.ground_truth, self.means)


def unlabeled_first(batch: TrainBatch, model: SegmentationModel) -> Iterator[tuple[str, Sample, bool]]:
    """Domains with their samples and whether these have labels: of each its unlabelled images, then its labelled ones.

    Unlabelled images of a label space of which nobody has a label are left out.
    """
    known = {model.space_key(domain) for domain in batch.labeled}
    for domain in model.label_spaces:
        if domain in batch.unlabeled and model.space_key(domain) in known:
            yield domain, batch.unlabeled[domain], False
        if domain in batch.labeled:
            yield domain, batch.labeled[domain], True
