"""List files: how they are written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semiverse.data.division import group_names
from semiverse.data.pairing import FACTS, Record, digest, refuse_other_encoding
from semiverse.files import DataProblem, Outputs
from semiverse.labels import LabelSpace

UNLISTED = "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What ends a line of a list, or the name in it."""


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
    text = ""
    for record in records:
        files = (path for path in (record.image, record.mask) if path is not None)
        below = (path.relative_to(folder) if path.is_relative_to(folder) else path for path in files)
        text += " ".join(path.as_posix() for path in below) + "\n"
    return text


def write_lists(folder: Path, lists: Mapping[str, Sequence[Record]], facts: Mapping[str, Any], root: Path) -> None:
    """Write lists, of ids or, where they say which images are labelled, of files; and ``split.json`` beside them.

    Args:
        folder: Where to.
        lists: Records by file name.
        facts: What ``split.json`` says.
        root: The folder that files are named below.

    Raises:
        FileExistsError: If one of the files is there already, unless all are, and as they would be; nothing is written
            then.
        ValueError: If a list cannot hold a name.
        OSError: If a file cannot be written.
    """
    for record in (record for records in lists.values() for record in records):
        refuse_other_encoding(Path(record.id))
        if record.id != record.id.strip() or set(record.id) & set(UNLISTED):
            found = (
                f"{record.image}: the name {record.id!r} begins or ends with a blank, or has a tab or line break in it"
            )
            raise DataProblem(found, "names that stand in a line of a list", "rename the file, and its mask")
    outputs = Outputs(folder, "split")
    texts = {
        file: pairs_text(records, root) if "labeled" in file else "".join(f"{record.id}\n" for record in records)
        for file, records in lists.items()
    } | {FACTS: json.dumps(facts, indent=1, ensure_ascii=False) + "\n"}
    if all((folder / file).is_file() and (folder / file).read_bytes() == text.encode() for file, text in texts.items()):
        return  # of the same call
    there = [file for file in texts if (folder / file).exists()]
    # Lists of a call that was stopped before the last file, which says that all are there, are its own.
    if there and (FACTS in there or outputs.foreign(there)):
        expected = f"none of {', '.join(texts)}, as lists are never overwritten: choose another --out"
        raise FileExistsError(f"{folder} holds {', '.join(there)}; expected {expected}")
    for file, text in texts.items():
        outputs.write(file, text)
