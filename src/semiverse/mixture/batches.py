"""The batch of each training step: a pure function of the seed and the step."""

import os
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from semiverse.data import Sample, Split
from semiverse.data.records import LARGE
from semiverse.mixture.order import computed_order
from semiverse.mixture.rare_classes import RareClasses

COMPUTED = 1024
"""Places of an order that are computed at once."""


class TrainBatch(NamedTuple):
    """Samples of one step, by domain name; each batched, (N, 3, H, W) images and (N, H, W) masks, uint8.

    Args:
        labeled: Labelled images.
        unlabeled: Images whose masks nobody looks at.
        ground_truth: Labelled images drawn once more, for whoever compares predictions with true label maps; scaled
            until the crop fits, so that they hold no padding.
        views: Further views of the unlabelled images: the same pixels in other colours.
        pseudolabeled: Images with the labels that a model once gave them.
    """

    labeled: dict[str, Sample]
    unlabeled: dict[str, Sample]
    ground_truth: Mapping[str, Sample] = MappingProxyType({})
    views: Mapping[str, Sequence[Sample]] = MappingProxyType({})
    pseudolabeled: Mapping[str, Sample] = MappingProxyType({})


class Draws(NamedTuple):
    """What a method wants in its batches, beside labelled images.

    Args:
        unlabeled_from: First step with unlabelled images; None: no step has any, and none is ever read.
        unlabeled_domains: Domains whose unlabelled images are used; None: all that have any.
        in_turn: Draw an unlabelled batch from one domain at a time, as often from each as it has images, instead of
            one from every domain in each step.
        views: Views of every unlabelled image: the same crop, flipped alike, each in colours of its own
            (``data.augmentation.color``).
        ground_truth: Draw labelled images once more in every step.
        pseudolabeled: Draw pseudo-labelled images in every step, of all domains that have any.
    """

    unlabeled_from: int | None = None
    unlabeled_domains: Collection[str] | None = None
    in_turn: bool = False
    views: int = 1
    ground_truth: bool = False
    pseudolabeled: bool = False


