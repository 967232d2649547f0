"""Verdicts in sentences: whether unlabelled images and other domains helped, by how much, and how sure that is."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from semiverse.reporting.comparisons import COUNTS, LOSS, Comparison, Difference, points_of_percent, verdict
from semiverse.reporting.tables import MISSING, Cell, Column, Row, Table

NAMED = 5
"""So many classes or options are named; the others are counted."""


class Finding(NamedTuple):
    """What a comparison shows: a heading, sentences, and whether it is a warning."""

    title: str
    sentences: list[str]
    hurt: bool


def finding(pair: Comparison) -> Finding:
    """What came of it: the sum first, then the domains, then classes that lost, then what weakens all that."""
    title = f"{pair.kind[0].upper()}{pair.kind[1:]}: {pair.ours.name} against {pair.theirs.name}"
    said = [verdict(pair.ours.name, pair.theirs.name, what, change) for what, change in _scores(pair)]
    if not said:
        said = ["No two of their runs have the same seeds and are scored in the same way, so that nothing is paired."]
    if pair.losses:
        lost = [_loss(domain, title, change) for (domain, title), change in pair.losses.items()]
        said.append(f"Classes that lost more than {100 * LOSS:.0f} points: {_listed(lost)}.")
    if pair.further:
        said.append(f"They also differ in {_listed(pair.further)}, which may be the reason.")
    return Finding(title, said, pair.hurt)


def verdict_table(comparisons: Sequence[Comparison]) -> Table:
    """All differences of scores, in points of percent."""
    titles = ["comparison", "domain", "difference", "low", "high", "seeds", "verdict"]
    caption = "Differences of the mIoU in points, paired over seeds, with 95 % intervals of Student's t distribution."
    table = Table("verdicts", caption, [Column(title, title) for title in titles])
    for pair in comparisons:
        name = f"{pair.kind}: {pair.ours.name} against {pair.theirs.name}"
        for (manner, domain), change in pair.scores.items():
            place = domain if manner == "by decoder" else f"{domain} {manner}"
            numbers = [_points(value) for value in (change.mean, change.low, change.high)]
            seeds, outcome = Cell(str(change.count), change.count), Cell(change.outcome, change.outcome)
            table.rows.append(Row([Cell(name, name), Cell(place, place), *numbers, seeds, outcome]))
    return table


def _scores(pair: Comparison) -> Iterator[tuple[str, Difference]]:
    """What differs, in words, and by how much; domains of which one seed is known stand behind their sum."""
    for (manner, domain), change in pair.scores.items():
        summed = domain != "sum" and (manner, "sum") in pair.scores
        if change.count == 1 and summed:
            continue
        parts = [
            f"{name} {points_of_percent(part.mean)}"
            for (other, name), part in pair.scores.items()
            if domain == "sum" and other == manner and name != "sum" and part.count == 1
        ]
        behind = f" ({', '.join(parts)})" if parts else ""
        yield _what(manner, domain) + behind, change


def _points(value: float | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(points_of_percent(value), value)


def _what(manner: str, domain: str) -> str:
    words = "the sum of mIoU" if domain == "sum" else f"the mIoU of {domain}"
    return words if manner == "by decoder" else f"{words} {manner}"


def _loss(domain: str, title: str, change: Difference) -> str:
    """A class with its loss, in points."""
    sure = ""
    if change.low is not None and change.high is not None:
        sure = f", 95 % interval {points_of_percent(change.low)} to {points_of_percent(change.high)}"
    return f"{title} of {domain} ({points_of_percent(change.mean)}{sure})"


def _listed(words: Sequence[str]) -> str:
    shown, others = list(words[:NAMED]), len(words[NAMED:])
    if others:
        shown.append(f"{COUNTS[others] if others < len(COUNTS) else others} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
