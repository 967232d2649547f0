"""Divide images into training and validation, and draw which of those for training are labelled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from semiverse.data.budget import (
    Budget,
    budget_size,
    check_pattern,
    drawing_rule,
    group_names,
    in_labeling_order,
    labeling_order,
    share_of,
    shown_by,
    units_of,
)
from semiverse.data.pairing import Record
from semiverse.data.survey import Content
from semiverse.files import DataProblem


@dataclass(frozen=True)
class Division:
    """What is to be drawn of some images.

    Args:
        val: Share of validation, or its number of images; None: nothing is divided.
        budgets: Label budgets of the images for training.
        seed: Of the draw.
        groups: Regular expression that finds the group of an image in its id; None: every image stands alone.
        cover_classes: Prefer images with classes not seen yet.

    Raises:
        ValueError: If there is nothing to draw, a budget stands twice, or a value is none.
    """

    val: Budget | None
    budgets: Sequence[Budget]
    seed: int
    groups: str | None
    cover_classes: bool

    def __post_init__(self) -> None:
        titles = [_title(budget) for budget in self.budgets]
        if self.val is None and not titles:
            raise ValueError(
                "neither val nor labeled is given; expected a share of the images, such as 0.2 or 1/8, for at least "
                "one of them: add --val or --labeled"
            )
        if isinstance(self.val, float | str):
            share_of(self.val, "val")
        twice = [title for title in titles if titles.count(title) > 1]
        if twice:
            raise ValueError(
                f"labeled holds {twice[0].replace('_', '/')} twice; expected every budget once: remove one"
            )
        if self.groups is not None:
            check_pattern(self.groups)
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more: change it")

    @property
    def rule(self) -> str:
        """How lists are drawn, in words."""
        whole = "whole groups until the number is nearest" if self.groups is not None else "exactly so many"
        covering = "; training first receives images of every class" if self.cover_classes else ""
        divided = f"validation receives {self.val} of the images with masks, {whole}{covering}. "
        labeled = f"Labels go to images {drawing_rule(self.groups, self.cover_classes)}."
        return labeled if self.val is None else divided + labeled

    def draw(self, records: Sequence[Record], shown: Mapping[Path, frozenset[int]]) -> dict[str, list[Record]]:
        """Lists by the names of their files: ``train.txt`` and ``val.txt``, ``labeled_1_8.txt`` and the rest of it.

        Args:
            records: The images.
            shown: Train ids that each image shows, by its file.

        Raises:
            ValueError: If a list would be empty, a budget is too large, or an id has no group.
        """
        train, lists = list(records), {}
        if self.val is not None:
            classes = [shown[record.image] for record in records] if self.cover_classes else None
            train, held_out = divide(records, self.val, self.seed, self.groups, classes)
            lists = {"train.txt": train, "val.txt": held_out}
        masked = [record for record in train if record.mask is not None]
        classes = [shown[record.image] for record in masked] if self.cover_classes else None
        order = in_labeling_order(masked, self.seed, classes, self.groups)
        for budget in self.budgets:
            few = order[: budget_size(budget, len(order), "labeled")]
            known = {record.image for record in few}
            lists[f"labeled_{_title(budget)}.txt"] = few
            lists[f"unlabeled_{_title(budget)}.txt"] = [record for record in train if record.image not in known]
        return lists


def _title(budget: Budget) -> str:
    """A budget as part of a file name: ``1_8``, ``100``."""
    share = share_of(budget, "labeled") if isinstance(budget, float | str) else Fraction(budget)
    return str(share).replace("/", "_")


def shown_classes(records: Sequence[Record], contents: Sequence[Content]) -> dict[Path, frozenset[int]]:
    """Train ids that each image shows, by its file.

    Raises:
        ValueError: If some cannot be read, or two have one id.
    """
    problems = [content.problem for content in contents if content.problem]
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(records)} images cannot be used, first: {problems[0]}; expected files that can "
            "be trained on: semiverse check lists them all"
        )
    repeated = [name for name, times in Counter(record.id for record in records).items() if times > 1]
    if repeated:
        raise ValueError(
            f"{len(repeated)} ids mean several images each, first: {repeated[0]!r}; expected one image of an id, as "
            "lists hold ids: rename files, or name one split by --images"
        )
    return {record.image: content.classes for record, content in zip(records, contents, strict=True)}


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
    units = [[index] for index in range(len(records))]
    if groups is not None:
        units = units_of(group_names([record.id for record in records], groups), range(len(records)))
    sizes = [sum(records[index].mask is not None for index in unit) for unit in units]
    target = int(share_of(val_share, "val") * sum(sizes)) if isinstance(val_share, float | str) else val_share
    if sum(size > 0 for size in sizes) < 2 or not 0 < target < sum(sizes):
        grouped = "" if groups is None else f" in {len(units)} groups"
        found = f"val is {val_share} of {sum(sizes)} images with masks{grouped}"
        raise DataProblem(found, "some for validation and some for training", "change val, or the groups")
    chosen = _take(_validation_order(len(units), seed, shown_by(units, classes)), sizes, target)
    val = {index for i in chosen for index in units[i]}
    return [r for i, r in enumerate(records) if i not in val], [r for i, r in enumerate(records) if i in val]


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
