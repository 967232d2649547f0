"""Published datasets, which are known by the names of their folders and by files that fit their class."""

import re
from collections.abc import Sequence

from semiverse.configuration import Plain
from semiverse.data import Record, SegmentationDataset
from semiverse.datasets.catalogue import has_root, known_datasets, usual_folder
from semiverse.discovery.found import HELD_OUT, Files, Found, Guess, chosen_splits


def find_published(files: Files) -> Found | None:
    """The published dataset whose files a folder holds, or None.

    Many folders look like one another, so that the name has to say it too, unless masks are MATLAB files.
    """
    children = [path.name for path in files.root.iterdir() if path.is_dir()]
    called = {_plain(name) for name in (files.root.resolve().name, *children)}
    matlab = bool(files.ending(".mat"))
    for kind in known_datasets():
        if has_root(kind) and hasattr(kind, "source"):
            named = any(_plain(title) in name for title in (kind.__name__, usual_folder(kind)) for name in called)
            if (named or matlab) and (found := _of_class(kind, files)) is not None:
                return found
    return None


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _of_class(kind: type[SegmentationDataset], files: Files) -> Found | None:
    """The folder as this class reads it; None where it does not."""
    try:
        dataset = kind(files.root)
        parts = {name: records for name in (*dataset.splits, *dataset.lists) if (records := _records(dataset, name))}
        masked = {name: records for name, records in parts.items() if any(r.mask is not None for r in records)}
        for records in masked.values():
            dataset.read(next(record for record in records if record.mask is not None))
    except (OSError, ValueError, TypeError, ImportError):
        return None
    if not masked:
        return None
    domain, said = chosen_splits([name for name in masked if name in dataset.splits])
    if domain.get("val") is None:
        domain, said = (
            chosen_splits([*dataset.lists, *dataset.splits]) if {*dataset.lists} <= {*masked} else (domain, said)
        )
    if not domain:
        domain, said = {"train": next(iter(masked))} | {"val": None}, [HELD_OUT] if len(masked) == 1 else said
    free: list[str] = [name for name, records in parts.items() if all(record.mask is None for record in records)]
    domain |= {"unlabeled_split": free[0]} if free else {}
    title = Guess("sure", f"{kind.__name__}, a published dataset: its class knows coding and names")
    images = [record.image for records in parts.values() for record in records]
    labeled = len(parts.get(str(domain["train"]), ()))
    options: dict[str, Plain] = domain
    return Found(kind.__name__, {}, options, [title, *said], images, labeled, bool(free))


def _records(dataset: SegmentationDataset, name: str) -> Sequence[Record]:
    try:
        return dataset.subset(name)
    except (OSError, ValueError):
        return []