class EpochSteps(Sampler[int]):
    """Numbers of the steps of the current epoch that are still to do.

    Args:
        steps_per_epoch: Steps of a whole epoch.
        position: Number of steps done so far; asked when an epoch starts.
    """

    def __init__(self, steps_per_epoch: int, position: Callable[[], int]) -> None:
        self.steps_per_epoch, self.position = steps_per_epoch, position

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return iter(range(start, (start // self.steps_per_epoch + 1) * self.steps_per_epoch))


class Stream:
    """An endless sequence of training views: every image once in each pass, in an order drawn for that pass.

    The order of more than 50,000 images (``data.records.LARGE``) is computed place by place, that of fewer is stored.

    Args:
        split: The images, and how a view of them is drawn.
        seed: Of the mixture.
        name: Tells the streams of one mixture apart.
        rare: Draws the image of each place by its classes instead; there is no order then.
    """

    def __init__(self, split: Split, seed: int, name: str, rare: RareClasses | None = None) -> None:
        self.split, self.key, self.rare = split, [seed, zlib.crc32(name.encode())], rare
        self._part: tuple[int, int] = (-1, 0)
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.split)

    def draw(self, place: int, views: int = 1) -> list[Sample]:
        """Image number ``place`` of the sequence, in so many views."""
        seed = int(np.random.SeedSequence([*self.key, place]).generate_state(1, np.uint64)[0] >> 1)
        generator = torch.Generator().manual_seed(seed)
        if self.rare is not None:
            image, wanted = self.rare.draw([*self.key, place])
            return self.split.draw(image, generator, views, wanted)
        return self.split.draw(self._image(place), generator, views)

    def _image(self, place: int) -> int:
        """Number of the image at a place; the part of the order around it is kept."""
        count = len(self.split)
        number, index = divmod(place, count)
        length = count if count <= LARGE else COMPUTED
        part, inside = divmod(index, length)
        if self._part != (number, part):
            self._part, key = (number, part), [*self.key, number]
            if count <= LARGE:
                self._order = np.random.default_rng(key).permutation(count)
            else:
                places = np.arange(part * length, min((part + 1) * length, count))
                self._order = computed_order(count, key, places)
        return int(self._order[inside])


Plan = Callable[[int], Mapping[str, Sequence[int]]]
"""Gives the numbers of the batches that each stream gives in a step; streams that give none are left out."""


def every_step(batches: Mapping[str, int], step: int) -> dict[str, range]:
    """A plan by which several streams all give batches in every step: so many each, by name."""
    return {name: range(step * count, (step + 1) * count) for name, count in batches.items()}


def in_turn(sizes: Mapping[str, int], batches: int, seed: int, step: int) -> dict[str, list[int]]:
    """A plan by which several streams take turns, so that all images of all of them are drawn equally often.

    A pass has as many turns as there are images; each stream has as many of them as it has images, in an order drawn
    for that pass. One batch comes from one stream, so that its images can be normalised together.

    Args:
        sizes: Number of images of each stream, by name.
        batches: Batches in a step.
        seed: Of the mixture.
        step: Which step.
    """
    plan: dict[str, list[int]] = {}
    names, total = list(sizes), sum(sizes.values())
    if total > LARGE:
        starts = np.cumsum([0, *sizes.values()])
        for turn in range(step * batches, (step + 1) * batches):
            number, index = divmod(turn, total)
            key = [seed, zlib.crc32(b"turns"), number]
            image = int(computed_order(total, key, np.array([index]))[0])
            owner = int(np.searchsorted(starts, image, side="right")) - 1
            place = number * sizes[names[owner]] + image - int(starts[owner])
            plan.setdefault(names[owner], []).append(place)
        return plan
    turns = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    for turn in range(step * batches, (step + 1) * batches):
        number, index = divmod(turn, len(turns))
        owners = np.random.default_rng([seed, zlib.crc32(b"turns"), number]).permutation(turns)
        name, size = list(sizes.items())[owners[index]]
        plan.setdefault(name, []).append(number * size + int(np.count_nonzero(owners[:index] == owners[index])))
    return plan


@dataclass(eq=False)
class StepBatches(Dataset[TrainBatch]):
    """The batch of each step, one process's share of it.

    Args:
        labeled: Labelled images by domain.
        unlabeled: Unlabelled images by domain.
        batch_size: Images of a domain in a batch, over all processes together.
        share: Places in a batch that are this process's.
        plan: Which unlabelled batches a step has.
        draws: What is wanted.
        ground_truth: Labelled images that are drawn once more, by domain.
        pseudolabeled: Pseudo-labelled images by domain.
    """

    labeled: Mapping[str, Stream]
    unlabeled: Mapping[str, Stream]
    batch_size: int
    share: range
    plan: Plan
    draws: Draws
    ground_truth: Mapping[str, Stream]
    pseudolabeled: Mapping[str, Stream]

    def __getitem__(self, step: int) -> TrainBatch:
        begun = self.draws.unlabeled_from is not None and step >= self.draws.unlabeled_from
        plan = self.plan(step) if begun else {}
        drawn = {name: self._draw(self.unlabeled[name], batches, self.draws.views) for name, batches in plan.items()}
        return TrainBatch(
            {name: self._draw(stream, [step])[0] for name, stream in self.labeled.items()},
            {name: first for name, (first, *_) in drawn.items()},
            {name: self._draw(stream, [step])[0] for name, stream in self.ground_truth.items()},
            {name: further for name, (_, *further) in drawn.items() if further},
            {name: self._draw(stream, [step])[0] for name, stream in self.pseudolabeled.items()},
        )

    def _draw(self, stream: Stream, batches: Sequence[int], views: int = 1) -> list[Sample]:
        """This process's share of some batches, by their numbers, in so many views."""
        places = [batch * self.batch_size + offset for batch in batches for offset in self.share]
        return [collate(view) for view in zip(*(stream.draw(place, views) for place in places), strict=True)]


def collate(samples: Sequence[Sample]) -> Sample:
    """Samples of one size as a batch; ``id`` becomes a list.

    Raises:
        ValueError: If their sizes differ.
    """
    sizes = {tuple(sample.mask.shape) for sample in samples}
    if len(sizes) > 1:
        raise ValueError(
            f"images of one batch have the sizes (height, width) {sorted(sizes)}; expected one size: set data.crop, or "
            "resolution.size of the domain"
        )
    images, masks, names, paddings = zip(*samples, strict=True)
    padding = None
    if any(one is not None for one in paddings):
        pairs = zip(paddings, masks, strict=True)
        padding = torch.stack([torch.zeros_like(mask) if one is None else one for one, mask in pairs])
    return Sample(torch.stack(images), torch.stack(masks), list(names), padding)  # type: ignore[arg-type]


def loading_processes(processes: int) -> int:
    """How many processes should load for each of some training processes: one a core, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // processes))
