"""Which image belongs to which mask: by name, and loudly where one is missing."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.files import DataProblem, MissingData

Item = TypeVar("Item")
FACTS = "split.json"  # what lists were drawn by, and the digest of each; it lies beside them


class Record(NamedTuple):
    """One line of an index: an image and its mask, or None where there is no mask."""

    image: Path
    mask: Path | None
    name: str = ""

    @property
    def id(self) -> str:
        """What lists and results call this image: its name in the dataset, or else its file name without extension."""
        return self.name or self.image.stem


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files in a folder and its sub-folders, with their path in it without extension, sorted, without hidden ones."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if not any(part.startswith(".") for part in inside.parts) and path.is_file():
            yield inside.with_suffix("").as_posix(), path


def list_images(folder: Path, suffix: str = "", without: str | None = None) -> dict[str, Path]:
    """Image files below a folder, by their path in it without extension, in sorted order; hidden ones are left out.

    Args:
        folder: The folder.
        suffix: End of the name before the extension, such as ``_mask``: it is removed, other files are left out.
        without: Files whose names end in this are left out: masks among images; None: none.

    Raises:
        FileNotFoundError: If the folder is missing or holds no image.
        ValueError: If two files differ only in their extension.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder}: no such folder", "images in it", "check the dataset's root")
    files: dict[str, Path] = {}
    for title, path in files_below(folder):
        if path.suffix.lower() not in IMAGE_EXTENSIONS or not title.endswith(suffix):
            continue
        if without is not None and title.endswith(without):
            continue
        name = title.removesuffix(suffix)
        if name in files:
            found = f"{folder}: {files[name].name} and {path.name} differ only in their extension"
            raise DataProblem(found, "one image of a name", "remove or rename one")
        files[name] = path
    if not files:
        found = f"{folder}: no image found{f' whose name ends in {suffix}' if suffix else ''}"
        remedy = f"check the root{' and the suffix' if suffix else ''}"
        raise MissingData(found, f"files ending in {', '.join(IMAGE_EXTENSIONS)}", remedy)
    return files


def pair(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path) -> list[Record]:
    """Images with the masks of the same name, in the order of the images.

    Args:
        images: Image files by name.
        masks: Mask files by name.
        where: The folder that the masks are expected in, for the message.

    Raises:
        FileNotFoundError: If images have no mask; it says how many and names the first.
    """
    missing = [path for name, path in images.items() if name not in masks]
    if missing:
        similar = {name.lower(): path for name, path in masks.items()}
        twins = [similar[name.lower()] for name in images if name not in masks and name.lower() in similar]
        hint = f" ({twins[0].name} differs in capital letters: rename it)" if twins else ""
        found = f"no mask for {len(missing)} of {len(images)} images, first: {missing[0]}"
        remedy = "add the masks, or list the image as unlabelled"
        raise MissingData(found, f"the same file name under {where}{hint}", remedy)
    return [Record(path, masks[name], name) for name, path in images.items()]


def select(
    list_file: Path, items: Mapping[str, Item], where: str, files: Mapping[str, Path] | None = None
) -> dict[str, Item]:
    """Items that a list file names, one a line, in its order.

    Of a line with an image and its label ("images/my a.png labels/my a.png") the image counts: what comes up to the
    first tab or image extension, or else the first word, or else the whole line. It may leave out the extension, have
    leading folders that the names of the items do not have, and Windows' backslashes. Empty lines and those that begin
    with # do not count.

    Args:
        list_file: The list.
        items: What can be named.
        where: What the items are, for the message: "images of ...".
        files: File of each item: it can be named by it as well, with as many of its folders as it takes to tell it from
            others.

    Raises:
        FileNotFoundError: If there is no such list, or an item of it does not exist.
        ValueError: If the list is empty, no UTF-8 text, or names an item twice.
    """
    if not list_file.is_file():
        raise MissingData(f"{list_file}: no such list file", "one image name a line", "correct the path", list_file)
    try:
        given = [line.strip() for line in list_file.read_text(encoding="utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        found = f"{list_file}: no UTF-8 text ({error})"
        raise DataProblem(found, "one image name a line", "save it so", list_file) from error
    lines = [line for line in given if line and (not line.startswith("#") or line in items)]
    if not lines:
        raise DataProblem(f"{list_file}: the list is empty", "one image name a line", "add some", list_file)
    known = unique_ends(files or {}) | {name: name for name in items}
    names = {line: line if line in items else _named(line, known) for line in lines}
    missing = [line for line, name in names.items() if name is None]
    if missing:
        found = f"{len(missing)} of {len(lines)} listed images are not among the {len(items)} {where}"
        found = f"{list_file}: {found}, first: {missing[0]!r}"
        raise MissingData(found, "each listed image among them", "correct the list or add the images", list_file)
    chosen: dict[str, Item] = {}
    for line in lines:
        name = str(names[line])
        if name in chosen:
            found = f"{list_file}: {name!r} is listed more than once"
            raise DataProblem(found, "every image once", "remove the copy", list_file)
        chosen[name] = items[name]
    return chosen


def unique_ends(files: Mapping[str, Path]) -> dict[str, str]:
    """Items by the ends of the paths of their files, without extension; ends that several share are left out."""
    found: dict[str, str | None] = {}
    for name, path in files.items():
        for end in path_ends(path.as_posix()):
            found[end] = name if found.get(end, name) == name else None
    return {end: name for end, name in found.items() if name is not None}


def _named(line: str, known: Mapping[str, str]) -> str | None:
    """The item that a line means; never by the path of a label, which may carry the name of another image."""
    first = line.partition("\t")[0]
    words = len(first.split())
    for text in (first, first.replace("\\", "/")):
        parts = [text[: blank.start()] for blank in re.finditer(r"\s|$", text)]
        images = [part for part in parts if part.lower().endswith(IMAGE_EXTENSIONS)]
        whole = [end for end in path_ends(text) if len(end.split()) == words]
        for end in [*path_ends((images or parts)[0]), *whole]:
            if end in known:
                return known[end]
    return None


def path_ends(text: str) -> Iterator[str]:
    """A path without extension, then without its first folder, without its first two, ..."""
    stem, dot, extension = text.rpartition(".")
    named = stem if f"{dot}{extension}".lower() in IMAGE_EXTENSIONS else text
    parts = [part for part in named.split("/") if part not in ("", ".")]
    return ("/".join(parts[start:]) for start in range(len(parts)))


def digest(ids: Iterable[str]) -> str:
    """SHA-256 over ids in their order, a line each: what ``sha256sum`` says of a file with one id a line."""
    return hashlib.sha256("".join(f"{name}\n" for name in ids).encode()).hexdigest()


def refuse_changed(list_file: Path, ids: Sequence[str]) -> None:
    """Make sure that a list names what it named when it was drawn, if a ``split.json`` beside it says so.

    Raises:
        ValueError: If it names other images, or in another order.
    """
    try:
        facts = json.loads((list_file.parent / FACTS).read_text(encoding="utf-8"))
        recorded = facts["lists"][list_file.name]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):  # no such file, or somebody else's
        return
    if isinstance(recorded, str) and recorded != digest(ids):
        found = (
            f"{list_file}: its {len(ids)} images are not those of which {FACTS} beside it keeps the digest (sha256 "
            f"{recorded[:12]}..., now {digest(ids)[:12]}...)"
        )
        remedy = "restore it or draw it again, or give your own list another name"
        raise DataProblem(found, "the list as it was drawn", remedy, list_file)
