"""Semi-supervised learning by latent classes (Sawatzky et al., "Discovering Latent Classes ...", section 3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from torch import Tensor

from semiverse.data import Sample
from semiverse.data.records import is_large
from semiverse.losses import (
    Branch,
    co_occurrence,
    conditional_entropy,
    consistency,
    cross_entropy,
    symmetric_divergence,
)
from semiverse.methods.adversary import AS_DEEPLAB, READS, RECORDS, LabelMapAdversary, unlabeled_first
from semiverse.methods.class_groups import group_tables, grouped
from semiverse.methods.counting import image_pixels, labeled_pixels
from semiverse.methods.label_map_discriminators import refuse_none_class
from semiverse.methods.method import Curve, Method, Opponent, Role
from semiverse.mixture import DomainMixture, Draws, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.upsampling import ScoreMap

IN_USE = "Latent classes that some class predicts with a probability above 0.1, and above 0.9", "latent classes"


class Latent(Method):
    """A second branch finds latent classes on labelled images, and teaches the semantic branch on unlabelled ones.

    L_labeled = L_ce + ``latent_weight`` L_latent + ``labeled_adversary`` L_adv (Eq. 6), L_unlabeled =
    ``unlabeled_adversary`` L_adv + ``consistency_weight`` L_cons (Eq. 11). Every label space has latent classes
    of its own. Of several processes each forms the conditional entropy of its own share of a batch; all else is exact.

    Args:
        model: The model to train; it gets the second branch.
        latent_classes: Number L of latent classes a label space.
        branch: What the second branch learns on labelled images. "latent": the method. Ablations: "groups", the given
            super-classes; "classes"; "twin", a second semantic branch.
        groups: For "groups": name of the super-class of each class, by domain; None: this library's own grouping.
        latent_weight: Weight of what the second branch learns on labelled images.
        consistency_weight: Weight of the consistency of the branches on unlabelled images.
        consistency_from: Step from which on that counts; None: after a quarter of the training, as 5000 of 20000.
        gradient: Which branch learns from the consistency; the paper says both, see docs/methods/latent.md.
        average_over: Of which images a batch is a share in the moving average of co-occurrences.
        labeled_adversary: Weight of the adversarial term on labelled images.
        unlabeled_adversary: Weight of the adversarial term on unlabelled images.
        pseudo_weight: As in ``Adversarial``; not part of the method.
        pseudo_from: As in ``Adversarial``.
        threshold: As in ``Adversarial``.
        discriminator_lr: As in ``Adversarial``.

    Raises:
        ValueError: If groups do not fit the classes and domains, or heads have a channel that is no class.
    """

    optimizer = AS_DEEPLAB
    reads: ClassVar[Mapping[str, Role]] = {
        **READS,
        "consistency_weight": Role("unlabeled", "unlabelled images"),
        "latent_weight": Role("labeled", "second branch"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        **RECORDS,
        "latent": Curve("Entropy of the class given the latent class", "nats per pixel"),
        "consistency": Curve("Cross entropy of implied with found latent classes", "nats per pixel"),
        "effective_latent_classes_0.1": Curve(*IN_USE, "effective_latent_classes", " above 0.1", "whole"),
        "effective_latent_classes_0.9": Curve(*IN_USE, "effective_latent_classes", " above 0.9", "whole"),
    }

    def __init__(
        self,
        model: SegmentationModel,
        latent_classes: int = 20,
        branch: Literal["latent", "groups", "classes", "twin"] = "latent",
        groups: Mapping[str, Mapping[str, str]] | None = None,
        latent_weight: float = 1.0,
        consistency_weight: float = 0.1,
        consistency_from: int | None = None,
        gradient: Branch = "semantic",
        average_over: Literal["labeled", "all"] = "labeled",
        labeled_adversary: float = 0.01,
        unlabeled_adversary: float = 0.001,
        pseudo_weight: float = 0.0,
        pseudo_from: int | None = None,
        threshold: float = 0.2,
        discriminator_lr: float = 1e-4,
    ) -> None:
        super().__init__(model)
        refuse_none_class(model)
        weights = (labeled_adversary, unlabeled_adversary, pseudo_weight)
        self.adversary = LabelMapAdversary(model, weights, threshold, discriminator_lr, self.means)
        self.pseudo_from = pseudo_from
        self.branch, self.gradient, self.average_over = branch, gradient, average_over
        self.latent_weight, self.consistency_weight = latent_weight, consistency_weight
        self.consistency_from = consistency_from
        spaces = {key: len(model.label_spaces[key]) for key in model.heads}
        tables = group_tables(model, groups) if branch == "groups" else {}
        self.group_tables = {key: tables.get(key, list(range(count))) for key, count in spaces.items()}
        found = {key: max(table) + 1 for key, table in self.group_tables.items()}
        sizes = dict.fromkeys(spaces, latent_classes) if branch == "latent" else found
        self.latent_branch = model.add_latent_branch(sizes)
        self.rates: dict[str, float] = {}
        """Weight of a batch in the moving average of co-occurrences, by domain."""

    def attach(self, data: DomainMixture, total_steps: int) -> None:
        """Count the images of which a batch is a share in the moving averages."""
        super().attach(data, total_steps)
        for domain, records in data.labeled.items():
            more = data.unlabeled[domain] if self.average_over == "all" else []
            if is_large(more):  # no set of their names is made: labelled images count twice if they are among them
                self.rates[domain] = data.batch_size / (len(records) + len(more))
                continue
            self.rates[domain] = min(1.0, data.batch_size / max(1, len({record.id for record in [*records, *more]})))

    def draws(self) -> Draws:
        """Unlabelled images from the first step on in which a term uses them."""
        first = self.adversary.unlabeled_from(self.later(self.pseudo_from))
        if self.consistency_weight:
            consistency = self.later(self.consistency_from)
            first = consistency if first is None else min(first, consistency)
        return Draws(first, ground_truth=self.adversary.discriminators is not None)

    def opponents(self) -> Sequence[Opponent]:
        """The discriminators."""
        return self.adversary.opponents()

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Unlabelled images first, then labelled ones, each through the network by itself."""
        self.adversary.predictions = []
        for domain, sample, labeled in unlabeled_first(batch, self.model):
            if labeled:
                yield self.labeled_loss(sample, domain)
            else:
                yield self.unlabeled_loss(sample.image, domain, sample.padding)

    def labeled_loss(self, sample: Sample, domain: str) -> Tensor:
        """L_labeled of Eq. 6; what occurs together is noted."""
        features, space = self.model.features(sample.image, domain, sample.padding), self.model.space_key(domain)
        logits, latent = self.model.classify(features, domain), self.latent_branch.logits(features, space)
        loss = self.supervised_loss(logits, sample, domain)
        loss = loss + self.adversary.labeled_loss(logits, sample, domain)
        if self.branch == "twin":
            loss = loss + self.adversary.labeled_loss(latent, sample, domain)
        return loss + self.latent_weight * self.latent_loss(latent, sample, domain)

    def latent_loss(self, latent: ScoreMap, sample: Sample, domain: str) -> Tensor:
        """L_latent, the entropy of the class given the latent class (Eq. 1), or what stands in its place."""
        space, classes = self.model.space_key(domain), len(self.model.label_spaces[domain])
        if self.branch == "latent":
            loss, counts = conditional_entropy(latent, sample.mask, classes)
        else:
            counts = co_occurrence(latent, sample.mask, classes)
            mask = grouped(sample.mask, self.group_tables[space])
            loss = cross_entropy(latent, mask, total=labeled_pixels(mask))
        self.latent_branch.note(space, counts, self.rates[domain])
        self.means.add(f"{domain}/latent", loss)
        return loss

    def unlabeled_loss(self, images: Tensor, domain: str, padding: Tensor | None = None) -> Tensor:
        """L_unlabeled of Eq. 11 for images (N, 3, H, W); what is ``IGNORE`` in their padding does not count."""
        features, space = self.model.features(images, domain, padding), self.model.space_key(domain)
        logits, latent = self.model.classify(features, domain), self.latent_branch.logits(features, space)
        labels = self.steps_done >= self.later(self.pseudo_from)
        loss = self.adversary.unlabeled_loss(logits, images, domain, labels, padding)
        if self.branch == "twin":
            loss = loss + self.adversary.unlabeled_loss(latent, images, domain, labels, padding)
        if self.consistency_weight and self.steps_done >= self.later(self.consistency_from):
            loss = loss + self.consistency_weight * self.consistency_loss(logits, latent, images, domain, padding)
        return loss

    def consistency_loss(
        self, logits: ScoreMap, latent: ScoreMap, images: Tensor, domain: str, padding: Tensor | None = None
    ) -> Tensor:
        """L_cons, the cross entropy of the latent classes that the classes imply with the latent ones (Eq. 10)."""
        size, total = (images.shape[-2], images.shape[-1]), image_pixels(images, padding)
        if self.branch == "twin":
            loss = symmetric_divergence(logits, latent, size, padding, total)
        else:
            given = self.latent_branch.latent_given_class(self.model.space_key(domain))
            loss = consistency(logits, latent, given, size, self.gradient, padding, total)
        self.means.add(f"{domain}/consistency", loss)
        return loss

    def measures(self) -> dict[str, float]:
        """How many latent classes are in use (Table 4)."""
        return {
            f"{space}/effective_latent_classes_{threshold}": float(self.latent_branch.effective(space, threshold))
            for space in self.latent_branch.outputs
            for threshold in (0.1, 0.9)
        }
