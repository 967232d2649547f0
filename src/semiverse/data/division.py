"""Which images are for training and which for validation, and which keep their labels when labels are few."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np

from semiverse.data.contents import Content
from semiverse.data.pairing import Record
from semiverse.data.records import Records, masked
from semiverse.files import DataProblem

Budget = int | float | str
"""A number of images, or a share of them: a number between 0 and 1, or a fraction such as ``1/8``."""

Shown = Sequence[frozenset[int]] | None
"""Train ids that each image shows; None: images are drawn without regard to them."""

EXAMPLE = "such as '^[^_]+' for what stands before the first underscore"


def share_of(budget: float | str, option: str) -> Fraction:
    """The share of the images that a budget means.

    Args:
        budget: A number, or text such as ``1/8``.
        option: What it was given for, for the message.

    Raises:
        ValueError: If it is not between 0 and 1, or no number at all.
    """
    try:
        share = Fraction(budget).limit_denominator(1_000_000)  # 0.29 of 100 images are 29, not 28.999...
    except (ValueError, OverflowError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share < 1:
        expected = "a whole number of images such as 100, or a share of them between 0 and 1 such as 1/8 or 0.125"
        raise DataProblem(f"{option} is {budget!r}", expected, "correct it")
    return share


def budget_size(budget: Budget, count: int, option: str) -> int:
    """Number of images of a budget: int(f * count) for a share f (as in the code of Hung et al., BMVC 2018).

    Args:
        budget: The budget.
        count: Number of images with masks, which it is drawn from.
        option: What it was given for, for messages.

    Raises:
        ValueError: If there are fewer images, or a share is less than one image, or no share.
    """
    size = int(share_of(budget, option) * count) if isinstance(budget, float | str) else budget
    if size == 0 and size != budget:
        found = f"a budget of {budget} of {count} images with masks is less than one"
        raise DataProblem(found, "at least one", f"raise {option}, or say 0")
    if not 0 <= size <= count:
        found = f"a budget of {size} labelled images, but there are {count} with masks"
        raise DataProblem(found, f"0 to {count}, or a share between 0 and 1", f"change {option}")
    return size


def check_pattern(pattern: str) -> None:
    """Refuse what cannot name groups.

    Raises:
        ValueError: If it is no regular expression.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        found = f"groups is {pattern!r}, no regular expression ({error})"
        expected = f"one that finds the name of the group in the id of an image, {EXAMPLE}"
        raise DataProblem(found, expected, "correct it") from error


def group_names(ids: Sequence[str], pattern: str) -> list[str]:
    """The group of each image, such as its drive, its scene, its patient.

    It is what the first group of the regular expression matches in the image's id, or the whole if that has no group.

    Raises:
        ValueError: If it is no regular expression, or finds nothing in some id.
    """
    check_pattern(pattern)
    matches = [re.search(pattern, name) for name in ids]
    names = [match[1 if match.re.groups else 0] or "" if match else "" for match in matches]
    missing = [name for name, group in zip(ids, names, strict=True) if not group]
    if missing:
        found = f"groups {pattern!r} finds no group in {len(missing)} of {len(ids)} ids, first: {missing[0]!r}"
        raise DataProblem(found, "one in each", f"correct the expression, {EXAMPLE}")
    return names


def labeling_order(count: int, seed: int, classes: Shown = None, groups: Sequence[str] | None = None) -> list[int]:
    """Numbers of images, 0..count-1, as ``in_labeling_order`` puts them; ``groups`` names the group of each."""
    permutation: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    if groups is None:
        return _covering_first(permutation, classes)
    units = _units_of(groups, permutation)
    order = labeling_order(len(units), seed, _shown_by(units, classes))
    return [index for i in order for index in _covering_first(units[i], classes)]


def in_labeling_order(records: Sequence[Record], seed: int, classes: Shown, groups: str | None) -> Sequence[Record]:
    """Records in the order in which they receive labels; a budget of k images is the first k, so budgets are nested.

    The order is a seeded permutation. With ``classes``, images that show a class for the first time come first, the
    rarest class before all: small budgets miss few classes, and stay prefixes of larger ones.

    With ``groups``, the groups are ordered so instead, by the classes that any of their images shows, and the images of
    a group follow each other, ordered so among themselves. A budget then takes whole groups, except for the last,
    which it cuts.

    Args:
        records: Images with masks.
        seed: Of the permutation.
        classes: Train ids that occur in each; None leaves the permutation as it is.
        groups: Regular expression that finds the group of an image in its id; None: every image stands alone.

    Raises:
        ValueError: If an id has no group.
    """
    names = None if groups is None else group_names([record.id for record in records], groups)
    order = labeling_order(len(records), seed, classes, names)
    return records.take(np.array(order)) if isinstance(records, Records) else [records[index] for index in order]


def drawing_rule(groups: str | None, cover_classes: bool) -> str:
    """The order in which images receive labels, in words."""
    unit = "image" if groups is None else "group"
    grouped = "" if groups is None else f", group by group ({groups} in the id)"
    covering = f"; a {unit} that shows a class for the first time comes before the others" if cover_classes else ""
    return f"in the order of a permutation by the seed{grouped}{covering}"


