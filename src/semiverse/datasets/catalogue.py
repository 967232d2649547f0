"""Which datasets there are, and where each has its files."""

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from semiverse.data import SegmentationDataset
from semiverse.downloads.download import Archive


def known_datasets() -> list[type[SegmentationDataset]]:
    """Every dataset that the library exports, in alphabetical order."""
    package = import_module("semiverse.datasets")
    members = (getattr(package, name) for name in sorted(package.__all__))
    return [kind for kind in members if isinstance(kind, type) and issubclass(kind, SegmentationDataset)]


def find_dataset(name: str, kinds: Iterable[type[SegmentationDataset]]) -> type[SegmentationDataset]:
    """The dataset of a name in any spelling: of its class or its folder, upper or lower case, with or without dashes.

    Raises:
        ValueError: If there is none; the message says which is nearest.
    """
    known = {_plain(title): kind for kind in kinds for title in (kind.__name__, usual_folder(kind))}
    if _plain(name) in known:
        return known[_plain(name)]
    titles = ", ".join(dict.fromkeys(kind.__name__ for kind in known.values()))
    near = get_close_matches(_plain(name), known, n=1)
    hint = f"did you mean {known[near[0]].__name__}?" if near else "see semiverse datasets"
    raise ValueError(f"no dataset {name!r}; expected one of {titles}: {hint}")


def open_archive(kind: type[SegmentationDataset]) -> Archive | None:
    """Where a dataset can be had without asking anyone; None where it cannot."""
    archive = getattr(kind, "archive", None)
    return archive if isinstance(archive, Archive) else None


def usual_folder(kind: type[SegmentationDataset]) -> str:
    """The folder below ``$SEMIVERSE_DATA`` that is looked for and downloaded to."""
    archive = open_archive(kind)
    return archive.folder if archive else kind.__name__.lower()


def has_root(kind: type[SegmentationDataset]) -> bool:
    """Whether a dataset reads files; others are made when they are read."""
    return "root" in inspect.signature(kind).parameters


def source_of(kind: type[SegmentationDataset]) -> str:
    """The page of a dataset's owner, empty if there is none."""
    stated = re.search(r"^Source:\s*(\S+)", inspect.getdoc(kind) or "", re.MULTILINE)
    return getattr(kind, "source", stated[1] if stated else "")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
