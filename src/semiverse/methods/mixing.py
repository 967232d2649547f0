"""What is pasted into strong views, with its labels: boxes of other images, or classes of labelled ones.

Boxes of the same domain are CutMix (Yun et al., ICCV 2019). Those of another domain keep their own label space, as in
TACS (Gong et al., ECCV 2022). Classes are ClassMix (Olsson et al., WACV 2021), as DACS pastes them.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.methods.strong_views import StrongView, generator, of_images, paste, pasted_classes
from semiverse.methods.teacher_labels import Labels
from semiverse.mixture import DomainMixture, TrainBatch
from semiverse.models import SegmentationModel

Boxes = Sequence[tuple[slice, slice] | None]
Draws = Sequence[np.random.Generator | None]


class View(NamedTuple):
    """A strong view of a domain's images.

    Args:
        images: (N, 3, H, W) uint8.
        padding: What lies beyond the images, (N, H, W), as in ``Sample``.
        labels: By the domain whose head learns them; no pixel has labels of two.
    """

    images: Tensor
    padding: Tensor
    labels: Mapping[str, Labels]


class Mixing:
    """Makes strong views of the unlabelled images of a step.

    Args:
        model: Whose label spaces domains have.
        data: What batches are drawn from.
        strong: How colours and boxes are drawn.
        mix: What images of a domain without labels get: boxes, or classes of a domain that shares its labels.
        cross_mix: Probability that a box comes from another domain.

    Raises:
        ValueError: If crops of domains that are mixed differ, or there are not two to mix.
    """

    def __init__(
        self,
        model: SegmentationModel,
        data: DomainMixture,
        strong: StrongView,
        mix: Literal["boxes", "classes"],
        cross_mix: float,
    ) -> None:
        self.model, self.seed, self.strong, self.cross_mix = model, data.seed, strong, cross_mix
        self.sources: dict[str, list[str]] = {}
        """Labelled domains of the same label space, of each domain without labels that gets classes."""
        for name in [name for name in model.label_spaces if mix == "classes" and not data.labeled[name]]:
            alike = (other for other in model.label_spaces if model.space_key(other) == model.space_key(name))
            if sources := [other for other in alike if data.labeled[other]]:
                refuse_other_crops(data, [name, *sources], "mix: classes")
                self.sources[name] = sources
        if cross_mix:
            refuse_apart(data, model, f"cross_mix {cross_mix}")

    def view(self, batch: TrainBatch, domain: str, labels: Mapping[str, Labels], step: int, number: int) -> View:
        """A strong view of a domain's images, by its number, with what is pasted into it; labels are by domain."""
        sample = batch.unlabeled[domain]
        draws = of_images(len(sample.image), self.seed, step, domain, number)
        view = self._recolored(sample, domain, labels[domain], draws)
        if domain in self.sources:
            source = self.sources[domain][step % len(self.sources[domain])]
            given = taken_images(batch.labeled[source], len(draws))
            return paste_classes(view, given, len(self.model.label_spaces[domain]), draws)
        boxes = [self.strong.boxed((sample.image.shape[-2], sample.image.shape[-1]), draw) for draw in draws]
        others = [name for name in batch.unlabeled if name != domain]
        if not (self.cross_mix and others):
            return paste_boxes(view, boxes)
        other = others[int(generator(self.seed, step, domain, "other", number).integers(len(others)))]
        crossed = [draw.random() < self.cross_mix and box is not None for box, draw in zip(boxes, draws, strict=True)]
        pairs = list(zip(boxes, crossed, strict=True))
        view = paste_boxes(view, [None if cross else box for box, cross in pairs])
        shown = [draw if cross else None for draw, cross in zip(draws, crossed, strict=True)]
        known = Labels(*(taken(one, len(draws)) for one in labels[other]))
        foreign = self._recolored(taken_images(batch.unlabeled[other], len(draws)), other, known, shown)
        return paste_foreign_boxes(view, foreign, [box if cross else None for box, cross in pairs])

    def _recolored(self, sample: Sample, domain: str, labels: Labels, draws: Draws) -> View:
        """Images in other colours, with their labels; those whose draw is None stay as they are."""
        padding = torch.zeros_like(labels.mask) if sample.padding is None else sample.padding
        images = self.strong.recolored_batch(sample.image, padding, self.model.mean, draws)
        return View(images, padding, {domain: labels})


