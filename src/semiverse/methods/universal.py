"""Universal semi-supervised semantic segmentation (Kalluri et al., ICCV 2019, arXiv:1811.10323)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import ClassVar, Literal

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.distributed import process_count
from semiverse.embeddings.class_means import ClassMeans
from semiverse.embeddings.sources import FeatureRows, Given, RowSource, labeled_features
from semiverse.labels import IGNORE
from semiverse.losses import assignment_entropy, entropy
from semiverse.methods import label_anchor
from semiverse.methods.counting import image_pixels
from semiverse.methods.method import Curve, Method, Role, ramp
from semiverse.mixture import Draws, TrainBatch
from semiverse.models import SegmentationModel

FIRST = "first"
"""Stands for the first domain of the mixture."""


class Universal(Method):
    """Align domains with different labels by the entropy of pixel-label similarity.

    Every pixel is projected into the space of the label embeddings and compared with the labels of its own domain and
    of the others; on unlabelled images the entropy of these similarities is minimised. The paper's own objective is
    ``alpha: 1, beta: 1, anchor: 0, warmup: [0, 0], start: null`` with ``model.batch_norm: shared``.

    Args:
        model: The model to train.
        alpha: Weight of the entropy against the labels of other domains (Eq. 3); 1 in the paper.
        beta: Weight of the entropy against the labels of the own domain (Eq. 4); 1 in the paper.
        centroids: Label embeddings K of each class.
        embed_dim: Channels d of the joint space.
        theta: Share of the old label embeddings in the update after each epoch (Eq. 7); 1: they never change. Of
            several of a class each moves to the mean of the pixels that are nearest to it.
        anchor: Weight of the cross entropy of similarities on labelled pixels, which ties the projection to the labels;
            not in the paper, where nothing does.
        warmup: Shares of the training at which the entropy terms begin, and at which they have their full weight.
        diversity: Weight of the entropy of the mean assignment, which is maximised; not in the paper.
        normalize_features: Compare directions only (cosine similarity); the paper does not.
        temperature: What similarities are divided by; 1 in the paper.
        rows: Where the label embeddings come from; None: features of each domain's supervised network (appendix A).
        start: Start the shared network from the supervised network of this domain, ``first`` being the first one; None:
            from its own initialisation, as in the paper.
        update_from: Where the means of the update by ``theta`` come from. "epoch": the views of its steps, each under
            the weights of its step; "pass": all labelled images once more, whole, under the weights at its end, as the
            paper writes.

    Raises:
        ValueError: If ``start`` names no domain, or the embedding has more dimensions than there are features.
    """

    reads: ClassVar[Mapping[str, Role]] = {
        "alpha": Role("unlabeled", "unlabelled images"),
        "beta": Role("unlabeled", "unlabelled images"),
        **label_anchor.READS,
        "start": Role("labeled", "start from a supervised network"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        **label_anchor.RECORDS,
        "entropy_within": Curve("Entropy against own labels", "nats per pixel"),
        "entropy_across": Curve("Entropy against labels of other domains", "nats per pixel"),
        "entropy_of_assignment": Curve("Entropy of the mean assignment", "nats"),
        "largest_score": Curve("Largest similarity", "similarity"),
        "projection_norm": Curve("Mean length of projected pixels of validation images", "similarity"),
        "agreement": Curve(
            "Cells of validation images where label embedding and decoder choose the same class", "share of cells"
        ),
    }

    def __init__(
        self,
        model: SegmentationModel,
        alpha: float = 0.1,
        beta: float = 0.1,
        centroids: int = 1,
        embed_dim: int = 128,
        theta: float = 1.0,
        anchor: float = 1.0,
        warmup: tuple[float, float] = (0.3, 0.6),
        diversity: float = 0.0,
        normalize_features: bool = False,
        temperature: float = 1.0,
        rows: RowSource | None = None,
        start: str | None = FIRST,
        update_from: Literal["epoch", "pass"] = "epoch",
    ) -> None:
        super().__init__(model)
        self.alpha, self.beta, self.theta, self.anchor = alpha, beta, theta, anchor
        self.warmup, self.diversity = warmup, diversity
        if start not in (None, FIRST, *model.label_spaces):
            known = ", ".join([FIRST, *model.label_spaces])
            raise ValueError(f"start is {start!r}; expected null or one of {known}: name one of them")
        self.rows, self.start, self.update_from = rows or FeatureRows(), start, update_from
        self.rows.check(model, embed_dim)
        self.label_embeddings = model.add_label_embeddings(
            embed_dim, centroids, normalize_features=normalize_features, temperature=temperature
        )
        self.class_means = ClassMeans(self.label_embeddings)

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """Compute the label embeddings from supervised networks of every domain (appendix A)."""
        start = next(iter(self.model.label_spaces)) if self.start in (None, FIRST) else self.start
        needed = self.rows.from_networks or self.start is not None
        trained = networks().eval() if needed else None
        if trained is not None and self.start is not None:
            self.model.start_from(trained, start)
        self.rows.fill(self.model, Given(self.data, trained, start))

    def draws(self) -> Draws:
        """Unlabelled images from the step on at which the entropy terms begin; without these terms never."""
        return Draws(None if self.alpha == self.beta == 0 else int(self.warmup[0] * self.total_steps))

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L = L_S + anchor L_A + ramp (alpha L_USc + beta L_USw), Eq. 5 with the anchor."""
        for domain in self.model.label_spaces:  # in the order of the public code: one domain after the other
            if domain in batch.labeled:
                yield self.labeled_loss(batch.labeled[domain], domain)
            if domain in batch.unlabeled:
                sample, share = batch.unlabeled[domain], self.data.batch_size // process_count()
                batches = torch.split(sample.image, share)
                paddings = repeat(None) if sample.padding is None else torch.split(sample.padding, share)
                weight = ramp(self.progress, *self.warmup) / len(batches)
                for images, padding in zip(batches, paddings, strict=False):
                    yield weight * self.entropy_loss(images, domain, padding)

    def labeled_loss(self, sample: Sample, domain: str) -> Tensor:
        """Supervised term and anchor of one labelled batch."""
        features = self.model.features(sample.image, domain, sample.padding)
        loss = self.supervised_loss(self.model.classify(features, domain), sample, domain)
        if self.anchor:
            loss = loss + self.anchor * label_anchor.anchor_loss(self, features, sample, domain)
        if self.theta < 1 and self.update_from == "epoch":
            self.class_means.add(self.model.space_key(domain), features, sample.mask)
        return loss

    def entropy_loss(self, images: Tensor, domain: str, padding: Tensor | None = None) -> Tensor:
        """Entropies alpha H(v_ij) + beta H(v_ii) of unlabelled images, (N, 3, H, W), of domain i (Eqs. 3 and 4).

        What is ``IGNORE`` in their padding, (N, H, W), does not count.
        With more than two label spaces the cross-domain entropies are averaged, so that two give the paper's sum.
        """
        own = self.model.space_key(domain)
        others = [space for space in self.label_embeddings.spaces if space != own]
        features = self.model.features(images, domain, padding)
        scores = self.label_embeddings.scores(features, [own, *others])  # (N, R, h, w), Eq. 2
        groups = [len(self.label_embeddings.row_classes(space)) for space in (own, *others)]
        size, total = (images.shape[-2], images.shape[-1]), image_pixels(images, padding)
        within, *across = entropy(scores, size, groups, padding, total)
        self.means.add(f"{domain}/entropy_within", within)
        loss: Tensor = self.beta * within
        if across:
            cross = torch.stack(across).mean()
            self.means.add(f"{domain}/entropy_across", cross)
            loss = loss + self.alpha * cross
        assigned = assignment_entropy(scores, groups, padding).mean()
        self.means.add(f"{domain}/entropy_of_assignment", assigned)
        sizes = scores.values.detach().abs()
        if padding is not None:
            sizes = sizes * (scores.at_cells(padding) != IGNORE)[:, None]
        self.means.add(f"{domain}/largest_score", sizes.amax())
        return loss - self.diversity * assigned

    def after_step(self) -> None:
        """At the end of an epoch move the label embeddings to means of labelled pixels (Eq. 7)."""
        if self.theta == 1 or not self.epoch_ends:
            return
        if self.update_from == "pass":
            self.model.eval()
            for space in self.label_embeddings.spaces:
                for features, mask in labeled_features(self.data, self.model, space):
                    self.class_means.add(space, features, mask)
            self.model.train()
        self.class_means.update(self.theta)

    def observe(self, features: Tensor, domain: str) -> None:
        """Record the length of projected pixels, and how often label embeddings choose what the decoder chooses.

        Entropy falls as well by longer vectors alone, which means nothing; so the length is worth watching beside it.
        """
        by_embedding = self.label_embeddings.logits(features, self.model.space_key(domain)).values.argmax(dim=1)
        agreed = by_embedding == self.model.classify(features, domain).values.argmax(dim=1)
        self.means.add(f"{domain}/agreement", agreed.double().mean())
        norms = self.label_embeddings.project(features).float().norm(dim=1)
        self.means.add(f"{domain}/projection_norm", norms.mean())
