"""The known datasets: classes, images, terms, where they come from."""

import inspect
import shutil
import textwrap
from pathlib import Path

from semiverse.data import SegmentationDataset
from semiverse.datasets.catalogue import has_root, known_datasets, open_archive, source_of, usual_folder

UNKNOWN_TERMS = "not recorded here: read them at the source before use"


def datasets() -> int:
    """List the known datasets: classes, images of each split, licence terms, how to obtain them.

    Returns:
        0
    """
    kinds = known_datasets()
    corpora = [kind for kind in kinds if hasattr(kind, "labels") or hasattr(kind, "source")]
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


def _row(kind: type[SegmentationDataset]) -> tuple[str, str, str]:
    """Name, number of classes, and images of each split where the class says them."""
    counts = getattr(kind, "image_counts", {})
    splits = dict.fromkeys([*kind.splits, *kind.lists])
    images = ", ".join(f"{split} {counts[split]}" if split in counts else split for split in splits)
    return kind.__name__, str(len(_classes(kind))), images


def _details(kind: type[SegmentationDataset], width: int) -> list[str]:
    """What it shows, its classes, its terms, and how to obtain it."""
    entries = {
        "": _first_sentence(kind),
        "classes": ", ".join(_classes(kind)) or "none: it helps a domain that has some",
        "terms": getattr(kind, "terms", UNKNOWN_TERMS if has_root(kind) else "those of this library"),
        "obtain": _how_to_obtain(kind),
    }
    return [_folded(title, text, width, indent=4, column=9) for title, text in entries.items()]


def _how_to_obtain(kind: type[SegmentationDataset]) -> str:
    """Its source, where the files go, or where they are already, and how to get them there."""
    source = source_of(kind)
    if not has_root(kind):
        return source or "nothing to download: it is made when it is read"
    root = Path(usual_folder(kind))
    does = "fetches it" if open_archive(kind) else "lists the steps to get it by hand"
    try:
        place = f"found at {kind(root).folder.absolute()}"
    except FileNotFoundError:
        place = f"expected at $SEMIVERSE_DATA/{root}, or wherever root says"
    return "; ".join(filter(None, [source, place, f"`semiverse download {root}` {does}"]))


def _classes(kind: type[SegmentationDataset]) -> tuple[str, ...]:
    return kind.labels.classes if hasattr(kind, "labels") else ()


def _first_sentence(kind: type[SegmentationDataset]) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].replace("``", "").split())


def _folded(title: str, text: str, width: int, indent: int, column: int) -> str:
    """A title and its text, which goes on below itself."""
    start = " " * indent + f"{title:<{column}}" if title else " " * indent
    hang = " " * (indent + (column if title else 0))
    lines = textwrap.TextWrapper(width, initial_indent=start, subsequent_indent=hang)
    lines.break_on_hyphens = lines.break_long_words = False  # a path that is cut cannot be copied
    return lines.fill(text)
