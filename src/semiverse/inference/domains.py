"""Which domain an image resembles, by the statistics of features that a training keeps."""

from warnings import warn

import torch
from torch import Tensor

from semiverse.data import Resolution
from semiverse.data.samples import resized
from semiverse.inference.images import read_or_explain
from semiverse.mixture import DomainMixture
from semiverse.models import DomainStatistics, SegmentationModel

SIDE = 192
"""Shorter side of the images that are looked at, at most: kinds of images differ in more than details."""
IMAGES = 48
"""Of each domain, at most, spread evenly over its training images."""


@torch.inference_mode()
def pooled(model: SegmentationModel, image: Tensor) -> Tensor:
    """Mean and deviation over the cells of every map of the encoder, (D,) float32, on the CPU.

    Every image, (3, H, W) uint8, is seen as one of the model's first domain, as its own is not known.
    """
    scale = min(1.0, SIDE / min(image.shape[1:]))
    if scale < 1:
        image = resized(image, Resolution(scale).of(*image.shape[1:]))
    maps = model.encode(image[None].to(model.mean.device), next(iter(model.label_spaces)))
    cells = [one[0].flatten(1).float() for one in maps]
    parts = [part for one in cells for part in (one.mean(dim=1), one.std(dim=1, correction=0))]
    return torch.cat(parts).cpu()


def note_domains(model: SegmentationModel, data: DomainMixture) -> None:
    """Give a model the statistics of its domains, from training images with or without labels; a minute at most.

    Images that cannot be read are left out, with a warning; nothing is noted if a domain has no other.

    Args:
        model: In evaluation mode.
        data: Where the images of each of its domains are.
    """
    vectors = []
    for name in model.label_spaces:
        domain = data.domains[name]
        records = domain.subset(domain.train)
        chosen = records[:: -(-len(records) // IMAGES)]
        images = (read_or_explain(domain.dataset.read_image, record.image) for record in chosen)
        found = [image if isinstance(image, str) else pooled(model, image) for image in images]
        seen, lost = [one for one in found if isinstance(one, Tensor)], [one for one in found if isinstance(one, str)]
        if lost:
            shares = f"{len(lost)} of {len(chosen)} images by which domain {name} is recognized cannot be read"
            warn(f"{shares}, first: {lost[0]}; the others do", stacklevel=2)
        if not seen:
            return
        vectors.append(torch.stack(seen))
    model.domain_statistics = DomainStatistics.estimate(vectors)


def recognize(model: SegmentationModel, image: Tensor) -> tuple[str, float]:
    """The domain that an image, (3, H, W) uint8, resembles most, and how likely it is among them, in (0, 1].

    Raises:
        ValueError: If the model keeps no statistics.
    """
    if model.domain_statistics is None:
        raise ValueError(
            "the model keeps no statistics of its domains, as those of earlier versions; expected some, to tell which "
            "domain an image is like: name it with --domain, or add them with semiverse.inference.domains.note_domains"
        )
    found = model.domain_statistics.probabilities(pooled(model, image)[None])[0]
    best = int(found.argmax())
    return list(model.label_spaces)[best], float(found[best])
