"""Self-training: strong views of images learn the labels that a model once gave them.

Lee (2013) learns pseudo-labels like labels; strong views of their images are as in ST++ (Yang et al., CVPR 2022), with
boxes of other images (CutMix) where that cuts boxes out.
"""

from contextlib import nullcontext

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.methods.method import Curve, Method, Role
from semiverse.methods.strong_views import StrongView, of_images, paste
from semiverse.mixture import TrainBatch
from semiverse.models.batch_norm import statistics_kept

READS: dict[str, Role] = {"pseudo_weight": Role("pseudolabels", "pseudo-labels made once")}
RECORDS: dict[str, Curve] = {"pseudolabeled": Curve("Cross entropy of pseudo-labels made once", "nats per pixel")}
"""What methods declare that use them."""


def pseudolabel_loss(method: Method, batch: TrainBatch, domain: str, strong: StrongView) -> Tensor:
    """Mean cross entropy of strong views of a domain's pseudo-labelled images, weighted like that of labelled ones.

    The views are normalised by their own batch and leave the running statistics to images as they are, unless the
    domain has no others.
    """
    sample = strong_view(method, batch.pseudolabeled[domain], domain, strong)
    others = domain in batch.labeled or domain in batch.unlabeled
    with statistics_kept(method.model) if others else nullcontext():
        logits = method.model.classify(method.model.features(sample.image, domain, sample.padding), domain)
    return method.supervised_loss(logits, sample, domain, "pseudolabeled")


def strong_view(method: Method, sample: Sample, domain: str, strong: StrongView) -> Sample:
    """Images in other colours, with boxes of their partners and of their masks."""
    seed, step = method.data.seed, method.steps_done
    draws = of_images(len(sample.image), seed, step, domain, "pseudolabeled")
    padding = torch.zeros_like(sample.mask) if sample.padding is None else sample.padding
    images = strong.recolored_batch(sample.image, padding, method.model.mean, draws)
    boxes = [strong.boxed((images.shape[-2], images.shape[-1]), draw) for draw in draws]
    images, mask, padding = paste([images, sample.mask, padding], boxes)
    return Sample(images, mask, sample.id, None if sample.padding is None else padding)
