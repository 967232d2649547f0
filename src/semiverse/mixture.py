"""Domains with label budgets, and the batches drawn from all of them.

A training batch is a pure function of the seed and the step: nothing is remembered between steps, so a run that is
resumed at step s continues exactly as if it had not stopped, with any number of loading processes.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from warnings import warn

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from semiverse.data import (
    Augmentation,
    Content,
    CropTransform,
    Record,
    ResizeTransform,
    Sample,
    SegmentationDataset,
    Split,
    labeling_order,
    list_images,
    read_list,
    survey,
)
from semiverse.labels import LabelSpace
from semiverse.resolution import Resolution


@dataclass
class Domain:
    """A dataset with a label budget.

    Supervised learning is a domain with all labels, semi-supervised learning one with few, a target of adaptation one
    with none.

    Args:
        dataset: The images, their masks and their label space.
        labeled: How many training images keep their masks; None: all of them; 0: none.
        unlabeled: Learn also from training images without looking at their masks.
        train: The training split: one of the dataset's, or a list file (.txt).
        val: The validation split, likewise.
        resolution: The size at which the network sees the images.
        labeled_list: List file of the images that keep their masks, instead of a drawn budget.
        cover_classes: Prefer images with classes not labelled yet, so that few labels miss no class.
        exclude_labeled: Leave the labelled images out of the unlabelled ones.
        unlabeled_split: A further split whose images are used without masks.
        unlabeled_folder: A further folder of images without masks.
    """

    dataset: SegmentationDataset
    labeled: int | None = None
    unlabeled: bool = True
    train: str = "train"
    val: str = "val"
    resolution: Resolution = field(default_factory=Resolution)
    labeled_list: Path | None = None
    cover_classes: bool = True
    exclude_labeled: bool = False
    unlabeled_split: str | None = None
    unlabeled_folder: Path | None = None


class TrainBatch(NamedTuple):
    """Samples of one step, by domain name; each batched, (N, 3, H, W) images and (N, H, W) masks, uint8."""

    labeled: dict[str, Sample]
    unlabeled: dict[str, Sample]


class DomainMixture:
    """Several domains and how batches are drawn from them.

    Args:
        domains: Domains by name; a name has no dots.
        batch_size: Images of each domain in a batch, labelled and unlabelled alike, over all processes together.
        crop: (height, width) of a training view; None: whole images, which must then be of one size.
        augmentation: Random changes of training views.
        unlabeled_batches: Unlabelled batches of a domain in each step; None: as many as it takes to see all its
            unlabelled images about once an epoch.
        workers: Processes that load; 0: load in the training process.
        seed: Of the label budgets, the order of the images and the augmentation.

    Raises:
        ValueError: If there is no domain, or a name is empty or has a dot.
    """

    def __init__(
        self,
        domains: dict[str, Domain],
        batch_size: int = 4,
        crop: tuple[int, int] | None = None,
        augmentation: Augmentation = Augmentation(),
        unlabeled_batches: int | None = 1,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        if not domains:
            raise ValueError("the mixture has no domain; name at least one under data.domains")
        for name in domains:
            if not name or "." in name:
                raise ValueError(f"domain name {name!r} is empty or has a dot; expected a plain name such as 'streets'")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; expected at least 1")
        self.domains, self.batch_size, self.crop, self.augmentation = domains, batch_size, crop, augmentation
        self.unlabeled_batches, self.workers, self.seed = unlabeled_batches, workers, seed
        self._contents: dict[tuple[str, str], list[Content]] = {}

    @property
    def label_spaces(self) -> dict[str, LabelSpace]:
        """Label space of each domain."""
        return {name: domain.dataset.labels for name, domain in self.domains.items()}

    @property
    def resolutions(self) -> dict[str, Resolution]:
        """Working size of each domain."""
        return {name: domain.resolution for name, domain in self.domains.items()}

    def contents(self, name: str, split: str) -> list[Content]:
        """What the files of a domain's split hold; every file is read once and remembered."""
        if (name, split) not in self._contents:
            dataset = self.domains[name].dataset
            self._contents[name, split] = survey(dataset, dataset.subset(split), f"{name} {split}")
        return self._contents[name, split]

    @cached_property
    def labeled(self) -> dict[str, list[Record]]:
        """Records that keep their masks, by domain.

        Raises:
            ValueError: If a budget is larger than its dataset.
        """
        return {name: self._labeled(name, domain) for name, domain in self.domains.items()}

    def _labeled(self, name: str, domain: Domain) -> list[Record]:
        records = [record for record in domain.dataset.subset(domain.train) if record.mask is not None]
        if domain.labeled_list is not None:
            wanted = read_list(domain.labeled_list)
            by_id = {record.id: record for record in records}
            missing = [identifier for identifier in wanted if identifier not in by_id]
            if missing:
                raise ValueError(f"{domain.labeled_list}: {missing[0]!r} is no labelled training image of domain {name}")
            return [by_id[identifier] for identifier in wanted]
        if domain.labeled is None:
            return records
        if not 0 <= domain.labeled <= len(records):
            raise ValueError(
                f"domain {name}: a budget of {domain.labeled} labelled images, but split {domain.train!r} has "
                f"{len(records)} with masks; expected 0 to {len(records)}: lower data.domains.{name}.labeled"
            )
        classes = None
        if domain.cover_classes and 0 < domain.labeled < len(records):
            by_name = {content.id: content.classes for content in self.contents(name, domain.train)}
            classes = [by_name[record.id] for record in records]
        order = labeling_order(len(records), self.seed, classes)
        return [records[index] for index in order[: domain.labeled]]

    @cached_property
    def unlabeled(self) -> dict[str, list[Record]]:
        """Records whose masks are not looked at, by domain: image files only, without masks."""
        return {name: self._unlabeled(name, domain) for name, domain in self.domains.items()}

    def _unlabeled(self, name: str, domain: Domain) -> list[Record]:
        images = [record.image for record in domain.dataset.subset(domain.train)] if domain.unlabeled else []
        if domain.exclude_labeled:
            known = {record.image for record in self.labeled[name]}
            images = [image for image in images if image not in known]
        if domain.unlabeled_split is not None:
            images += [record.image for record in domain.dataset.subset(domain.unlabeled_split)]
        if domain.unlabeled_folder is not None:
            images += list_images(domain.unlabeled_folder).values()
        return [Record(image, None) for image in dict.fromkeys(images)]

    def warn_of_missing_classes(self) -> None:
        """Warn of classes that no labelled image of a domain shows: their scores cannot rise above zero."""
        for name, records in self.labeled.items():
            space = self.domains[name].dataset.labels
            known = {content.id: content.classes for content in self.contents(name, self.domains[name].train)}
            seen = frozenset().union(*(known.get(record.id, frozenset()) for record in records))
            missing = [title for i, title in enumerate(space.classes) if i not in seen]
            if records and missing:
                warn(
                    f"domain {name}: no labelled image shows {', '.join(missing)}; the model cannot learn "
                    f"{'it' if len(missing) == 1 else 'them'}: raise the budget or merge classes",
                    stacklevel=2,
                )

    @property
    def steps_per_epoch(self) -> int:
        """Steps until the longest labelled list has been seen once; shorter lists are repeated meanwhile."""
        longest = max(len(records) for records in self.labeled.values())
        if longest == 0:
            raise ValueError("no domain has a labelled image; give at least one a budget (data.domains.NAME.labeled)")
        return max(1, longest // self.batch_size)

    def training(
        self, position: Callable[[], int], unlabeled_from: int | None = 0, rank: int = 0, processes: int = 1
    ) -> DataLoader[TrainBatch]:
        """Batches of an epoch, one a step, from the position that training has reached.

        Args:
            position: Number of steps done so far; asked when an epoch starts.
            unlabeled_from: First step with unlabelled images; None: no step has any.
            rank: Of this process.
            processes: Number of processes; each gets its share of every batch.

        Raises:
            ValueError: If the processes cannot share a batch evenly.
        """
        if self.batch_size % processes:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {processes} processes; make it a multiple of them"
            )
        return DataLoader(
            StepBatches(self, unlabeled_from, range(rank, self.batch_size, processes)),
            batch_size=None,
            sampler=EpochSteps(self.steps_per_epoch, position),
            num_workers=self.workers,
            persistent_workers=False,
            pin_memory=torch.cuda.is_available(),
        )

    def evaluation(self, name: str, split: str | None = None, full_resolution: bool = False) -> Split:
        """Samples of a domain's split, whole images with their masks, in order.

        Args:
            name: The domain.
            split: One of its dataset's splits or a list file; None: the domain's validation split.
            full_resolution: Leave images and masks at the owner's size instead of the working size.
        """
        domain = self.domains[name]
        resolution = Resolution() if full_resolution else domain.resolution
        return Split(domain.dataset, domain.dataset.subset(split or domain.val), ResizeTransform(resolution))

    def validation(self, rank: int = 0, processes: int = 1) -> list[DataLoader[Sample]]:
        """One loader a domain, in order, single images; each process gets its share, none twice."""
        splits = [self.evaluation(name) for name in self.domains]
        shares = [Subset(split, range(rank, len(split), processes)) for split in splits]
        return [DataLoader(share, batch_size=1, num_workers=min(1, self.workers)) for share in shares]


