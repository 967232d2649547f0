"""Batches drawn from several domains with label budgets.

A training batch is a pure function of the seed and the step: nothing is remembered between steps, so a run that is
resumed at step s continues exactly as if it had not stopped, with any number of loading processes.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from warnings import warn

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from semiverse.data import (
    ALL,
    Augmentation,
    Content,
    Contents,
    CropTransform,
    Record,
    ResizeTransform,
    Resolution,
    Sample,
    Split,
    survey,
)
from semiverse.data.held_out import HeldOut
from semiverse.data.records import SAMPLE, drawn, is_large
from semiverse.labels import LabelSpace
from semiverse.mixture import batches
from semiverse.mixture.balance import Balance, labeled_frequencies
from semiverse.mixture.batches import Draws, Stream, TrainBatch
from semiverse.mixture.domain import Domain, choose_labeled, choose_unlabeled
from semiverse.mixture.loading import Loader
from semiverse.mixture.rare_classes import RareClasses


class DomainMixture:
    """Several domains and how batches are drawn from them.

    Args:
        domains: Domains by name; a name has no dots.
        batch_size: Images of each domain in a batch, labelled and unlabelled alike, over all processes together.
        crop: (height, width) of a training view, unless its domain has another; None: whole images, which must then be
            of one size.
        augmentation: Random changes of training views.
        unlabeled_batches: Unlabelled batches of a domain in each step; None: as many as it takes to see all its
            unlabelled images about once an epoch.
        workers: Processes that load; 0: load in the training process; None: one a core, at most 4.
        seed: Of the label budgets, the order of the images and the augmentation.
        balance: How much more pixels of rare classes count in supervised losses, and whether images that show them are
            drawn more often; None: all count alike.

    Raises:
        ValueError: If there is no domain, a name is empty or has a dot, or a number is out of range.
    """

    def __init__(
        self,
        domains: dict[str, Domain],
        batch_size: int = 4,
        crop: tuple[int, int] | None = None,
        augmentation: Augmentation = Augmentation(),
        unlabeled_batches: int | None = 1,
        workers: int | None = None,
        seed: int = 0,
        balance: Balance | None = None,
    ) -> None:
        if not domains:
            raise ValueError("the mixture has no domain; expected at least one: name it under data.domains")
        for name in domains:
            if not name or "." in name:
                raise ValueError(f"domain name {name!r} is empty or has a dot; expected a word: call it 'streets', say")
        self.domains, self.seed, self.balance = domains, seed, balance
        self._contents: dict[tuple[str, str], Contents] = {}
        least = {"batch_size": (batch_size, 1), "unlabeled_batches": (unlabeled_batches, 1)}
        least |= {"workers": (workers, 0), "seed": (seed, 0)}
        for option, (value, minimum) in least.items():
            if value is not None and value < minimum:
                raise ValueError(f"{option} is {value}; expected at least {minimum}: raise data.{option}")
        self.batch_size, self.crop, self.augmentation = batch_size, crop, augmentation
        self.unlabeled_batches, self.workers = unlabeled_batches, workers
        for domain in domains.values():
            self._view(domain)  # refuses what does not go together

    @property
    def label_spaces(self) -> dict[str, LabelSpace]:
        """Label space of each domain."""
        return {name: domain.dataset.labels for name, domain in self.domains.items()}

    @property
    def resolutions(self) -> dict[str, Resolution]:
        """Working size of each domain."""
        return {name: domain.resolution for name, domain in self.domains.items()}

    def contents(self, name: str, split: str, fresh: bool = False) -> Contents:
        """What the files of a domain's split hold, in its order; every file is read once and remembered.

        Args:
            name: The domain.
            split: One of its dataset's splits or a list file.
            fresh: Read also files that have not changed since an earlier run read them.
        """
        if (name, split) not in self._contents:
            domain = self.domains[name]
            records = domain.subset(split)
            # What looks alike was found out by reading all.
            if domain.divides_itself and not fresh and not is_large(records):
                known = (domain.everything[record.image] for record in records)
                self._contents[name, split] = Contents(records, known, len(domain.dataset.labels))
            else:
                self._contents[name, split] = survey(domain.dataset, records, f"{name} {split}", fresh=fresh)
        return self._contents[name, split]

    @cached_property
    def labeled(self) -> dict[str, Sequence[Record]]:
        """Records that keep their masks, by domain.

        Raises:
            ValueError: If a budget is larger than its dataset.
            FileNotFoundError: If files are missing.
        """
        return {
            name: choose_labeled(name, domain, self.seed, partial(self.contents, name, domain.train))
            for name, domain in self.domains.items()
        }

    @cached_property
    def unlabeled(self) -> dict[str, Sequence[Record]]:
        """Records whose masks are not looked at, by domain: image files only, without masks.

        Raises:
            FileNotFoundError: If files are missing.
        """
        return {name: choose_unlabeled(name, domain, self.labeled[name]) for name, domain in self.domains.items()}

    @cached_property
    def pseudolabeled(self) -> dict[str, Sequence[Record]]:
        """Records with the labels that a model gave them, of the domains that have any.

        Raises:
            FileNotFoundError: If files are missing.
            ValueError: If the labels are of other classes than those of the domain.
        """
        given = {name: domain for name, domain in self.domains.items() if domain.pseudolabels is not None}
        return {name: domain.pseudo_dataset.subset(ALL) for name, domain in given.items()}

    def with_pseudolabels(self, folders: Mapping[str, Path]) -> "DomainMixture":
        """The same domains and draws, where some learn from pseudo-labels in these folders as well."""
        other = copy.copy(self)
        vars(other).pop("pseudolabeled", None)  # what else is known of the images stays known
        other.domains = {
            name: domain.changed(pseudolabels=folders[name]) if name in folders else domain
            for name, domain in self.domains.items()
        }
        return other

    @cached_property
    def class_weights(self) -> dict[str, Tensor]:
        """What a pixel of each class counts in supervised losses, (C,), by domain; empty where all count alike."""
        if self.balance is None:
            return {}
        return {
            name: self.balance.weights(labeled_frequencies(self.labeled_contents(name), len(space)))
            for name, space in self.label_spaces.items()
        }

    def labeled_contents(self, name: str) -> Sequence[Content]:
        """What the labelled images of a domain hold, in their order."""
        if not self.labeled[name]:
            return []
        domain = self.domains[name]
        if is_large(records := domain.subset(domain.train)) and (name, domain.train) not in self._contents:
            return survey(domain.dataset, self.labeled[name], f"{name} labelled")
        found = zip(records, self.contents(name, domain.train), strict=True)
        by_image = {record.image: content for record, content in found}
        return [by_image[record.image] for record in self.labeled[name]]

    def training_sizes(self, name: str) -> set[tuple[int, int]]:
        """(height, width) of the training images of a domain that can be read; of very many, those of a sample."""
        domain = self.domains[name]
        records = domain.subset(domain.train)
        if is_large(records):
            contents = survey(domain.dataset, drawn(records, SAMPLE), name)
        else:
            contents = self.contents(name, domain.train)
        return {content.size for content in contents if content.size is not None}

    def warn_of_missing_classes(self) -> None:
        """Warn of classes that no labelled image shows, in any domain that shares them: nothing teaches them."""
        sharing: dict[LabelSpace, dict[str, set[int]]] = {}
        for name, domain in self.domains.items():
            seen = sharing.setdefault(domain.dataset.labels, {}).setdefault(name, set())
            seen.update(*(content.classes for content in self.labeled_contents(name)))
        for space, names in sharing.items():
            shown = set().union(*names.values())
            missing = [title for i, title in enumerate(space.classes) if i not in shown]
            if missing:
                warn(
                    f"domain {' and '.join(names)}: no labelled image shows {', '.join(missing)}; the model cannot "
                    f"learn {'it' if len(missing) == 1 else 'them'}: raise the budget or merge classes",
                    stacklevel=2,
                )

    @property
    def steps_per_epoch(self) -> int:
        """Steps until the longest labelled list has been seen once; shorter lists are repeated meanwhile.

        Raises:
            ValueError: If no domain has a labelled image.
        """
        longest = max(len(records) for records in self.labeled.values())
        if longest == 0:
            raise ValueError(
                "no domain has a labelled image; expected at least one that has: raise data.domains.NAME.labeled, or "
                "name a dataset with masks"
            )
        return max(1, longest // self.batch_size)

    def training(
        self, position: Callable[[], int], draws: Draws = Draws(unlabeled_from=0), rank: int = 0, processes: int = 1
    ) -> DataLoader[TrainBatch]:
        """Batches of an epoch, one a step, from the position that training has reached.

        Args:
            position: Number of steps done so far; asked when an epoch starts.
            draws: What batches hold beside labelled images.
            rank: Of this process.
            processes: Number of processes; each gets its share of every batch.

        Raises:
            ValueError: If the processes cannot share a batch evenly, or there are pseudo-labels that are not drawn.
        """
        if self.batch_size % processes:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {processes} processes; expected a multiple of them: "
                "change data.batch_size"
            )
        if self.pseudolabeled and not draws.pseudolabeled:
            raise ValueError(
                f"domain {next(iter(self.pseudolabeled))} has pseudolabels, but the method does not learn from any; "
                "expected Supervised or Consistency: choose one of them, or leave pseudolabels out"
            )
        chosen = self.domains if draws.unlabeled_domains is None else draws.unlabeled_domains
        wanted = set() if draws.unlabeled_from is None else set(chosen)
        unlabeled = self._streams("unlabeled", {name: self.unlabeled[name] for name in self.domains if name in wanted})
        workers = batches.loading_processes(processes) if self.workers is None else self.workers
        steps = batches.StepBatches(
            self._streams("labeled", self.labeled),
            unlabeled,
            self.batch_size,
            range(rank, self.batch_size, processes),
            self._plan({name: len(stream) for name, stream in unlabeled.items()}, draws.in_turn),
            draws,
            self._streams("ground truth", self.labeled, within=True) if draws.ground_truth else {},
            self._streams("pseudolabeled", self.pseudolabeled),
        )
        return Loader(
            steps,
            sampler=batches.EpochSteps(self.steps_per_epoch, position),
            num_workers=workers,
            persistent_workers=workers > 0,  # epochs of few labels are short
            pin_memory=torch.cuda.is_available(),
        )

    def _view(self, domain: Domain, within: bool = False) -> CropTransform:
        """How training views of a domain are drawn; ``within`` as in ``CropTransform``."""
        return CropTransform(domain.resolution_left, domain.crop_or(self.crop), self.augmentation, within)

    def _streams(self, kind: str, chosen: Mapping[str, Sequence[Record]], within: bool = False) -> dict[str, Stream]:
        """Training views of the records of each domain that has any; ``within`` as in ``CropTransform``."""
        streams = {}
        for name, records in chosen.items():
            domain = self.domains[name]
            reader = domain.pseudo_reader if kind == "pseudolabeled" else domain.reader
            domain.fill_cache(records, f"{name}, {kind}", reader)
            if records:
                split = Split(reader, records, self._view(domain, within))
                rare = self._rare_classes(name) if kind == "labeled" else None
                streams[name] = Stream(split, self.seed, f"{kind} {name}", rare)
        return streams

    def _rare_classes(self, name: str) -> RareClasses | None:
        """How the labelled images of a domain are drawn by class, if they are."""
        if self.balance is None or self.balance.temperature is None:
            return None
        contents, domain = self.labeled_contents(name), self.domains[name]
        if not any(content.classes for content in contents):
            return None  # there is none to draw
        classes, crop = len(domain.dataset.labels), domain.crop_or(self.crop)
        return RareClasses(contents, classes, domain.resolution, crop, self.balance.temperature)

    def _plan(self, images: Mapping[str, int], in_turn: bool) -> batches.Plan:
        """Which unlabelled batches a step has, of domains with so many images."""

        def count(images: int) -> int:  # Kalluri et al.'s code: all images about once an epoch
            return self.unlabeled_batches or max(1, images // self.batch_size // self.steps_per_epoch)

        if in_turn and images:
            return partial(batches.in_turn, images, count(sum(images.values())), self.seed)
        return partial(batches.every_step, {name: count(size) for name, size in images.items()})

    @property
    def validated(self) -> dict[str, str]:
        """The validation split of each domain that has one."""
        return {name: split for name, domain in self.domains.items() if (split := domain.validation) is not None}

    def held_out(self) -> dict[str, HeldOut]:
        """How datasets divided themselves, by the domains of those that did."""
        return {name: domain.held_out for name, domain in self.domains.items() if domain.divides_itself}

    def divided(self) -> dict[str, str]:
        """Domains that nobody divided, that are validated on what they train on, or not at all: each in one line."""
        lines = {name: held_out.said for name, held_out in self.held_out().items()}
        for name, domain in self.domains.items():
            if domain.val is None:
                lines[name] = "is not validated (val: null)"
            elif domain.val == domain.train:
                lines[name] = f"validated on what it trains on ({domain.val}): scores say how well the model remembers"
        return lines

    def evaluation(self, name: str, split: str | None = None, full_resolution: bool = False) -> Split:
        """Samples of a domain's split, whole images with their masks, in order.

        Args:
            name: The domain.
            split: One of its dataset's splits or a list file; None: the domain's validation split, if it has one.
            full_resolution: Leave images and masks at the owner's size instead of the working size.
        """
        domain = self.domains[name]
        chosen = split or domain.validation
        if chosen is None:
            found = f"domain {name} is not validated (data.domains.{name}.val: null, or no images held out)"
            raise ValueError(f"{found}; expected a split to score on: name one, by --split")
        records = domain.subset(chosen)
        if full_resolution:
            return Split(domain.dataset, records, ResizeTransform(Resolution()))
        return Split(domain.reader, records, ResizeTransform(domain.resolution_left))

    def validation(self, rank: int = 0, processes: int = 1) -> dict[str, DataLoader[Sample]]:
        """A loader of each domain that is validated: single images, in order, of which each process gets its share."""
        splits = {name: self.evaluation(name) for name in self.validated}
        for name, split in splits.items():
            self.domains[name].fill_cache(split.records, f"{name}, validation")
        shares = {name: Subset(split, range(rank, len(split), processes)) for name, split in splits.items()}
        workers = 0 if self.workers == 0 else 1
        return {name: Loader(share, batches.collate, num_workers=workers) for name, share in shares.items()}
