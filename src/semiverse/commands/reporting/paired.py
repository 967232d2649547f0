"""Differences between settings, paired over repetitions, and how sure they are."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t

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
    def helped(self) -> bool:
        """Whether the interval lies wholly above zero."""
        return self.low is not None and self.low > 0

    @property
    def hurt(self) -> bool:
        """Whether the interval lies wholly below zero."""
        return self.high is not None and self.high < 0

    @property
    def outcome(self) -> str:
        """What the interval says, in a few words."""
        if self.low is None:
            return "one run cannot tell"
        return "helped" if self.helped else "hurt" if self.hurt else "no difference can be told"


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
    if difference.low is None or difference.high is None:
        return f"{said} in the one seed run: one run cannot tell it from chance."
    seeds = COUNTS[difference.count] if difference.count < len(COUNTS) else str(difference.count)
    low, high = points_of_percent(difference.low), points_of_percent(difference.high)
    interval = f"(95 % interval {low} to {high}, {seeds} seeds)"
    if difference.helped or difference.hurt:
        return f"{said} {interval}: it {difference.outcome}."
    return f"{said}: {difference.outcome} {interval}."


def points_of_percent(share: float) -> str:
    """A share as points of percent with one digit, never as a negative zero."""
    return f"{round(100 * share, 1) + 0.0:.1f}"
