"""Weak-to-strong consistency with a teacher of averaged weights, in every label space.

What the teacher is sure of on an image becomes the label of a strong view of it. FixMatch (Sohn et al., 2020) for
segmentation with a mean teacher, as in UniMatch V2 (Yang et al., 2025); ClassMix and targets without any label as in
DACS (Tranheden et al., 2021). Every domain keeps to its own label space and its own statistics.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.embeddings.sources import FeatureRows, Given, RowSource
from semiverse.losses import cross_entropy
from semiverse.methods import label_anchor, pseudolabels
from semiverse.methods.complementary_dropout import dropped
from semiverse.methods.counting import counted_pixels, shared_total
from semiverse.methods.coverage import Coverage
from semiverse.methods.method import Curve, Method, Role, ramp
from semiverse.methods.mixing import Mixing, View
from semiverse.methods.optimizer import Optimizer
from semiverse.methods.strong_views import StrongView
from semiverse.methods.teacher_labels import Labels, predicted
from semiverse.methods.trust import Trust, TrustRule
from semiverse.mixture import DomainMixture, Draws, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.models.batch_norm import statistics_kept
from semiverse.models.saving import find_model

FEED_EVERY = 4
"""Steps between two looks at a domain without labels by which its statistics are learned."""
REMEDIES = ("give a floor (0.5, say)", "lower threshold", "weight classes by data.balance")
"""Against forgetting a class."""


class Consistency(Method):
    """The teacher's confident predictions for unlabelled images are labels for strong views of them.

    On labelled images L_ce is minimised, on unlabelled ones ``weight`` L_u, the cross entropy with these labels divided
    by the number of all pixels inside the image, whether the teacher is sure of them or not. The teacher is the moving
    average of the model; it is what is validated and saved. ``data.balance`` weights pseudo-labels like labels.

    Args:
        model: The model to train, the student.
        weight: Of L_u.
        threshold: Confidence of the teacher, in [0, 1], from which on a prediction is a label.
        trust: Which labels of the teacher count. threshold: those of at least this confidence, as in FixMatch;
            curriculum: the same, with a threshold of each class by the number of its labels (FlexMatch); smooth: all,
            the less the further their confidence lies below its moving mean (SoftMatch); share: all alike, as much as
            is the share of a batch that reaches the threshold (DACS); power: all, by its square (AEL).
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
        cross_mix: Probability that a box comes from an image of another domain, whose head then learns its pixels.
        adjust: Times the log of the weights of ``data.balance`` is taken off the teacher's scores before it labels, as
            a teacher with weights predicts rare classes too often (logit adjustment, Menon et al., ICLR 2021).
        anchor: Weight of the cross entropy of labelled pixels' similarities with label embeddings, as in ``Universal``:
            the model can then be asked for any label space by embedding. 0: it has none.
        embed_dim: Channels of the space of label embeddings.
        rows: Where label embeddings come from; None: features of each domain's supervised network, trained first.

    Raises:
        ValueError: If a number is out of range, or the given teacher does not know the domains.
    """

    optimizer = Optimizer("adamw", 5e-4, 4.0, 4.0, 0.9, 0.01, 0.9, "step", warmup=0)
    reads: ClassVar[Mapping[str, Role]] = {
        **pseudolabels.READS,
        "weight": Role("unlabeled", "unlabelled images"),
        **label_anchor.READS,
    }
    records: ClassVar[Mapping[str, Curve]] = {
        **pseudolabels.RECORDS,
        "consistency": Curve("Cross entropy of strong views with the teacher's labels", "nats per pixel"),
        "sure": Curve("Pixels that the teacher labels", "% of the pixels inside the image", factor=100.0),
        "pseudo_labels": Curve(
            "Unlabelled pixels that become labels", "% of all pixels", scale="log", factor=100.0, by_class=True
        ),
        **label_anchor.RECORDS,
    }

    def __init__(
        self,
        model: SegmentationModel,
        weight: float = 1.0,
        threshold: float = 0.7,
        trust: TrustRule = "threshold",
        floor: float | None = None,
        ramp: tuple[float, float] = (0.1, 0.3),
        decay: float | None = None,
        views: Literal[1, 2] = 1,
        strong: StrongView = StrongView(),
        mix: Literal["boxes", "classes"] = "boxes",
        teacher: Path | None = None,
        pseudo_weight: float = 1.0,
        cross_mix: float = 0.0,
        adjust: float = 0.0,
        anchor: float = 0.0,
        embed_dim: int = 128,
        rows: RowSource | None = None,
    ) -> None:
        super().__init__(model)
        numbers = {"weight": weight, "threshold": threshold, "floor": floor, "decay": decay, "cross_mix": cross_mix}
        numbers |= {"pseudo_weight": pseudo_weight, "adjust": adjust, "anchor": anchor}
        shares = ("floor", "decay", "cross_mix")
        for name, value in numbers.items():
            if value is not None and not 0 <= value <= (1 if name in shares else float("inf")):
                raise ValueError(f"Consistency has {name} {value}; expected 0 or more, and at most 1: correct it")
        self.weight, self.ramp, self.decay, self.trust = weight, ramp, decay, Trust(trust, threshold, floor)
        self.views, self.strong, self.mix, self.pseudo_weight = views, strong, mix, pseudo_weight
        self.cross_mix, self.adjust, self.anchor, self.rows = cross_mix, adjust, anchor, rows or FeatureRows()
        if anchor:
            self.rows.check(model, embed_dim)
            model.add_label_embeddings(embed_dim)
        self._given: list[SegmentationModel] = []  # in a list: it is neither trained nor saved with the student
        if teacher is None:
            self.average: SegmentationModel | None = copy.deepcopy(model).requires_grad_(False)
        else:
            self.average = None
            self._given.append(SegmentationModel.load(find_model(teacher)).requires_grad_(False))
            _refuse_other_domains(self._given[0], model, teacher)
        for domain, space in model.label_spaces.items():
            for name, known in self.trust.initial(len(space)).items():
                self.register_buffer(f"{name}_{domain}", known)

    @property
    def teacher(self) -> SegmentationModel:
        """Who labels."""
        return self._given[0] if self.average is None else self.average

    def attach(self, data: DomainMixture, total_steps: int) -> None:
        """Refuse what cannot be mixed or adjusted.

        Raises:
            ValueError: If so.
        """
        super().attach(data, total_steps)
        self.mixing = Mixing(self.model, data, self.strong, self.mix, self.cross_mix)
        self.coverage = Coverage(self.model.label_spaces, total_steps)
        if self.adjust and not self.class_weights:
            raise ValueError(
                f"adjust is {self.adjust}, but classes have no weights; expected some to be taken off the teacher's "
                "scores: set data.balance, or adjust to 0"
            )

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """Compute the label embeddings from supervised networks of every domain, if there is an anchor."""
        if not self.anchor:
            return
        trained = networks().eval() if self.rows.from_networks else None
        self.rows.fill(self.model, Given(self.data, trained, next(iter(self.model.label_spaces))))
        if self.average is not None:
            self.average.load_state_dict(self.model.state_dict())

    def draws(self) -> Draws:
        """Unlabelled images once their weight is more than 0, and pseudo-labelled ones."""
        return Draws(int(self.ramp[0] * self.total_steps) if self.weight else None, pseudolabeled=True)

    def train(self, mode: bool = True) -> "Consistency":
        """Training mode for all but the teacher, who always has the statistics that it has seen."""
        super().train(mode)
        self.teacher.eval()
        return self

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L = sum over domains of L_ce + anchor L_A + pseudo_weight L_p + ramp weight L_u."""
        for domain, sample in batch.labeled.items():
            self.coverage.teach(domain, sample.mask)
            features = self.model.features(sample.image, domain, sample.padding)
            loss = self.supervised_loss(self.model.classify(features, domain), sample, domain)
            if self.anchor:
                loss = loss + self.anchor * label_anchor.anchor_loss(self, features, sample, domain)
            yield loss
        for domain in batch.pseudolabeled:
            yield self.pseudo_weight * pseudolabels.pseudolabel_loss(self, batch, domain, self.strong)
        factor = self.weight * ramp(self.progress, *self.ramp)
        labels = {domain: self.labels(sample, domain) for domain, sample in batch.unlabeled.items()}
        for domain, sample in batch.unlabeled.items():
            if domain not in batch.labeled and self.steps_done % FEED_EVERY == 0:
                with torch.no_grad():  # nothing else shows the student weak views of it
                    self.model.encode(sample.image, domain, sample.padding)
            for number in range(self.views):
                view = self.mixing.view(batch, domain, labels, self.steps_done, number)
                yield factor / self.views * self.consistency_loss(view, domain, number)

    @torch.no_grad()
    def labels(self, sample: Sample, domain: str) -> Labels:
        """The teacher's labels of unlabelled images, and how much they count."""
        teacher, classes = self.teacher.to(sample.image.device), self.model.label_spaces[domain].classes
        logits = teacher.classify(teacher.features(sample.image, domain, sample.padding), domain)
        if self.adjust:
            logits = logits.lowered(self.adjust * self.class_weights[domain].log())
        mask, confidence = predicted(logits, sample.image, sample.padding, len(classes))
        known = {name: self.get_buffer(f"{name}_{domain}") for name in self.trust.initial(len(classes))}
        labels = self.trust.labels(mask, confidence, known)
        shares = self.coverage.note(domain, labels, self.steps_done)
        self.means.add(f"{domain}/sure", shares.sum())
        for title, share in zip(classes, shares, strict=True):
            self.means.add(f"{domain}/pseudo_labels/{title}", share)
        return labels

    def consistency_loss(self, view: View, domain: str, number: int) -> Tensor:
        """L_u of a strong view of a domain's unlabelled images, by its number."""
        model = self.model
        with statistics_kept(model):  # they are those of weak views
            maps = model.encode(view.images, domain, view.padding)
            if self.views == 2:
                maps = dropped(maps, self.data.seed, self.steps_done, domain, number)
            features = model.network(domain).decoder(maps)
        weights = {name: self.class_weights.get(name) for name in view.labels}
        counts = [counted_pixels(labels.mask, weights[name]) for name, labels in view.labels.items()]
        total, losses = shared_total(torch.stack(counts).sum()), []
        for name, labels in view.labels.items():
            logits = model.classify(features, name)
            mask, weighed = labels.learned, weights[name]
            losses.append(cross_entropy(logits, mask, total=total, weights=weighed, counts=labels.counts))
        loss = torch.stack(losses).sum()
        self.means.add(f"{domain}/consistency", loss)
        return loss

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the teacher, its statistics too."""
        self.coverage.check(self.steps_done, REMEDIES)
        if self.average is None:
            return
        decay = 1 - 40 / self.total_steps if self.decay is None else self.decay
        share = 1 - max(0.0, min(1 - 1 / self.steps_done, decay))
        for mine, theirs in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            mine.lerp_(theirs, share) if mine.is_floating_point() else mine.copy_(theirs)

    def result(self) -> SegmentationModel:
        """The teacher, unless it was given."""
        return self.model if self.average is None else self.average

    def further_results(self) -> Mapping[str, SegmentationModel]:
        """The student, unless it is the result: an average can fail alone."""
        return {} if self.average is None else {"student": self.model}


def _refuse_other_domains(teacher: SegmentationModel, student: SegmentationModel, path: Path) -> None:
    unlike = [name for name, space in student.label_spaces.items() if teacher.label_spaces.get(name) != space]
    if unlike:
        raise ValueError(
            f"the teacher in {path} knows {', '.join(teacher.label_spaces)}, but not domain {unlike[0]} with the "
            "same classes; expected a model of the same domains: train one, or rename the domains"
        )
