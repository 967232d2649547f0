"""List files: how they are written, and known again."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from semiverse.data.budget import group_names
from semiverse.data.pairing import Record
from semiverse.files import DataProblem, write_atomically
from semiverse.labels import LabelSpace

FACTS = "split.json"
"""What lists were drawn by, and the digest of each; it lies beside them."""


def digest(ids: Iterable[str]) -> str:
    """SHA-256 over ids in their order, a line each: what ``sha256sum`` says of a file with one id a line."""
    return hashlib.sha256("".join(f"{name}\n" for name in ids).encode()).hexdigest()


def list_facts(
    records: Sequence[Record], classes: Sequence[frozenset[int]], labels: LabelSpace, groups: str | None
) -> dict[str, Any]:
    """What ``split.json`` says about a list.

    Args:
        records: The listed images.
        classes: Train ids that occur in each.
        labels: Names of the classes.
        groups: Regular expression that finds the group of an image in its id.
    """
    ids = [record.id for record in records]
    shown = {title: sum(i in present for present in classes) for i, title in enumerate(labels.classes)}
    facts = {"images": len(ids), "sha256": digest(ids), "classes": shown}
    return facts if groups is None else facts | {"groups": sorted(set(group_names(ids, groups)))}


def pairs_text(records: Sequence[Record], folder: Path) -> str:
    """A list as UniMatch (Yang et al., CVPR 2023) writes it: an image and its mask a line, relative to a folder."""
    pairs = [[path for path in (record.image, record.mask) if path is not None] for record in records]
    return "".join(" ".join(_below(path, folder) for path in pair) + "\n" for pair in pairs)


def _below(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def refuse_changed(list_file: Path, ids: Sequence[str]) -> None:
    """Make sure that a list names what it named when it was drawn, if a ``split.json`` beside it says so.

    Raises:
        ValueError: If it names other images, or in another order.
    """
    recorded = _recorded(list_file)
    if recorded is not None and recorded != digest(ids):
        raise DataProblem(
            f"{list_file}: its {len(ids)} images are not those of which {FACTS} beside it keeps the digest (sha256 "
            f"{recorded[:12]}..., now {digest(ids)[:12]}...)",
            "the list as it was drawn",
            "restore it or draw it again, or give your own list another name",
            list_file,
        )


def _recorded(list_file: Path) -> str | None:
    """The digest of a list that ``split.json`` keeps, if there is one, and if it is not somebody else's file."""
    try:
        facts = json.loads((list_file.parent / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    lists = facts.get("lists") if isinstance(facts, Mapping) else None
    entry = lists.get(list_file.name) if isinstance(lists, Mapping) else None
    recorded = entry.get("sha256") if isinstance(entry, Mapping) else None
    return recorded if isinstance(recorded, str) else None


def write_lists(folder: Path, lists: Mapping[str, Sequence[Record]], facts: Mapping[str, Any], root: Path) -> None:
    """Write lists, of ids or, where they say which images are labelled, of files; and ``split.json`` beside them.

    Args:
        folder: Where to.
        lists: Records by file name.
        facts: What ``split.json`` says.
        root: The folder that files are named below.

    Raises:
        FileExistsError: If one of the files is there already; nothing is written then.
        OSError: If a file cannot be written.
    """
    files = [*lists, FACTS]
    there = [file for file in files if (folder / file).exists()]
    if there:
        raise FileExistsError(
            f"{folder} holds {', '.join(there)}; expected none of {', '.join(files)}, as lists are never overwritten: "
            "choose another --out"
        )
    for file, records in lists.items():
        ids = "".join(f"{record.id}\n" for record in records)
        write_atomically(folder / file, pairs_text(records, root) if "labeled" in file else ids)
    write_atomically(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
