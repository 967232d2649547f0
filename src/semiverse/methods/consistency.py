"""Weak-to-strong consistency with a teacher of averaged weights, in every label space.

What the teacher is sure of on an image becomes the label of a strong view of it. FixMatch (Sohn et al., 2020) for
segmentation with a mean teacher, as in UniMatch V2 (Yang et al., 2025); ClassMix and targets without any label as in
DACS (Tranheden et al., 2021). Every domain keeps to its own label space and its own statistics.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.distributed import all_reduce

from semiverse.data import Sample
from semiverse.distributed import process_count, process_rank
from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.methods import pseudolabels
from semiverse.methods.method import Curve, Method, Role, labeled_pixels, ramp
from semiverse.methods.optimizer import Optimizer
from semiverse.methods.strong_views import StrongView, generator, of_images, paste, pasted_classes
from semiverse.mixture import DomainMixture, Draws, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.models.batch_norm import statistics_kept
from semiverse.models.saving import find_model
from semiverse.upsampling import argmax_with_confidence

MOMENTUM = 0.99
"""Of the mean confidence in each class."""
FEED_EVERY = 4
"""Steps between two looks at a domain without labels by which its statistics are learned."""


class Labels(NamedTuple):
    """What a teacher says of images, or their true labels.

    Args:
        mask: Train ids, or ``IGNORE`` beyond the image, (N, H, W) uint8.
        sure: Where they are to be learned, (N, H, W) bool.
    """

    mask: Tensor
    sure: Tensor


class Consistency(Method):
    """The teacher's confident predictions for unlabelled images are labels for strong views of them.

    On labelled images L_ce is minimised, on unlabelled ones ``weight`` L_u, the cross entropy with these labels divided
    by the number of all pixels inside the image, whether the teacher is sure of them or not. The teacher is the moving
    average of the model; it is what is validated and saved. ``data.balance`` weights pseudo-labels like labels.

    Args:
        model: The model to train, the student.
        weight: Of L_u.
        threshold: Confidence of the teacher, in [0, 1], from which on a prediction is a label.
        floor: Least threshold of a class; each then has its own, in proportion to the teacher's mean confidence in it.
            None: one threshold for all.
        ramp: Between these shares of the training the weight rises from 0.
        decay: Share of the old teacher in the new one, in [0, 1); None: 1 - 40 / steps. At first it is less.
        views: Strong views of every image; of two, each leaves out the channels that the other has (complementary
            dropout).
        strong: How strong views are drawn.
        mix: What is pasted into images of a domain without labels: boxes of its other images, or the pixels of half of
            the classes of a labelled image of the same label space (ClassMix).
        teacher: A saved model or run that is the teacher throughout, whatever its encoder (distillation); the student
            is then what is validated and saved.
        pseudo_weight: Of the cross entropy of pseudo-labels made once, in domains that have ``pseudolabels``.

    Raises:
        ValueError: If a number is out of range, or the given teacher does not know the domains.
    """

    optimizer = Optimizer("adamw", 5e-4, 4.0, 4.0, 0.9, 0.01, 0.9, "step", warmup=0)
    reads: ClassVar[Mapping[str, Role]] = pseudolabels.READS | {"weight": Role("unlabeled", "unlabelled images")}
    records: ClassVar[Mapping[str, Curve]] = pseudolabels.RECORDS | {
        "consistency": Curve("Cross entropy of strong views with the teacher's labels", "nats per pixel"),
        "sure": Curve("Pixels that the teacher labels", "% of the pixels inside the image", factor=100.0),
        "pseudo_labels": Curve(
            "Unlabelled pixels that become labels", "% of all pixels", scale="log", factor=100.0, by_class=True
        ),
    }

    def __init__(
        self,
        model: SegmentationModel,
        weight: float = 1.0,
        threshold: float = 0.7,
        floor: float | None = None,
        ramp: tuple[float, float] = (0.1, 0.3),
        decay: float | None = None,
        views: Literal[1, 2] = 1,
        strong: StrongView = StrongView(),
        mix: Literal["boxes", "classes"] = "boxes",
        teacher: Path | None = None,
        pseudo_weight: float = 1.0,
    ) -> None:
        super().__init__(model)
        numbers = {"weight": weight, "threshold": threshold, "floor": floor, "decay": decay}
        numbers["pseudo_weight"] = pseudo_weight
        for name, value in numbers.items():
            if value is not None and not 0 <= value <= (1 if name in ("floor", "decay") else float("inf")):
                raise ValueError(f"Consistency has {name} {value}; expected 0 or more, and at most 1: correct it")
        self.weight, self.threshold, self.floor, self.ramp, self.decay = weight, threshold, floor, ramp, decay
        self.views, self.strong, self.mix, self.pseudo_weight = views, strong, mix, pseudo_weight
        self._given: list[SegmentationModel] = []  # in a list: it is neither trained nor saved with the student
        if teacher is None:
            self.average: SegmentationModel | None = copy.deepcopy(model).requires_grad_(False)
        else:
            self.average = None
            self._given.append(SegmentationModel.load(find_model(teacher)).requires_grad_(False))
            _refuse_other_domains(self._given[0], model, teacher)
        for domain, space in model.label_spaces.items():
            self.register_buffer(f"confidence_{domain}", torch.full((len(space),), 1 / len(space)))

    @property
    def teacher(self) -> SegmentationModel:
        """Who labels."""
        return self._given[0] if self.average is None else self.average

    def attach(self, data: DomainMixture, total_steps: int) -> None:
        """Find for each domain those whose labels it shares."""
        super().attach(data, total_steps)
        spaces = {name: self.model.space_key(name) for name in self.model.label_spaces}
        self.sources = {
            name: [other for other in spaces if data.labeled[other] and spaces[other] == spaces[name]]
            for name in spaces
        }

    def draws(self) -> Draws:
        """Unlabelled images once their weight is more than 0, and pseudo-labelled ones."""
        return Draws(int(self.ramp[0] * self.total_steps) if self.weight else None, pseudolabeled=True)

    def train(self, mode: bool = True) -> "Consistency":
        """Training mode for all but the teacher, who always has the statistics that it has seen."""
        super().train(mode)
        self.teacher.eval()
        return self

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L = sum over domains of L_ce + pseudo_weight L_p + ramp weight L_u."""
        for domain, sample in batch.labeled.items():
            features = self.model.features(sample.image, domain, sample.padding)
            yield self.supervised_loss(self.model.classify(features, domain), sample, domain)
        for domain in batch.pseudolabeled:
            yield self.pseudo_weight * pseudolabels.pseudolabel_loss(self, batch, domain, self.strong)
        factor = self.weight * ramp(self.progress, *self.ramp)
        for domain, sample in batch.unlabeled.items():
            if domain not in batch.labeled and self.steps_done % FEED_EVERY == 0:
                with torch.no_grad():  # nothing else shows the student weak views of it
                    self.model.encode(sample.image, domain, sample.padding)
            labels = self.labels(sample, domain)
            for view in range(self.views):
                yield factor / self.views * self.consistency_loss(batch, domain, labels, view)

    @torch.no_grad()
    def labels(self, sample: Sample, domain: str) -> Labels:
        """The teacher's labels of unlabelled images, and where it is sure of them."""
        teacher, size = self.teacher.to(sample.image.device), (sample.image.shape[-2], sample.image.shape[-1])
        logits = teacher.classify(teacher.features(sample.image, domain, sample.padding), domain)
        mask, confidence = argmax_with_confidence(logits, size)
        classes = self.model.label_spaces[domain].classes
        mask = mask.masked_fill(mask >= len(classes), IGNORE)  # a none class, or no number
        if sample.padding is not None:
            mask = mask.masked_fill(sample.padding == IGNORE, IGNORE)
        thresholds = self._thresholds(domain, mask, confidence).to(confidence)
        sure = (confidence >= torch.nn.functional.pad(thresholds, (0, IGNORE + 1 - len(classes)))[mask.long()]) & (
            mask != IGNORE
        )
        pixels = (mask != IGNORE).sum().clamp(min=1)
        self.means.add(f"{domain}/sure", sure.sum() / pixels)
        shares = torch.bincount(mask[sure].flatten(), minlength=len(classes)) / pixels
        for title, share in zip(classes, shares, strict=True):
            self.means.add(f"{domain}/pseudo_labels/{title}", share)
        return Labels(mask, sure)

    def _thresholds(self, domain: str, mask: Tensor, confidence: Tensor) -> Tensor:
        """Least confidence for each class, (C,): threshold times its mean confidence over the largest such mean."""
        mean = self.get_buffer(f"confidence_{domain}")
        if self.floor is None:
            return torch.full_like(mean, self.threshold)
        inside = mask != IGNORE
        found = torch.stack(
            [
                torch.bincount(mask[inside], weights, minlength=len(mean))
                for weights in (confidence[inside].double(), torch.ones_like(confidence[inside], dtype=torch.float64))
            ]
        )
        if process_count() > 1:
            all_reduce(found)
        seen = found[1] > 0
        mean[seen] = torch.lerp((found[0] / found[1].clamp(min=1)).to(mean), mean, MOMENTUM)[seen]
        return (self.threshold * mean / mean.max()).clamp(min(self.floor, self.threshold), self.threshold)

    def consistency_loss(self, batch: TrainBatch, domain: str, labels: Labels, view: int) -> Tensor:
        """L_u of one strong view of a domain's unlabelled images."""
        images, padding, labels = self.strong_view(batch, domain, labels, view)
        model = self.model
        with statistics_kept(model):  # they are those of weak views
            maps = model.encode(images, domain, padding)
            if self.views == 2:
                maps = self._dropped(maps, domain, view)
            logits = model.classify(model.network(domain).decoder(maps), domain)
        weights = self.class_weights.get(domain)
        total = labeled_pixels(labels.mask, weights)
        loss = cross_entropy(logits, labels.mask.masked_fill(~labels.sure, IGNORE), total=total, weights=weights)
        self.means.add(f"{domain}/consistency", loss)
        return loss

    def strong_view(
        self, batch: TrainBatch, domain: str, labels: Labels, view: int
    ) -> tuple[Tensor, Tensor | None, Labels]:
        """A strong view of unlabelled images: (N, 3, H, W) uint8, its padding, and its labels."""
        sample = batch.unlabeled[domain]
        draws = of_images(len(sample.image), self.data.seed, self.steps_done, domain, view)
        padding = torch.zeros_like(labels.mask) if sample.padding is None else sample.padding
        images = self.strong.recolored_batch(sample.image, padding, self.model.mean, draws)
        sources = self.sources[domain]
        if self.mix == "classes" and sources and domain not in sources:
            source = batch.labeled[sources[self.steps_done % len(sources)]]
            classes = len(self.model.label_spaces[domain])
            pasted = torch.stack(
                [pasted_classes(mask, classes, draw) for mask, draw in zip(source.mask, draws, strict=False)]
            )
            images = torch.where(pasted[:, None], source.image[: len(images)], images)
            padding = padding.masked_fill(pasted, 0)
            labels = Labels(torch.where(pasted, source.mask[: len(images)], labels.mask), labels.sure | pasted)
        else:
            boxes = [self.strong.boxed((images.shape[-2], images.shape[-1]), draw) for draw in draws]
            images, padding, *pair = paste([images, padding, *labels], boxes)
            labels = Labels(*pair)
        return images, None if sample.padding is None else padding, labels

    def _dropped(self, maps: Sequence[Tensor], domain: str, view: int) -> list[Tensor]:
        """Maps of which one view has the channels that the other lacks, twice as large; half of the images keep all."""
        dropped, count = [], process_count()
        for level, values in enumerate(maps):
            factors = torch.ones(values.shape[:2])
            for image in range(len(values)):
                place = image * count + process_rank()
                draw = generator(self.data.seed, self.steps_done, domain, "dropout", level, place)
                if (place + self.steps_done) % 2:
                    kept = torch.from_numpy(2.0 * (draw.random(values.shape[1]) < 0.5))
                    factors[image] = kept if view == 0 else 2.0 - kept
            dropped.append(values * factors.to(values)[:, :, None, None])
        return dropped

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the teacher, its statistics too."""
        if self.average is None:
            return
        decay = 1 - 40 / self.total_steps if self.decay is None else self.decay
        share = 1 - max(0.0, min(1 - 1 / self.steps_done, decay))
        for mine, theirs in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            mine.lerp_(theirs, share) if mine.is_floating_point() else mine.copy_(theirs)

    def result(self) -> SegmentationModel:
        """The teacher, unless it was given."""
        return self.model if self.average is None else self.average


def _refuse_other_domains(teacher: SegmentationModel, student: SegmentationModel, path: Path) -> None:
    unlike = [name for name, space in student.label_spaces.items() if teacher.label_spaces.get(name) != space]
    if unlike:
        raise ValueError(
            f"the teacher in {path} knows {', '.join(teacher.label_spaces)}, but not domain {unlike[0]} with the "
            "same classes; expected a model of the same domains: train one, or rename the domains"
        )
