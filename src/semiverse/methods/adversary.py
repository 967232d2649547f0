"""Second players: discriminators that tell predictions from label maps.

Hung et al., BMVC 2018, section 3, which latent classes use as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.distributed import mean_over_processes
from semiverse.labels import IGNORE
from semiverse.losses import FAKE, REAL, adversarial_loss, cross_entropy, one_hot_map, pseudo_labels
from semiverse.methods.method import Curve, Means, Opponent, Role, image_pixels, labeled_pixels
from semiverse.methods.optimizer import AS_PUBLISHED
from semiverse.mixture import TrainBatch
from semiverse.models import Discriminator, SegmentationModel
from semiverse.upsampling import ScoreMap

AS_DEEPLAB = replace(AS_PUBLISHED, lr=2.5e-4, weight_decay=5e-4, decay="step", head_factor=10.0)
"""The optimiser of the model in the public code of AdvSemiSeg and AdaptSegNet."""


def curves_of_sides(sides: Sequence[str], panel: str, right: str, loss: str, unit: str) -> dict[str, Curve]:
    """How often a discriminator is right on either side, and its loss there: two panels, with these titles."""
    rights = (Curve(right, "% of its outputs", panel, f", {side}", factor=100) for side in sides)
    losses = (Curve(loss, unit, f"{panel}_loss", f", {side}") for side in sides)
    names = [f"discriminator_{kind}_{side}" for kind in ("right_on", "on") for side in sides]
    return dict(zip(names, [*rights, *losses], strict=True))


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


class Prediction(NamedTuple):
    """What a model predicted, cut off from it, or a label map in its place.

    Args:
        space: Key of the label space.
        logits: (N, C, h, w); None for a label map, which is the mask.
        size: Height and width of the images, (H, W).
        mask: Where pixels are ignored, (N, H, W); None where there are no labels: all inside the images count.
        padding: What lies beyond the images, (N, H, W), as in ``Sample``.
    """

    space: str
    logits: ScoreMap | None
    size: tuple[int, int]
    mask: Tensor | None
    padding: Tensor | None = None

    @property
    def counted(self) -> Tensor | None:
        """Where pixels do not count, (N, H, W) ``IGNORE``: without a label, or beyond an image; None: all do."""
        return self.padding if self.mask is None else self.mask

    @property
    def pixels(self) -> Tensor:
        """Number of pixels that count, a scalar."""
        if self.counted is None:
            values = cast(ScoreMap, self.logits).values
            return torch.tensor(len(values) * self.size[0] * self.size[1], device=values.device)
        return (self.counted != IGNORE).sum()


class LabelMapDiscriminators(nn.Module):
    """One discriminator a label space.

    Args:
        model: Whose predictions they judge.

    Raises:
        ValueError: If the model's heads have a channel that is no class.
    """

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        refuse_none_class(model)
        # What lies outside an image is no reason for a judgement to be undecided.
        self.upsampling = model.upsampling._replace(zero_border=False)
        self.space_of = {domain: model.space_key(domain) for domain in model.label_spaces}
        self.classes = {space: len(model.label_spaces[space]) for space in self.space_of.values()}
        self.networks = nn.ModuleDict({space: Discriminator(count) for space, count in self.classes.items()})

    def judge(self, space: str, maps: Tensor) -> ScoreMap:
        """Probabilities or one-hot labels at the size of their images, (N, C, H, W) → logits of being labels."""
        network = cast(Discriminator, self.networks[space])
        return ScoreMap(network(maps.to(network.classifier.weight.dtype)), self.upsampling)

    def loss(self, judgement: ScoreMap, label: float, one: Prediction, total: Tensor) -> Tensor:
        """The part of a mean over ``total`` pixels, those of all processes, that those of a prediction have in it."""
        loss = adversarial_loss(judgement.at(one.size), label, one.counted)
        return loss * (one.pixels.double() / mean_over_processes(total.double()).clamp(min=1)).to(loss.dtype)

    def losses(self, predictions: list[Prediction], truth: Mapping[str, Sample], means: Means) -> Iterator[Tensor]:
        """L_D of each label space: one half for all predictions together, one half for all label maps.

        Args:
            predictions: Of the model, in this step.
            truth: Labelled samples by domain.
            means: Where to note losses, and how often the discriminators are right.
        """
        masks = [(self.space_of[domain], sample.mask) for domain, sample in truth.items()]
        maps = [Prediction(space, None, (mask.shape[1], mask.shape[2]), mask) for space, mask in masks]
        sides = [*zip(repeat("predictions"), predictions), *zip(repeat("labels"), maps)]
        totals = _totals((f"{one.space}/{side}", one.pixels) for side, one in sides)
        parts: list[tuple[str, Tensor]] = []
        for side, one in sides:
            if one.logits is None:
                label, sign, shown = REAL, 1, one_hot_map(cast(Tensor, one.mask), self.classes[one.space])
            else:
                label, sign, shown = FAKE, -1, one.logits.at(one.size).softmax(dim=1)
            judgement = self.judge(one.space, shown)
            right = share_inside(sign * judgement.values > 0, judgement, one.padding)
            means.add(f"{one.space}/discriminator_right_on_{side}", right)
            loss = self.loss(judgement, label, one, totals[f"{one.space}/{side}"])
            parts.append((f"{one.space}/discriminator_on_{side}", loss.detach()))
            yield 0.5 * loss
        for name, total in _totals(parts).items():
            means.add(name, total)


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


def _totals(counts: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Sums of what has the same name."""
    totals: dict[str, Tensor] = {}
    for name, count in counts:
        totals[name] = totals[name] + count if name in totals else count
    return totals


def refuse_none_class(model: SegmentationModel) -> None:
    """Refuse a model whose heads have a channel that is no class."""
    if model.config.none_class:
        raise ValueError(
            "adversarial terms and latent classes need a head channel for each class and no other; found "
            "model.none_class: true: set it to false"
        )


def share_inside(right: Tensor, judgement: ScoreMap, padding: Tensor | None) -> Tensor:
    """The share of a discriminator's outputs, (N, 1, h, w), that are right; those in the padding do not count."""
    inside = torch.ones_like(right[:, 0]) if padding is None else judgement.at_cells(padding) != IGNORE
    count = mean_over_processes(inside.sum().double()).clamp(min=1)
    return (right[:, 0] & inside).sum().float() / count.float()
