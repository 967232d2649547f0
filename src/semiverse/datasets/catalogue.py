"""Which datasets there are, and where each has its files."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

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

    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    known = {plain(title): kind for kind in kinds for title in (kind.__name__, usual_folder(kind))}
    if plain(name) in known:
        return known[plain(name)]
    titles = ", ".join(dict.fromkeys(kind.__name__ for kind in known.values()))
    near = get_close_matches(plain(name), known, n=1)
    hint = f"did you mean {known[near[0]].__name__}?" if near else "see semiverse datasets"
    raise ValueError(f"no dataset {name!r}; expected one of {titles}: {hint}")


def open_archive(kind: type[SegmentationDataset]) -> Archive | None:
    """Where a dataset can be had without asking anyone; None where it cannot."""
    return getattr(kind, "archive", None)


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


def missing_images(kind: type[SegmentationDataset], folder: Path) -> list[str]:
    """Splits that have more or fewer images than the owner's."""
    dataset, problems = kind(folder), []
    for split in kind.splits:
        try:
            found, expected = len(dataset.records(split)), kind.image_counts[split]
        except (FileNotFoundError, ValueError) as error:
            problems.append(f"{kind.__name__}: split {split}: {error}")
            continue
        if found != expected:
            said = f"{kind.__name__}: split {split} has {found} images; expected {expected}"
            problems.append(f"{said}: the archive is another version, or incomplete")
    return problems


def steps_to_obtain(kind: type[SegmentationDataset], place: Path) -> str:
    """How to come by a dataset that cannot be fetched."""
    title, folder = kind.__name__, usual_folder(kind)
    if not has_root(kind) or not source_of(kind):
        found = f"{title}: there is nothing to download, it has no files or reads your own"
        return f"{found}; expected the name of an owner's dataset: see semiverse datasets"
    layout = (inspect.getdoc(kind) or "").partition("\nArgs:")[0].replace("``", "").strip()
    steps = [
        f"1. Read the terms: {getattr(kind, 'terms', 'at the source')}",
        f"2. Obtain it, registering where that is asked: {source_of(kind)}",
        f"3. Unpack it to {(place / folder).absolute()}, so that it looks as described below.",
        f"4. Use it by root: {folder}. `semiverse datasets` says whether it is found, `semiverse check` whether it is "
        "complete.",
    ]
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    wrapper = textwrap.TextWrapper(width, "  ", "     ", break_on_hyphens=False)
    start = f"{title} is not fetched by this command; expected that you obtain it from its owner:"
    return "\n".join([start, *map(wrapper.fill, steps), "", textwrap.indent(layout, "  ")])