def paste_boxes(view: View, boxes: Boxes) -> View:
    """Boxes of the images' partners, with all that is known of them."""
    ((domain, own),) = view.labels.items()
    images, padding, mask, sure = paste([view.images, view.padding, *own], boxes)
    return View(images, padding, {domain: Labels(mask, sure)})


def paste_foreign_boxes(view: View, other: View, boxes: Boxes) -> View:
    """Boxes of as many images of another domain, whose pixels the head of that domain learns and no other."""
    ((domain, own),), ((name, foreign),) = view.labels.items(), other.labels.items()
    nothing = torch.full_like(own.mask, IGNORE)
    images, padding, mask, sure, outside = paste(
        [view.images, view.padding, *own, nothing],
        boxes,
        [other.images, other.padding, nothing, foreign.sure, foreign.mask],
    )
    return View(images, padding, {domain: Labels(mask, sure), name: Labels(outside, sure)})


def paste_classes(view: View, source: Sample, classes: int, draws: Sequence[np.random.Generator]) -> View:
    """Half of the classes of as many labelled images of the same label space, with their true labels."""
    ((domain, own),) = view.labels.items()
    pasted = torch.stack([pasted_classes(mask, classes, draw) for mask, draw in zip(source.mask, draws, strict=True)])
    labels = Labels(
        torch.where(pasted, source.mask, own.mask), torch.where(pasted, torch.ones_like(own.sure), own.sure)
    )
    images = torch.where(pasted[:, None], source.image, view.images)
    return View(images, view.padding.masked_fill(pasted, 0), {domain: labels})


def taken(values: Tensor, count: int) -> Tensor:
    """So many of a batch, (N, ...), that may be smaller or larger: the first ones, beginning anew after the last.

    Processes that share both batches take those that one would.
    """
    return values if len(values) == count else values[torch.arange(count, device=values.device) % len(values)]


def taken_images(sample: Sample, count: int) -> Sample:
    """So many images, masks and paddings of a batch, as ``taken``; their names stay behind."""
    padding = None if sample.padding is None else taken(sample.padding, count)
    return Sample(taken(sample.image, count), taken(sample.mask, count), "", padding)


def refuse_other_crops(data: DomainMixture, domains: Sequence[str], option: str) -> None:
    """Make sure that training views of domains are of one size, as pixels of one go into another.

    Raises:
        ValueError: If they are not, or are whole images, whose sizes nothing says.
    """
    crops = {name: data.domains[name].crop_or(data.crop) for name in domains}
    if len(set(crops.values())) == 1 and None not in crops.values():
        return
    found = ", ".join(f"{name} {'whole' if crop is None else list(crop)}" for name, crop in crops.items())
    raise ValueError(
        f"{option} puts pixels of one domain into images of another, and their training views are {found}; expected "
        "crops of one size: set data.crop, and no crop of a domain"
    )


def refuse_apart(data: DomainMixture, model: SegmentationModel, option: str) -> None:
    """Make sure that boxes of one domain's unlabelled images can go into those of another.

    Raises:
        ValueError: If fewer than two domains have any, networks are separate, or crops differ.
    """
    names = [name for name, records in data.unlabeled.items() if records]
    if len(names) < 2 or model.config.separate:
        found = "every domain has a network of its own" if model.config.separate else f"{len(names)} have any"
        raise ValueError(
            f"{option} mixes unlabelled images of several domains, but {found}; expected two or more that share a "
            "network: add a domain, set model.separate to false, or leave it out"
        )
    refuse_other_crops(data, names, option)
