"""A domain: a dataset with a label budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from semiverse import data
from semiverse.data import Resolution
from semiverse.data.held_out import HeldOut, hold_out, restored
from semiverse.data.records import is_large, joined, masked, with_masks
from semiverse.files import find_folder
from semiverse.mixture.pseudolabels import PseudoLabels


@dataclass
class Domain:
    """A dataset with a label budget.

    Supervised learning is a domain with all labels, semi-supervised learning one with few, a target of adaptation one
    with none.

    Args:
        dataset: The images, their masks and their label space.
        labeled: How many training images keep their masks, or which share of them (1/8, 0.125); None: all of them; 0:
            none.
        unlabeled: Learn also from training images without looking at their masks.
        train: The training split: one of the dataset's, or a list file (.txt).
        val: The validation split, likewise; None: the domain is not validated. If neither is given and nothing divides
            the dataset, a fifth of it is held out for validation, the same images in every training.
        resolution: The size at which the network sees the images.
        crop: (height, width) of its training views, or ``whole``: whole images, which must then be of one size; None:
            ``data.crop``.
        labeled_list: List file of the images that keep their masks, instead of a drawn budget.
        cover_classes: Prefer images with classes not labelled yet, so that few labels miss few classes.
        groups: Regular expression that finds the group of an image in its id, such as ``^[^_]+`` for the drive that
            stands before the first underscore: labels go to one group after another, and the last one is cut, whose
            other images stay unlabelled. None: to single images.
        exclude_labeled: Leave the labelled images out of the unlabelled ones.
        unlabeled_split: A further split whose images are used without masks.
        unlabeled_folder: A further folder of images without masks.
        pseudolabels: Folder that ``semiverse pseudolabel`` wrote: further images with labels, which ``Supervised`` and
            ``Consistency`` learn from in strong views, by the head and the statistics of this domain.
        cache: Decode every image once and keep it at its working size, in ``cache_folder()``; the random scale of the
            augmentation then starts from that size instead of from the file.

    Raises:
        ValueError: If both a budget and a list of labelled images are given, the budget is neither a number of images
            nor a share, or the groups are no regular expression.
    """

    dataset: data.SegmentationDataset
    labeled: data.Budget | None = None
    unlabeled: bool = True
    train: str = "train"
    val: str | None = "val"
    resolution: Resolution = field(default_factory=Resolution)
    crop: tuple[int, int] | Literal["whole"] | None = None
    labeled_list: Path | None = None
    cover_classes: bool = True
    groups: str | None = None
    exclude_labeled: bool = False
    unlabeled_split: str | None = None
    unlabeled_folder: Path | None = None
    cache: bool = False
    pseudolabels: Path | None = None

    def __post_init__(self) -> None:
        if self.labeled is not None and self.labeled_list is not None:
            raise ValueError(
                f"a domain has labeled={self.labeled} and labeled_list={self.labeled_list}; expected one of them, the "
                "list is the budget: leave one out"
            )
        if isinstance(self.labeled, float | str):
            data.share_of(self.labeled, "labeled")
        if self.groups is not None:
            data.check_pattern(self.groups)

    @cached_property
    def reader(self) -> data.Reader:
        """What training and validation read images through."""
        return data.CachedReader(self.dataset, self.resolution) if self.cache else self.dataset

    @cached_property
    def pseudo_reader(self) -> data.Reader:
        """What pseudo-labelled images are read through."""
        return data.CachedReader(self.pseudo_dataset, self.resolution) if self.cache else self.pseudo_dataset

    @cached_property
    def pseudo_dataset(self) -> PseudoLabels:
        """The images of ``pseudolabels``, which have to be given."""
        return PseudoLabels(cast(Path, self.pseudolabels), self.dataset.labels)

    def changed(self, **values: Any) -> "Domain":  # noqa: ANN401 - of its fields
        """The same domain with other values of fields; a dataset that divided itself stays divided as it is."""
        other = replace(self, **values)
        vars(other).update({name: vars(self)[name] for name in ("everything", "held_out") if name in vars(self)})
        return other

    @property
    def divides_itself(self) -> bool:
        """Whether nothing divides the dataset, and the domain does not say what is for training and for validation.

        Raises:
            FileNotFoundError: If only the folder can tell, and it is missing.
        """
        if (self.train, self.val) != ("train", "val") or {"train", "val"} & {*self.dataset.lists}:
            return False
        names = self.dataset.split_names()
        return len(names) == 1 and names[0] not in ("train", "val")  # a folder for one of them has lost the other

    @property
    def has_further_images(self) -> bool:
        """Whether images without masks come from elsewhere than the training split."""
        return self.unlabeled_split is not None or self.unlabeled_folder is not None

    @cached_property
    def everything(self) -> dict[Path, data.Content]:
        """What each image of a dataset that divides itself holds; every file is read once and remembered."""
        records = self.dataset.subset(data.ALL)
        contents = data.survey(self.dataset, records, f"{type(self.dataset).__name__} at {self.dataset.root}")
        return {record.image: content for record, content in zip(records, contents, strict=True)}

    @cached_property
    def held_out(self) -> HeldOut:
        """How the dataset divided itself.

        Raises:
            ValueError: If an id has no group.
            FileNotFoundError: If files are missing.
        """
        records = self.dataset.subset(data.ALL)
        unread = is_large(records) or masked(records).sum() < 2
        return hold_out(records, () if unread else list(self.everything.values()), self.groups)

    def divide_as(self, facts: Mapping[str, Any]) -> None:
        """Divide the dataset as a run did.

        Raises:
            FileNotFoundError: If images of it are gone.
        """
        self.held_out = restored(facts, self.dataset.subset(data.ALL), self.groups)

    def subset(self, split: str) -> Sequence[data.Record]:
        """Records of a split of the dataset, which may have divided itself.

        Raises:
            ValueError: If there is no such split.
            FileNotFoundError: If files are missing.
        """
        if split in ("train", "val") and self.divides_itself:
            return self.held_out.train if split == "train" else self.held_out.val
        return self.dataset.subset(split)

    @property
    def validation(self) -> str | None:
        """The split that the domain is validated on; None: on none."""
        return None if self.val is None or (self.divides_itself and not self.held_out.val) else self.val

    @property
    def resolution_left(self) -> Resolution:
        """The working size, as seen from what ``reader`` gives."""
        return Resolution() if self.cache else self.resolution

    def crop_or(self, common: tuple[int, int] | None) -> tuple[int, int] | None:
        """(height, width) of its training views where others have the given one; None: whole images."""
        return common if self.crop is None else None if self.crop == "whole" else self.crop

    def fill_cache(self, records: Sequence[data.Record], title: str, reader: data.Reader | None = None) -> None:
        """Keep these records, if the domain has a cache; ``title`` says in messages what they are."""
        reader = reader or self.reader
        if isinstance(reader, data.CachedReader):
            reader.build(records, title)


def choose_labeled(
    name: str, domain: Domain, seed: int, contents: Callable[[], Sequence[data.Content]]
) -> Sequence[data.Record]:
    """Training images that keep their masks.

    Args:
        name: Of the domain, for messages.
        domain: The domain.
        seed: Of the draw.
        contents: Gives what each image of the training split holds; only called if classes are to be covered.

    Raises:
        ValueError: If the budget is negative or larger than the dataset, a share is less than one image, an image has
            no group, or the list is not as it was drawn.
        FileNotFoundError: If the list names an image that is none of the masked training images.
    """
    everything = domain.subset(domain.train)
    records = with_masks(everything)
    if domain.labeled_list is not None:
        records = domain.dataset.listed(domain.labeled_list, records)
        data.refuse_changed(domain.dataset.find_list(domain.labeled_list), [record.id for record in records])
        return records
    if domain.labeled is None:
        return records
    size, classes = data.budget_size(domain.labeled, len(records), f"data.domains.{name}.labeled"), None
    if not size and domain.groups is None:
        return []
    if domain.cover_classes and size < len(records):
        found = zip(everything, contents(), strict=True)
        classes = [content.classes for record, content in found if record.mask is not None]
    return data.in_labeling_order(records, seed, classes, domain.groups)[:size]


def labeling_facts(domain: Domain, labeled: Sequence[data.Record], seed: int) -> dict[str, Any]:
    """What a run keeps about the labelled images of a domain: their ids, how they were chosen, and a digest."""
    ids = [record.id for record in labeled]
    if domain.labeled_list is not None:
        rule = f"those that {domain.labeled_list} lists"
    elif domain.labeled is None:
        rule = f"all images of {domain.train} with masks"
    else:
        drawn = data.drawing_rule(domain.groups, domain.cover_classes)
        rule = f"{domain.labeled} of the images of {domain.train} with masks, {drawn}"
    return {"rule": rule, "seed": seed, "sha256": data.digest(ids), "ids": ids}


def choose_unlabeled(name: str, domain: Domain, labeled: Sequence[data.Record]) -> Sequence[data.Record]:
    """Images that are used without masks, so that nobody can look at them.

    Args:
        name: Of the domain, for messages.
        domain: The domain.
        labeled: Its labelled images.

    Raises:
        FileNotFoundError: If there is no such folder of further images, or no image in it.
    """
    parts = [domain.subset(domain.train)] if domain.unlabeled else []
    if domain.unlabeled_split is not None:
        parts.append(domain.subset(domain.unlabeled_split))
    if domain.unlabeled_folder is not None:
        folder = find_folder(domain.unlabeled_folder, f"unlabeled_folder of domain {name}")
        parts.append(data.image_records(folder))
    known = {record.image for record in labeled} if domain.exclude_labeled else set()
    if is_large(*parts):
        return joined(parts).without_masks().each_once(known)
    unmasked = {record.image: record._replace(mask=None) for records in parts for record in records}
    return [record for image, record in unmasked.items() if image not in known]
