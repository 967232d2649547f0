"""Universal semi-supervised semantic segmentation (Kalluri et al., ICCV 2019, arXiv:1811.10323)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.distributed import process_count
from semiverse.embeddings.estimate import ClassMeans
from semiverse.embeddings.sources import LabelRowOptions, check_label_rows, prepare_label_rows
from semiverse.losses import assignment_entropy, cross_entropy, entropy
from semiverse.methods.bookkeeping import Confusions, Means
from semiverse.methods.declarations import Curve, Role
from semiverse.methods.method import Method
from semiverse.methods.steps import ramp
from semiverse.mixture import TrainBatch
from semiverse.models import LabelEmbeddings, SegmentationModel


class Universal(Method):
    """Align domains with different labels by the entropy of pixel-label similarity.

    Every pixel is projected into the space of the label embeddings and compared with the labels of its own domain and
    of the others; on unlabelled images the entropy of these similarities is minimised. The paper's own objective is
    ``alpha: 1, beta: 1, anchor: 0, warmup: [0, 0], rows: {start: null}`` with ``model.batch_norm: shared``.

    Args:
        model: The model to train.
        alpha: Weight of the entropy against the labels of other domains (Eq. 3); 1 in the paper.
        beta: Weight of the entropy against the labels of the own domain (Eq. 4); 1 in the paper.
        centroids: Label embeddings K of each class.
        embed_dim: Channels d of the joint space.
        theta: Share of the old label embeddings in the update after each epoch (Eq. 7); 1: they never change.
        anchor: Weight of the cross entropy of similarities on labelled pixels, which ties the projection to the labels;
            not in the paper, where nothing does.
        warmup: Shares of the training at which the entropy terms begin, and at which they have their full weight.
        diversity: Weight of the entropy of the mean assignment, which is maximised; not in the paper.
        normalize_features: Compare directions only (cosine similarity); the paper does not.
        temperature: What similarities are divided by; 1 in the paper.
        rows: How the label embeddings are made.
        options: Those of ``Method``.
    """

    reads: ClassVar[Mapping[str, Role]] = {
        "alpha": Role("unlabeled", "unlabelled images"),
        "beta": Role("unlabeled", "unlabelled images"),
        "anchor": Role("labeled", "label embeddings as anchor"),
        "rows.start": Role("labeled", "start from a supervised network"),
    }
    records: ClassVar[Mapping[str, Curve]] = {
        "anchor": Curve("Cross entropy of similarities with label rows", "nats per pixel"),
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
        rows: LabelRowOptions = LabelRowOptions(),
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(model, **options)
        self.alpha, self.beta, self.theta, self.anchor = alpha, beta, theta, anchor
        self.warmup, self.diversity, self.rows = warmup, diversity, rows
        check_label_rows(model, rows, embed_dim)
        self.label_embeddings = model.add_label_embeddings(
            embed_dim, centroids, normalize_features=normalize_features, temperature=temperature
        )
        self.class_means = ClassMeans(self.label_embeddings)
        self.by_embedding = Confusions(model.label_spaces)

    def prepare(self, networks: Callable[[], SegmentationModel]) -> None:
        """Compute the label embeddings from supervised networks of every domain (appendix A)."""
        prepare_label_rows(self.model, self.data, self.rows, networks)

    @property
    def unlabeled_from(self) -> int | None:
        """The step at which the entropy terms begin; without them no unlabelled image is ever passed forward."""
        return None if self.alpha == self.beta == 0 else int(self.warmup[0] * self.total_steps)

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """L = L_S + anchor L_A + ramp (alpha L_USc + beta L_USw), Eq. 5 with the anchor."""
        for domain in self.model.label_spaces:  # in the order of the public code: one domain after the other
            if domain in batch.labeled:
                yield self.labeled_loss(batch.labeled[domain], domain)
            if domain in batch.unlabeled:
                images = batch.unlabeled[domain].image
                batches = torch.split(images, self.data.batch_size // process_count())
                weight = ramp(self.progress, *self.warmup) / len(batches)
                for part in batches:
                    yield weight * self.entropy_loss(part, domain)

    def labeled_loss(self, sample: Sample, domain: str) -> Tensor:
        """Supervised term and anchor of one labelled batch."""
        features = self.model.features(sample.image, domain)
        loss = self.supervised_loss(self.model.classify(features, domain), sample, domain)
        if self.anchor:
            loss = loss + self.anchor * self.anchor_loss(features, sample, domain)
        if self.theta < 1:
            self.class_means.add(self.model.space_key(domain), features, sample.mask, self.model.config.align_corners)
        return loss

    def anchor_loss(self, features: Tensor, sample: Sample, domain: str) -> Tensor:
        """Cross entropy of labelled pixels' similarities with their own labels; a label is the sum of its K rows."""
        space, corners = self.model.space_key(domain), self.model.config.align_corners
        scores = self.label_embeddings.scores(features, [space])
        classes, total = self.label_embeddings.row_classes(space), self.labeled_pixels(sample.mask)
        loss = cross_entropy(scores, sample.mask, classes, total, align_corners=corners, zero_border=self.zero_border)
        self.means.add(f"{domain}/anchor", loss)
        return loss

    def entropy_loss(self, images: Tensor, domain: str) -> Tensor:
        """Entropies alpha H(v_ij) + beta H(v_ii) of unlabelled images, (N, 3, H, W), of domain i (Eqs. 3 and 4).

        With more than two label spaces the cross-domain entropies are averaged, so that two give the paper's sum.
        """
        own = self.model.space_key(domain)
        others = [space for space in self.label_embeddings.spaces if space != own]
        features = self.model.features(images, domain)
        scores = self.label_embeddings.scores(features, [own, *others])  # (N, R, h, w), Eq. 2
        groups = [len(self.label_embeddings.row_classes(space)) for space in (own, *others)]
        size, corners = (images.shape[-2], images.shape[-1]), self.model.config.align_corners
        within, *across = entropy(scores, size, groups, align_corners=corners, zero_border=self.zero_border)
        self.means.add(f"{domain}/entropy_within", within)
        loss: Tensor = self.beta * within
        if across:
            cross = torch.stack(across).mean()
            self.means.add(f"{domain}/entropy_across", cross)
            loss = loss + self.alpha * cross
        assigned = assignment_entropy(scores, groups).mean()
        self.means.add(f"{domain}/entropy_of_assignment", assigned)
        self.means.add(f"{domain}/largest_score", scores.abs().amax())
        return loss - self.diversity * assigned

    def end_epoch(self) -> None:
        """Move the label embeddings to the class means of this epoch (Eq. 7)."""
        if self.theta < 1:
            self.class_means.update(self.theta)

    def validate_features(self, features: Tensor, sample: Sample, domain: str) -> None:
        """Count predictions by decoder and by label embedding."""
        super().validate_features(features, sample, domain)
        record_projection(self.means, domain, self.model, self.label_embeddings, features)
        logits = self.label_embeddings.logits(features, self.model.space_key(domain))
        self.by_embedding.add(domain, logits, sample.mask, self.model.config.align_corners)

    def on_validation_epoch_end(self) -> None:
        """Scores by decoder and by label embedding."""
        super().on_validation_epoch_end()
        self.scores |= {f"{domain}/miou_by_embedding": miou for domain, miou in self.by_embedding.take().items()}


@torch.no_grad()
def record_projection(
    means: Means, domain: str, model: SegmentationModel, embeddings: LabelEmbeddings, features: Tensor
) -> None:
    """Record the length of projected pixels, and how often label embeddings choose the class that the decoder chooses.

    Entropy falls as well by longer vectors alone, which means nothing; so the length is worth watching beside it.

    Args:
        means: Gets ``DOMAIN/projection_norm`` and ``DOMAIN/agreement``, a share in [0, 1] of the cells of the features.
        domain: Whose labels both choose from.
        model: Whose decoder.
        embeddings: Those of the model.
        features: Decoded features of validation images, (N, D, h, w).
    """
    by_embedding = embeddings.logits(features, model.space_key(domain)).argmax(dim=1)
    agreed = by_embedding == model.classify(features, domain).argmax(dim=1)
    means.add(f"{domain}/agreement", agreed.double().mean())
    means.add(f"{domain}/projection_norm", embeddings.projection(features).float().norm(dim=1).mean())
