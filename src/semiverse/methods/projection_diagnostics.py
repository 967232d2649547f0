"""Whether the projection of pixels means something: recorded at every validation beside the losses."""

import torch
from torch import Tensor

from semiverse.methods.bookkeeping import Means
from semiverse.models import LabelEmbeddings, SegmentationModel


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
