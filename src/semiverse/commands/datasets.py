"""The known datasets: classes, images, terms, where they come from."""

import inspect
import re
import shutil
import textwrap
from importlib import import_module
from pathlib import Path

from semiverse.data import SegmentationDataset

SOURCE = re.compile(r"^Source:\s*(\S+)", re.MULTILINE)
UNKNOWN_TERMS = "not recorded here: read them at the source before use"


def datasets() -> int:
    """List the known datasets: classes, images of each split, licence terms, how to obtain them.

    Returns:
        0
    """
    kinds = known_datasets()
    corpora = [kind for kind in kinds if hasattr(kind, "labels")]
    rows = [("dataset", "classes", "images of each split"), *(_row(kind) for kind in corpora)]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    lines = [f"{name:<{widths[0]}}  {classes:>{widths[1]}}  {images}" for name, classes, images in rows]
    print(lines[0])
    for line, kind in zip(lines[1:], corpora, strict=True):
        print("\n".join([line, *_details(kind, width), ""]))
    print("For your own files:")
    for kind in kinds:
        if kind not in corpora:
            print(_folded(kind.__name__, _first_sentence(kind), width, indent=2, column=widths[0] + 2))
    return 0


def known_datasets() -> list[type[SegmentationDataset]]:
    """Every dataset that the library exports, in alphabetical order."""
    package = import_module("semiverse.datasets")
    members = (getattr(package, name) for name in sorted(package.__all__))
    return [kind for kind in members if isinstance(kind, type) and issubclass(kind, SegmentationDataset)]


def _row(kind: type[SegmentationDataset]) -> tuple[str, str, str]:
    """Name, number of classes, and images of each split where the class says them."""
    counts = getattr(kind, "image_counts", {})
    splits = dict.fromkeys([*kind.splits, *kind.lists])
    images = ", ".join(f"{split} {counts[split]}" if split in counts else split for split in splits)
    return kind.__name__, str(len(kind.labels)), images


def _details(kind: type[SegmentationDataset], width: int) -> list[str]:
    """What it shows, its classes, its terms, and how to obtain it."""
    entries = {
        "": _first_sentence(kind),
        "classes": ", ".join(kind.labels.classes),
        "terms": getattr(kind, "terms", UNKNOWN_TERMS if _has_root(kind) else "those of this library"),
        "obtain": _how_to_obtain(kind),
    }
    return [_folded(title, text, width, indent=4, column=9) for title, text in entries.items()]


def _how_to_obtain(kind: type[SegmentationDataset]) -> str:
    """Its source, and where the files go, or where they are already."""
    stated = SOURCE.search(inspect.getdoc(kind) or "")
    source = getattr(kind, "source", stated[1] if stated else "")
    if not _has_root(kind):
        return source or "nothing to download: it is made when it is read"
    root = Path(kind.__name__.lower())
    try:
        place = f"found at {kind(root).folder.absolute()}"
    except FileNotFoundError:
        place = f"expected at $SEMIVERSE_DATA/{root}, or wherever root says"
    return "; ".join(filter(None, [source, place]))


def _has_root(kind: type[SegmentationDataset]) -> bool:
    return "root" in inspect.signature(kind).parameters


def _first_sentence(kind: type[SegmentationDataset]) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].replace("``", "").split())


def _folded(title: str, text: str, width: int, indent: int, column: int) -> str:
    """A title and its text, which goes on below itself."""
    start = " " * indent + f"{title:<{column}}" if title else " " * indent
    hang = " " * (indent + (column if title else 0))
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=hang, break_on_hyphens=False)
