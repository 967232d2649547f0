"""Which image belongs to which mask: by name, and loudly where one is missing."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.files import DataProblem, MissingData, read_text

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


def composed(name: str) -> str:
    """A name with each accent and its letter in one character, where Unicode has one."""
    return unicodedata.normalize("NFC", name)


def refuse_other_encoding(path: Path) -> None:
    """Make sure that a name can be written to lists.

    Raises:
        ValueError: If it is no UTF-8, as unpacking a ZIP file of another country leaves it.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(path.name)
        found = f"{os.fsencode(path)!r}: the name {shown!r} is no UTF-8"
        remedy = "rename it, as by convmv -f gbk -t utf-8 --notest (or cp437, or where it comes from)"
        raise DataProblem(found, "names that lists can hold", remedy) from error


def pair(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path, among: int | None = None) -> list[Record]:
    """Images with the masks of the same name, in the order of the images.

    Args:
        images: Image files by name.
        masks: Mask files by name.
        where: The folder that the masks are expected in, for the message.
        among: Number of images that these are some of, for the message; None: they are all.

    Raises:
        FileNotFoundError: If images have no mask; it says how many and names the first.
    """
    missing = [path for name, path in images.items() if name not in masks]
    if missing:
        similar = {name.lower(): path for name, path in masks.items()}
        twins = [similar[name.lower()] for name in images if name not in masks and name.lower() in similar]
        hint = f" ({twins[0].name} differs in capital letters: rename it)" if twins else ""
        found = f"no mask for {len(missing)} of {among or len(images)} images, first: {missing[0]}"
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
        given = [composed(line.strip()) for line in read_text(list_file, "one image name a line").split("\n")]
    except DataProblem as problem:
        raise DataProblem(problem.found, problem.expected, problem.remedy, list_file) from problem
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
        for end in path_ends(composed(path.as_posix())):
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
    found = hashlib.sha256()
    for name in ids:
        found.update(f"{name}\n".encode())
    return found.hexdigest()


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
