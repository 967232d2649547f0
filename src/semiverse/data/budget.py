"""Which images keep their labels when labels are few."""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from semiverse.data.pairing import Record
from semiverse.files import DataProblem

Budget = int | float | str
"""A number of images, or a share of them: a number between 0 and 1, or a fraction such as ``1/8``."""

LARGEST_DENOMINATOR = 1_000_000
"""Below it a number is taken for the fraction that it stands for: 0.29 of 100 images are 29, not 28.999..."""


def share_of(budget: float | str, option: str) -> Fraction:
    """The share of the images that a budget means.

    Args:
        budget: A number, or text such as ``1/8``.
        option: What it was given for, for the message.

    Raises:
        ValueError: If it is not between 0 and 1, or no number at all.
    """
    try:
        share = Fraction(budget).limit_denominator(LARGEST_DENOMINATOR)
    except (ValueError, OverflowError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share < 1:
        raise DataProblem(
            f"{option} is {budget!r}",
            "a whole number of images such as 100, or a share of them between 0 and 1 such as 1/8 or 0.125",
            "correct it",
        )
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
        raise DataProblem(
            f"groups is {pattern!r}, no regular expression ({error})",
            "one that finds the name of the group in the id of an image, such as '^[^_]+' for what stands before the "
            "first underscore",
            "correct it",
        ) from error


def group_names(ids: Sequence[str], pattern: str) -> list[str]:
    """The group of each image: its drive, its scene, its patient.

    Args:
        ids: Of the images.
        pattern: Regular expression that is searched in an id; its first group names the group of the image, or the
            whole match if it has none.

    Raises:
        ValueError: If it is no regular expression, or finds nothing in some id.
    """
    check_pattern(pattern)
    matches = [re.search(pattern, name) for name in ids]
    names = [match and match[1 if match.re.groups else 0] for match in matches]
    missing = [name for name, group in zip(ids, names, strict=True) if not group]
    if missing:
        raise DataProblem(
            f"groups {pattern!r} finds no group in {len(missing)} of {len(ids)} ids, first: {missing[0]!r}",
            "one in each",
            "correct the expression, such as '^[^_]+' for what stands before the first underscore",
        )
    return [str(group) for group in names]


def labeling_order(
    count: int, seed: int, classes: Sequence[frozenset[int]] | None = None, groups: Sequence[str] | None = None
) -> list[int]:
    """The order in which images receive labels; a budget of k images is its first k, so budgets are nested.

    The order is a seeded permutation. With ``classes``, images that show a class for the first time come first, the
    rarest class before all: small budgets miss few classes, and stay prefixes of larger ones.

    With ``groups``, the groups are ordered so instead, by the classes that any of their images shows, and the images of
    a group follow each other, ordered so among themselves. A budget then takes whole groups, except for the last,
    which it cuts.

    Args:
        count: Number of images.
        seed: Of the permutation.
        classes: Train ids that occur in each image; None leaves the permutation as it is.
        groups: Name of the group of each image; None: every image stands alone.

    Returns:
        A permutation of 0..count-1.
    """
    permutation: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    if groups is None:
        return _covering_first(permutation, classes)
    units = units_of(groups, permutation)
    order = labeling_order(len(units), seed, shown_by(units, classes))
    return [index for i in order for index in _covering_first(units[i], classes)]


def in_labeling_order(
    records: Sequence[Record], seed: int, classes: Sequence[frozenset[int]] | None, groups: str | None
) -> list[Record]:
    """Records in the order in which they receive labels, see ``labeling_order``.

    Args:
        records: Images with masks.
        seed: Of the draw.
        classes: Train ids that occur in each; None: draw without regard to them.
        groups: Regular expression that finds the group of an image in its id; None: every image stands alone.

    Raises:
        ValueError: If an id has no group.
    """
    names = None if groups is None else group_names([record.id for record in records], groups)
    return [records[index] for index in labeling_order(len(records), seed, classes, names)]


def drawing_rule(groups: str | None, cover_classes: bool) -> str:
    """The order in which images receive labels, in words."""
    unit = "image" if groups is None else "group"
    grouped = "" if groups is None else f", group by group ({groups} in the id)"
    covering = f"; a {unit} that shows a class for the first time comes before the others" if cover_classes else ""
    return f"in the order of a permutation by the seed{grouped}{covering}"


def units_of(groups: Sequence[str], order: Sequence[int]) -> list[list[int]]:
    """Numbers of the images of each group, in the order of their names; those of a group in the given order."""
    members: dict[str, list[int]] = {name: [] for name in sorted(set(groups))}
    for index in order:
        members[groups[index]].append(index)
    return list(members.values())


def shown_by(units: Sequence[Sequence[int]], classes: Sequence[frozenset[int]] | None) -> list[frozenset[int]] | None:
    """Train ids that each unit of images shows."""
    return None if classes is None else [frozenset[int]().union(*(classes[i] for i in unit)) for unit in units]


def _covering_first(order: list[int], classes: Sequence[frozenset[int]] | None) -> list[int]:
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
    taken = set(first)
    return first + [index for index in order if index not in taken]
