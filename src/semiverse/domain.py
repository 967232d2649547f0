"""A domain: a dataset with a label budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from semiverse.data import Content, Record, SegmentationDataset, find_folder, labeling_order, list_images
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
        cover_classes: Prefer images with classes not labelled yet, so that few labels miss few classes.
        exclude_labeled: Leave the labelled images out of the unlabelled ones.
        unlabeled_split: A further split whose images are used without masks.
        unlabeled_folder: A further folder of images without masks.

    Raises:
        ValueError: If both a budget and a list of labelled images are given.
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

    def __post_init__(self) -> None:
        if self.labeled is not None and self.labeled_list is not None:
            raise ValueError(
                f"a domain has labeled={self.labeled} and labeled_list={self.labeled_list}; expected one of them, the "
                "list is the budget: leave one out"
            )


def choose_labeled(name: str, domain: Domain, seed: int, contents: Callable[[], Sequence[Content]]) -> list[Record]:
    """Training images that keep their masks.

    Args:
        name: Of the domain, for messages.
        domain: The domain.
        seed: Of the draw.
        contents: Gives what each image of the training split holds; only called if classes are to be covered.

    Raises:
        ValueError: If the budget is negative or larger than the dataset.
        FileNotFoundError: If the list names an image that is none of the masked training images.
    """
    everything = domain.dataset.subset(domain.train)
    records = [record for record in everything if record.mask is not None]
    if domain.labeled_list is not None:
        return domain.dataset.listed(domain.labeled_list, records)
    if domain.labeled is None:
        return records
    if not 0 <= domain.labeled <= len(records):
        raise ValueError(
            f"domain {name}: a budget of {domain.labeled} labelled images, but split {domain.train!r} has "
            f"{len(records)} with masks; expected 0 to {len(records)}: change data.domains.{name}.labeled"
        )
    classes = None
    if domain.cover_classes and 0 < domain.labeled < len(records):
        found = zip(everything, contents(), strict=True)
        classes = [content.classes for record, content in found if record.mask is not None]
    order = labeling_order(len(records), seed, classes)
    return [records[index] for index in order[: domain.labeled]]


def choose_unlabeled(name: str, domain: Domain, labeled: Sequence[Record]) -> list[Record]:
    """Images that are used without masks, so that nobody can look at them.

    Args:
        name: Of the domain, for messages.
        domain: The domain.
        labeled: Its labelled images.

    Raises:
        FileNotFoundError: If there is no such folder of further images, or no image in it.
    """
    records = domain.dataset.subset(domain.train) if domain.unlabeled else []
    if domain.unlabeled_split is not None:
        records += domain.dataset.subset(domain.unlabeled_split)
    if domain.unlabeled_folder is not None:
        files = list_images(find_folder(domain.unlabeled_folder, f"unlabeled_folder of domain {name}"))
        records += [Record(path, None, title) for title, path in files.items()]
    unmasked = {record.image: record._replace(mask=None) for record in records}
    known = {record.image for record in labeled} if domain.exclude_labeled else set()
    return [record for image, record in unmasked.items() if image not in known]
