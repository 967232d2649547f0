"""Verdicts in sentences: what settings gained or lost against others, by how much, and how sure that is."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import mean, stdev
from typing import Literal, NamedTuple

from scipy.stats import t

from semiverse.reporting.settings import Setting
from semiverse.reporting.tables import MISSING, Column, Entry, Row, Table, in_words, word

NAMED = 5
"""So many classes or options are named; the others are counted."""
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval of Student's t distribution.

    Args:
        mean: Ours minus theirs, in the unit of what was compared.
        low: Lower end of the interval; None for one pair, of which no spread can be told.
        high: Upper end.
        count: Number of pairs.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def hurt(self) -> bool:
        """Whether the interval lies wholly below zero."""
        return self.high is not None and self.high < 0

    @property
    def outcome(self) -> str:
        """What the interval says, in a few words."""
        if self.low is None:
            return "one run cannot tell"
        return "helped" if self.low > 0 else "hurt" if self.hurt else "no difference can be told"

    @property
    def interval(self) -> str:
        """The interval in points of percent, of a difference of shares; "" where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"95 % interval {points_of_percent(self.low)} to {points_of_percent(self.high)}"


def paired_difference(ours: Mapping[Hashable, float], theirs: Mapping[Hashable, float]) -> Difference | None:
    """Mean difference over the keys that both have, such as seeds; None where they share none.

    The interval is mean ± t(0.975, n - 1) s / sqrt(n) for the standard deviation s of n differences.
    """
    differences = [value - theirs[key] for key, value in ours.items() if key in theirs]
    if not differences:
        return None
    center, count = mean(differences), len(differences)
    if count == 1:
        return Difference(center, None, None, 1)
    reach = float(t.ppf(0.975, count - 1)) * stdev(differences) / sqrt(count)
    return Difference(center, center - reach, center + reach, count)


def verdict(ours_name: str, theirs_name: str, what: str, difference: Difference) -> str:
    """A sentence that says which scores more, by how many points, and how sure that is.

    Args:
        ours_name: Whose value the difference was taken from.
        theirs_name: What it is compared with.
        what: What was compared, as in "the sum of mIoU".
        difference: Of shares in [0, 1], which become points of percent.
    """
    points = points_of_percent(abs(difference.mean))
    more = "more" if difference.mean > 0 else "less"
    amount = "as much as" if points == "0.0" else f"{points} points {more} than"
    said = f"{ours_name} scores {amount} {theirs_name} in {what}"
    if difference.low is None:
        return f"{said} in the one seed run: one run cannot tell it from chance."
    interval = f"({difference.interval}, {_count(difference.count)} seeds)"
    if difference.low > 0 or difference.hurt:
        return f"{said} {interval}: it {difference.outcome}."
    return f"{said}: {difference.outcome} {interval}."


def points_of_percent(share: float) -> str:
    """A share as points of percent with one digit, never as a negative zero."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


LOST = 0.05
"""A class that loses more than this share of its intersection over union in the mean is named."""


class Change(NamedTuple):
    """What one setting learns from and another does not: of which kind, and in words."""

    kind: Literal["domain", "domains", "transfer", "unlabeled", "labeled"]
    words: str


@dataclass
class Comparison:
    """A setting against one that learns from less.

    Args:
        ours: The setting.
        theirs: What it is measured against.
        changes: What it learns from beyond that.
        further: Other options in which the two differ.
        scores: Differences of the mIoU by manner of scoring and domain ("sum": over domains), in [0, 1] each domain.
        classes: Differences of the intersection over union by domain and class.
    """

    ours: Setting
    theirs: Setting
    changes: Sequence[Change]
    further: list[str]
    scores: Mapping[tuple[str, str], Difference] = field(default_factory=dict)
    classes: Mapping[tuple[str, str], Difference] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What is judged."""
        return in_words([change.words for change in self.changes])

    @property
    def losses(self) -> dict[tuple[str, str], Difference]:
        """Classes that lost much, the worst first."""
        lost = {key: change for key, change in self.classes.items() if change.mean < -LOST}
        return dict(sorted(lost.items(), key=lambda item: item[1].mean))

    @property
    def hurt(self) -> bool:
        """Whether a score, or a class that lost much, has an interval wholly below zero."""
        return any(change.hurt for change in [*self.scores.values(), *self.losses.values()])


class Verdict(NamedTuple):
    """What a comparison shows: a heading, sentences, and whether it is a warning."""

    title: str
    sentences: list[str]
    hurt: bool


def verdict_on(pair: Comparison) -> Verdict:
    """What came of it: the sum first, then the domains, then classes that lost, then what weakens all that."""
    title = f"{pair.kind[0].upper()}{pair.kind[1:]}: {pair.ours.name} against {pair.theirs.name}"
    said = []
    for (manner, domain), change in pair.scores.items():
        if change.count == 1 and domain != "sum" and (manner, "sum") in pair.scores:
            continue  # one seed of a domain stands behind the sum
        what = "the sum of mIoU" if domain == "sum" else f"the mIoU of {domain}"
        parts = [
            f"{name} {points_of_percent(part.mean)}"
            for (other, name), part in pair.scores.items()
            if domain == "sum" and other == manner and name != "sum" and part.count == 1
        ]
        what += f" {manner}" * (manner != "by decoder") + f" ({', '.join(parts)})" * bool(parts)
        said.append(verdict(pair.ours.name, pair.theirs.name, what, change))
    if not said:
        said = ["No two of their runs have the same seeds and are scored in the same way, so that nothing is paired."]
    if pair.losses:
        lost = [
            f"{title} of {domain} ({', '.join(filter(None, [points_of_percent(change.mean), change.interval]))})"
            for (domain, title), change in pair.losses.items()
        ]
        said.append(f"Classes that lost more than {100 * LOST:.0f} points: {_named(lost)}.")
    if pair.further:
        said.append(f"They also differ in {_named(pair.further)}, which may be the reason.")
    return Verdict(title, said, pair.hurt)


def verdict_table(comparisons: Sequence[Comparison]) -> Table:
    """All differences of scores, in points of percent."""
    titles = ["comparison", "domain", "difference", "low", "high", "seeds", "verdict"]
    caption = "Differences of the mIoU in points, paired over seeds, with 95 % intervals of Student's t distribution."
    table = Table("verdicts", caption, [Column(title, title) for title in titles])
    for pair in comparisons:
        name = f"{pair.kind}: {pair.ours.name} against {pair.theirs.name}"
        for (manner, domain), change in pair.scores.items():
            place = domain if manner == "by decoder" else f"{domain} {manner}"
            numbers = [
                Entry(MISSING) if value is None else Entry(points_of_percent(value), value)
                for value in (change.mean, change.low, change.high)
            ]
            seeds = Entry(str(change.count), change.count)
            table.rows.append(Row([word(name), word(place), *numbers, seeds, word(change.outcome)]))
    return table


def _named(words: Sequence[str]) -> str:
    shown, others = list(words[:NAMED]), len(words[NAMED:])
    return in_words([*shown, *([f"{_count(others)} more"] if others else [])])


def _count(number: int) -> str:
    return COUNTS[number] if number < len(COUNTS) else str(number)
