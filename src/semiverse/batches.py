"""The batch of each training step: a pure function of the seed and the step."""

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from semiverse.data import Sample, Split


class TrainBatch(NamedTuple):
    """Samples of one step, by domain name; each batched, (N, 3, H, W) images and (N, H, W) masks, uint8.

    Args:
        labeled: Labelled images.
        unlabeled: Images whose masks nobody looks at.
        ground_truth: Labelled images drawn once more, for whoever compares predictions with true label maps.
    """

    labeled: dict[str, Sample]
    unlabeled: dict[str, Sample]
    ground_truth: Mapping[str, Sample] = MappingProxyType({})


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

    Args:
        split: The images, and how a view of them is drawn.
        seed: Of the mixture.
        name: Tells the streams of one mixture apart.
    """

    def __init__(self, split: Split, seed: int, name: str) -> None:
        self.split, self.key = split, [seed, zlib.crc32(name.encode())]
        self._pass, self._order = -1, np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.split)

    def draw(self, place: int) -> Sample:
        """View number ``place`` of the sequence."""
        number, index = divmod(place, len(self.split))
        seed = int(np.random.SeedSequence([*self.key, place]).generate_state(1, np.uint64)[0] >> 1)
        return self.split.draw(int(self._order_of(number)[index]), torch.Generator().manual_seed(seed))

    def _order_of(self, number: int) -> np.ndarray:
        if number != self._pass:  # the current one is kept, as drawing it takes a time that grows with the dataset
            self._pass = number
            self._order = np.random.default_rng([*self.key, number]).permutation(len(self.split))
        return self._order


class StepBatches(Dataset[TrainBatch]):
    """The batch of each step, one process's share of it.

    Args:
        labeled: Labelled images by domain.
        unlabeled: Unlabelled images by domain.
        batch_size: Images of a domain in a batch, over all processes together.
        share: Places in a batch that are this process's.
        unlabeled_batches: Unlabelled batches of each domain in a step.
        unlabeled_from: First step with unlabelled images; None: no step has any.
        ground_truth: Labelled images that are drawn once more, by domain.
    """

    def __init__(
        self,
        labeled: Mapping[str, Stream],
        unlabeled: Mapping[str, Stream],
        batch_size: int,
        share: range,
        unlabeled_batches: Mapping[str, int],
        unlabeled_from: int | None,
        ground_truth: Mapping[str, Stream] = MappingProxyType({}),
    ) -> None:
        self.ground_truth = dict(ground_truth)
        self.labeled, self.unlabeled, self.batch_size, self.share = labeled, unlabeled, batch_size, share
        self.unlabeled_batches, self.unlabeled_from = unlabeled_batches, unlabeled_from

    def __getitem__(self, step: int) -> TrainBatch:
        begun = self.unlabeled_from is not None and step >= self.unlabeled_from
        unlabeled = self.unlabeled if begun else {}
        return TrainBatch(
            {name: self._draw(stream, step, 1) for name, stream in self.labeled.items()},
            {name: self._draw(stream, step, self.unlabeled_batches[name]) for name, stream in unlabeled.items()},
            {name: self._draw(stream, step, 1) for name, stream in self.ground_truth.items()},
        )

    def _draw(self, stream: Stream, step: int, batches: int) -> Sample:
        """This process's share of some batches in a row."""
        first = step * batches
        return collate(
            [
                stream.draw(batch * self.batch_size + offset)
                for batch in range(first, first + batches)
                for offset in self.share
            ]
        )


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
    images, masks, names = zip(*samples, strict=True)
    return Sample(torch.stack(images), torch.stack(masks), list(names))  # type: ignore[arg-type]


def loading_processes(processes: int) -> int:
    """How many processes should load for each of some training processes: one a core, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // processes))
