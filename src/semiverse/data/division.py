"""Divide images into training and validation, and know a list again."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from semiverse.data.budget import Budget, group_names, labeling_order, share_of
from semiverse.data.pairing import Record
from semiverse.files import DataProblem
from semiverse.labels import LabelSpace

FACTS = "split.json"
"""What lists were drawn by, and the digest of each; it lies beside them."""


def divide(
    records: Sequence[Record],
    val_share: Budget,
    seed: int = 0,
    groups: str | None = None,
    classes: Sequence[frozenset[int]] | None = None,
) -> tuple[list[Record], list[Record]]:
    """Images for training and for validation; none is in both, and no group either.

    Validation receives int(f * N) of the N images with masks, drawn by the seed; images without mask are for training.
    With ``classes``, training first receives images that show every class, then validation others that do, the rarest
    class before all, as far as there are enough.

    With ``groups``, whole groups are drawn in the same way. A group goes to validation if that brings the number of its
    masks nearer to what was asked for (if none does, the smallest group goes), and takes its images without mask with
    it; so the number is met only roughly.

    Args:
        records: The images.
        val_share: Share f of validation, or its number of images.
        seed: Of the draw.
        groups: Regular expression whose first group, or whole match, in the id of an image names its group: its drive,
            its scene.
        classes: Train ids that occur in each image; None: draw without regard to them.

    Returns:
        Training and validation, both in the given order.

    Raises:
        ValueError: If either would be empty, or an id has no group.
    """
    units = _units(records, groups)
    sizes = [sum(records[index].mask is not None for index in unit) for unit in units]
    target = int(share_of(val_share, "val") * sum(sizes)) if isinstance(val_share, float | str) else val_share
    if sum(size > 0 for size in sizes) < 2 or not 0 < target < sum(sizes):
        grouped = "" if groups is None else f" in {len(units)} groups"
        raise DataProblem(
            f"val is {val_share} of {sum(sizes)} images with masks{grouped}",
            "some for validation and some for training",
            "change val, or the groups",
        )
    shown = classes and [frozenset[int]().union(*(classes[index] for index in unit)) for unit in units]
    chosen = _take(_validation_order(len(units), seed, shown), sizes, target)
    val = {index for i in chosen for index in units[i]}
    return [r for i, r in enumerate(records) if i not in val], [r for i, r in enumerate(records) if i in val]


def _units(records: Sequence[Record], groups: str | None) -> list[list[int]]:
    """Numbers of the images that stay together, in the order of the names of their groups."""
    if groups is None:
        return [[index] for index in range(len(records))]
    names = group_names([record.id for record in records], groups)
    units: dict[str, list[int]] = {name: [] for name in sorted(set(names))}
    for index, name in enumerate(names):
        units[name].append(index)
    return list(units.values())


def _validation_order(count: int, seed: int, shown: Sequence[frozenset[int]] | None) -> list[int]:
    """The order in which units go to validation; those that training needs to see every class come last."""
    order = labeling_order(count, seed, shown)
    if shown is None:
        return order
    needed, seen, everything = 0, frozenset[int](), frozenset[int]().union(*shown)
    while seen != everything:
        seen |= shown[order[needed]]
        needed += 1
    rest = order[needed:]
    again = labeling_order(len(rest), seed, [shown[unit] for unit in rest])
    return [rest[i] for i in again] + order[:needed][::-1]


def _take(order: Sequence[int], sizes: Sequence[int], target: int) -> list[int]:
    """Units whose sizes sum up to about the target, but not to all there is."""
    taken: list[int] = []
    count = 0
    for unit in order:
        grown = count + sizes[unit]
        if abs(grown - target) < abs(count - target) and grown < sum(sizes):
            taken.append(unit)
            count = grown
    return taken or [min((unit for unit in order if sizes[unit]), key=lambda unit: sizes[unit])]


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
