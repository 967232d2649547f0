"""Scores of a method while it trains: its result, on the validation images of every domain."""

import math
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor

from semiverse.evaluation.confusion import ConfusionMatrix
from semiverse.labels import LabelSpace
from semiverse.methods import Method
from semiverse.upsampling import ScoreMap, argmax


class Confusions:
    """A confusion matrix for each domain.

    Args:
        label_spaces: Label space of each domain.
        device: Where predictions are.
    """

    def __init__(self, label_spaces: Mapping[str, LabelSpace], device: torch.device) -> None:
        self.matrices = {name: ConfusionMatrix(len(space)).to(device) for name, space in label_spaces.items()}

    def add(self, domain: str, logits: ScoreMap, mask: Tensor) -> None:
        """Count the best class of logits (N, C, h, w), upsampled to the masks (N, H, W)."""
        prediction = argmax(logits, (mask.shape[1], mask.shape[2]))
        self.matrices[domain].update(prediction, mask)

    def mious(self) -> dict[str, float]:
        """Mean IoU of each domain, in [0, 1], over the images of all processes."""
        return {name: matrix.compute().miou for name, matrix in self.matrices.items()}


@torch.inference_mode()
def validate(fabric: Fabric, method: Method) -> dict[str, float]:
    """Mean IoU of every domain by decoder, and by label embedding where there are any, and what the method adds.

    Returns:
        Scores by name: ``DOMAIN/miou``, their sum over the domains that have labels to validate with, and more.
    """
    method.eval()
    model, data = method.result(), method.data
    by_decoder = Confusions(model.label_spaces, fabric.device)
    by_embedding = None if model.label_embeddings is None else Confusions(model.label_spaces, fabric.device)
    loaders = data.validation(fabric.global_rank, fabric.world_size)
    for domain, loader in zip(data.domains, loaders, strict=True):
        for sample in loader:
            sample = fabric.to_device(sample)
            with fabric.autocast():
                features = model.features(sample.image, domain)
                by_decoder.add(domain, model.classify(features, domain), sample.mask)
                if by_embedding is not None and model.label_embeddings is not None:
                    logits = model.label_embeddings.logits(features, model.space_key(domain))
                    by_embedding.add(domain, logits, sample.mask)
                method.observe(features, domain)
    mious = by_decoder.mious()
    scores = {f"{domain}/miou": miou for domain, miou in mious.items()}
    scores["sum_miou"] = sum(miou for miou in mious.values() if not math.isnan(miou))
    if by_embedding is not None:
        scores |= {f"{domain}/miou_by_embedding": miou for domain, miou in by_embedding.mious().items()}
    scores |= method.measures()
    method.train()
    return scores
