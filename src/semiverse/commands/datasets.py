"""The known datasets: classes, images, terms, where they come from."""

import inspect
import shutil
import textwrap
from pathlib import Path

from semiverse.data import SegmentationDataset
from semiverse.datasets.catalogue import has_root, known_datasets, open_archive, source_of, usual_folder


def datasets() -> int:
    """List the known datasets: classes, images of each split, licence terms, how to obtain them.

    Returns:
        0
    """
    kinds = known_datasets()
    corpora = [kind for kind in kinds if hasattr(kind, "labels") or hasattr(kind, "source")]
    column = max(len(kind.__name__) for kind in corpora)
    print(f"{'dataset':<{column}}  classes  images of each split")
    for kind in corpora:
        classes: tuple[str, ...] = kind.labels.classes if hasattr(kind, "labels") else ()
        counts = getattr(kind, "image_counts", {})
        splits = dict.fromkeys([*kind.splits, *kind.lists])
        images = ", ".join(f"{split} {counts[split]}" if split in counts else split for split in splits)
        print(f"{kind.__name__:<{column}}  {len(classes):>7}  {images}")
        unsaid = "not recorded here: read them at the source before use" if has_root(kind) else "those of this library"
        print(_folded(" " * 4, _first_sentence(kind)))
        print(_folded("    classes  ", ", ".join(classes) or "none: it helps a domain that has some"))
        print(_folded("    terms    ", getattr(kind, "terms", unsaid)))
        print(_folded("    obtain   ", _how_to_obtain(kind)), end="\n\n")
    print("For your own files:")
    for kind in kinds:
        if kind not in corpora:
            print(_folded(f"  {kind.__name__:<{column}}  ", _first_sentence(kind)))
    return 0


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


def _first_sentence(kind: type[SegmentationDataset]) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].replace("``", "").split())


def _folded(start: str, text: str) -> str:
    """A title and its text, which goes on below itself; a path that is cut cannot be copied."""
    width, hang = min(110, shutil.get_terminal_size((100, 24)).columns), " " * len(start)
    lines = textwrap.TextWrapper(width, start, hang, break_long_words=False, break_on_hyphens=False)
    return lines.fill(text)
