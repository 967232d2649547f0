"""The anchor of label embeddings: labelled pixels are to be most similar to the rows of their own class.

Not in Kalluri et al. (ICCV 2019), where nothing but entropies ties the projection to the labels.
"""

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from semiverse.data import Sample
from semiverse.losses import cross_entropy
from semiverse.methods.counting import labeled_pixels
from semiverse.methods.method import Curve, Method, Role
from semiverse.models import LabelEmbeddings

READS: Mapping[str, Role] = {"anchor": Role("labeled", "label embeddings as anchor")}
RECORDS: Mapping[str, Curve] = {
    "anchor": Curve("Cross entropy of similarities with label rows", "nats per pixel"),
}
"""What methods declare that use it."""


def anchor_loss(method: Method, features: Tensor, sample: Sample, domain: str) -> Tensor:
    """Cross entropy of labelled pixels' similarities with their own labels; a label is the sum of its K rows.

    Args:
        method: Whose model has label embeddings.
        features: Of the images of the sample, (N, D, h, w).
        sample: With masks (N, H, W).
        domain: Whose label space.
    """
    embeddings = cast(LabelEmbeddings, method.model.label_embeddings)
    space, weights = method.model.space_key(domain), method.class_weights.get(domain)
    total = labeled_pixels(sample.mask, weights)
    scores, classes = embeddings.scores(features, [space]), embeddings.row_classes(space)
    loss = cross_entropy(scores, sample.mask, classes, total, weights)
    method.means.add(f"{domain}/anchor", loss)
    return loss