class EpochSteps(Sampler[int]):
    """Numbers of the steps of the current epoch that are still to do."""

    def __init__(self, steps_per_epoch: int, position: Callable[[], int]) -> None:
        self.steps_per_epoch, self.position = steps_per_epoch, position

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        start = self.position()
        return iter(range(start, (start // self.steps_per_epoch + 1) * self.steps_per_epoch))


class StepBatches(Dataset[TrainBatch]):
    """The batch of each step, one process's share of it."""

    def __init__(self, mixture: DomainMixture, unlabeled_from: int | None, share: range) -> None:
        self.seed, self.unlabeled_from, self.share = mixture.seed, unlabeled_from, share
        self.labeled = {n: _training_split(mixture, n, r) for n, r in mixture.labeled.items() if r}
        self.unlabeled = {n: _training_split(mixture, n, r) for n, r in mixture.unlabeled.items() if r}
        self.batch_size = mixture.batch_size
        self.batches = {n: _unlabeled_batches(mixture, len(split)) for n, split in self.unlabeled.items()}

    def __getitem__(self, step: int) -> TrainBatch:
        unlabeled = self.unlabeled if self.unlabeled_from is not None and step >= self.unlabeled_from else {}
        return TrainBatch(
            {n: self._draw(f"labeled {n}", split, step, 1) for n, split in self.labeled.items()},
            {n: self._draw(f"unlabeled {n}", split, step, self.batches[n]) for n, split in unlabeled.items()},
        )

    def _draw(self, stream: str, split: Split, step: int, batches: int) -> Sample:
        """Samples of one stream: every image once in each pass over the stream, in an order drawn for that pass."""
        key = [self.seed, zlib.crc32(stream.encode())]
        samples = []
        for batch in range(batches):
            for offset in self.share:
                place = (step * batches + batch) * self.batch_size + offset
                turn, index = divmod(place, len(split))
                order = np.random.default_rng([*key, turn]).permutation(len(split))
                seed = int(np.random.SeedSequence([*key, place]).generate_state(1, np.uint64)[0] >> 1)
                samples.append(split.draw(int(order[index]), torch.Generator().manual_seed(seed)))
        return collate(samples)


def _training_split(mixture: DomainMixture, name: str, records: Sequence[Record]) -> Split:
    domain = mixture.domains[name]
    return Split(domain.dataset, records, CropTransform(domain.resolution, mixture.crop, mixture.augmentation))


def _unlabeled_batches(mixture: DomainMixture, images: int) -> int:
    if mixture.unlabeled_batches is not None:
        return mixture.unlabeled_batches
    return max(1, images // mixture.batch_size // mixture.steps_per_epoch)


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


