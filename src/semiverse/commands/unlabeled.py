"""Images that wait for labels: given ones, or those of a domain that nobody labelled."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from semiverse.data import SegmentationDataset, list_images
from semiverse.data.images import read_image
from semiverse.datasets import Remapped
from semiverse.domain import choose_unlabeled
from semiverse.mixture import DomainMixture


class Source(NamedTuple):
    """An image to be labelled.

    Args:
        name: What the new dataset calls it: sub-folders, and no extension.
        path: Its file, or what its dataset takes for one.
        read: Gives its pixels, (3, H, W) uint8.
    """

    name: str
    path: Path
    read: Callable[[Path], Tensor]


def given_images(places: Sequence[Path]) -> list[Source]:
    """Image files, and those in folders by their path in them.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If two images have one name.
    """
    sources: list[Source] = []
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder; expected images: check the path")
        # A dataset does not see hidden files.
        files = list_images(place) if place.is_dir() else {place.stem.lstrip("."): place}
        sources += [Source(name, path, read_image) for name, path in files.items()]
    return _distinct(sources)


def unlabeled_images(data: DomainMixture | None, name: str) -> list[Source]:
    """Training images of a domain that keep no mask, and its further images, whether its training uses them or not.

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If there is no such domain or image, or two images have one name.
    """
    if data is None:
        raise ValueError(
            "no images are given, and no run whose config.yaml says where its images are; expected one of them: name "
            "images or folders"
        )
    if name not in data.domains:
        raise ValueError(f"the data has no domain {name!r}; expected one of {', '.join(data.domains)}: name images")
    domain = replace(data.domains[name], unlabeled=True, exclude_labeled=True)
    records = choose_unlabeled(name, domain, data.labeled[name])
    if not records:
        raise ValueError(
            f"domain {name}: all its training images have labels; expected some without: name images or folders"
        )
    read = read_image if _reads_files(domain.dataset) else domain.dataset.read_image
    return _distinct([Source(record.id, record.image, read) for record in records])


def _reads_files(dataset: SegmentationDataset) -> bool:
    """Whether its images are ordinary files, which every dataset reads alike."""
    inner = dataset.dataset if isinstance(dataset, Remapped) else dataset
    return type(inner).read_image is SegmentationDataset.read_image


def _distinct(sources: list[Source]) -> list[Source]:
    """The same images, no two of one name."""
    known: dict[str, Path] = {}
    for name, path, _ in sources:
        if name in known:
            raise ValueError(
                f"{known[name]} and {path} have one name; expected different ones, as files of the dataset are called "
                "by them: rename one, or label them apart"
            )
        known[name] = path
    return sources