def _units_of(groups: Sequence[str], order: Sequence[int]) -> list[list[int]]:
    """Numbers of the images of each group, in the order of their names; those of a group in the given order."""
    return [list(unit) for _, unit in groupby(sorted(order, key=groups.__getitem__), groups.__getitem__)]


def _shown_by(units: Sequence[Sequence[int]], classes: Shown) -> list[frozenset[int]] | None:
    """Train ids that each unit of images shows."""
    return None if classes is None else [frozenset[int]().union(*(classes[i] for i in unit)) for unit in units]


def _covering_first(order: list[int], classes: Shown) -> list[int]:
    """The same images, those that show a class for the first time before the others."""
    if classes is None:
        return order
    frequency = Counter(label for index in order for label in classes[index])
    first: list[int] = []
    covered: set[int] = set()
    for label in sorted(frequency, key=lambda label: (frequency[label], label)):
        if label not in covered:
            first.append(next(index for index in order if label in classes[index]))
            covered |= classes[first[-1]]
    return list(dict.fromkeys(first + order))


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
            expected = "a share of the images, such as 0.2 or 1/8, for at least one of them: add --val or --labeled"
            raise ValueError(f"neither val nor labeled is given; expected {expected}")
        if isinstance(self.val, float | str):
            share_of(self.val, "val")
        twice = [title for title in titles if titles.count(title) > 1]
        if twice:
            found = f"labeled holds {twice[0].replace('_', '/')} twice"
            raise ValueError(f"{found}; expected every budget once: remove one")
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

    def draw(self, records: Sequence[Record], shown: Mapping[Path, frozenset[int]]) -> dict[str, Sequence[Record]]:
        """Lists by the names of their files: ``train.txt`` and ``val.txt``, ``labeled_1_8.txt`` and the rest of it.

        Args:
            records: The images.
            shown: Train ids that each image shows, by its file.

        Raises:
            ValueError: If a list would be empty, a budget is too large, or an id has no group.
        """
        train, lists = records, dict[str, Sequence[Record]]()
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
        found = f"{len(problems)} of {len(records)} images cannot be used, first: {problems[0]}"
        raise ValueError(f"{found}; expected files that can be trained on: semiverse check lists them all")
    repeated = [name for name, times in Counter(record.id for record in records).items() if times > 1]
    if repeated:
        found = f"{len(repeated)} ids mean several images each, first: {repeated[0]!r}"
        remedy = "rename files, or name one split by --images"
        raise ValueError(f"{found}; expected one image of an id, as lists hold ids: {remedy}")
    return {record.image: content.classes for record, content in zip(records, contents, strict=True)}


def divide(
    records: Sequence[Record],
    val_share: Budget,
    seed: int = 0,
    groups: str | Sequence[str] | None = None,
    classes: Shown = None,
) -> tuple[Sequence[Record], Sequence[Record]]:
    """Images for training and for validation; none is in both, and no group either.

    Validation receives int(f * N) of the N images with masks, for a share f, drawn by the seed; images without mask are
    for training.
    With ``classes``, training first receives images that show every class, then validation others that do, the rarest
    class before all, as far as there are enough.

    With ``groups``, a regular expression or the group of each image, whole groups are drawn likewise. A group goes to
    validation if that brings the number of its masks nearer to what was asked for (if none does, the smallest group
    goes), and takes its images without mask with it; so the number is met only roughly.

    Returns:
        Training and validation, both in the given order.

    Raises:
        ValueError: If either would be empty, or an id has no group.
    """
    units = [[index] for index in range(len(records))]
    if groups is not None:
        names = group_names([record.id for record in records], groups) if isinstance(groups, str) else groups
        units = _units_of(names, range(len(records)))
    has_mask = masked(records).tolist()
    sizes = [sum(has_mask[index] for index in unit) for unit in units]
    target = int(share_of(val_share, "val") * sum(sizes)) if isinstance(val_share, float | str) else val_share
    if sum(size > 0 for size in sizes) < 2 or not 0 < target < sum(sizes):
        grouped = "" if groups is None else f" in {len(units)} groups"
        found = f"val is {val_share} of {sum(sizes)} images with masks{grouped}"
        raise DataProblem(found, "some for validation and some for training", "change val, or the groups")
    shown = _shown_by(units, classes)
    order = labeling_order(len(units), seed, shown)
    if shown is not None:  # what training needs to see every class comes last
        seen = list(accumulate((shown[unit] for unit in order), frozenset.union, initial=frozenset[int]()))
        needed = seen.index(seen[-1])
        rest = order[needed:]
        again = labeling_order(len(rest), seed, [shown[unit] for unit in rest])
        order = [rest[i] for i in again] + order[:needed][::-1]
    taken, count = list[int](), 0
    for unit in order:
        grown = count + sizes[unit]
        if abs(grown - target) < abs(count - target) and grown < sum(sizes):
            taken.append(unit)
            count = grown
    taken = taken or [min((unit for unit in order if sizes[unit]), key=lambda unit: sizes[unit])]
    val = {index for unit in taken for index in units[unit]}
    if isinstance(records, Records):
        chosen = np.isin(np.arange(len(records)), list(val))
        return records.take(np.flatnonzero(~chosen)), records.take(np.flatnonzero(chosen))
    return [r for i, r in enumerate(records) if i not in val], [r for i, r in enumerate(records) if i in val]
