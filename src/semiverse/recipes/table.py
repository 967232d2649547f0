"""The table of a recipe: ours next to the published numbers, with the differences, and verdicts."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from semiverse.recipes.recipe import Recipe
from semiverse.recipes.results import Result, score
from semiverse.reporting.tables import MISSING, Column, Entry, Row, Table, mark_best, word
from semiverse.reporting.verdicts import paired_difference, verdict

WIDE = 12
"""Up to so many numbers stand side by side; more stand below each other, a score a line."""


@dataclass(frozen=True)
class Number:
    """A number of the table.

    Args:
        column: Its column group.
        row: Its row.
        score: Its name.
        values: Ours by seed, in [0, 1] where they are shares.
        published: As printed; None where nothing was.
    """

    column: str
    row: str
    score: str
    values: Mapping[Hashable, float]
    published: float | None

    @property
    def factor(self) -> float:
        """What brings ours to the unit of print: 100 for shares, as papers print percent."""
        return 100.0 if is_share(self.score) else 1.0

    @property
    def mean(self) -> float | None:
        """Of ours over the seeds, in the unit of print."""
        return self.factor * mean(self.values.values()) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of ours over the seeds, in the unit of print."""
        return self.factor * stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Ours minus the published number."""
        return None if self.mean is None or self.published is None else self.mean - self.published

    def as_values(self) -> dict[str, Any]:
        """For programs: everything, in the unit of print."""
        named = {"column": self.column, "row": self.row, "score": self.score, "unit": "%" if self.factor > 1 else ""}
        seeds = {str(seed): round(self.factor * value, 4) for seed, value in self.values.items()}
        ours = {"mean": self.mean, "spread": self.spread, "published": self.published, "difference": self.difference}
        return named | {"seeds": seeds} | {k: None if v is None else round(v, 4) for k, v in ours.items()}


def is_share(name: str) -> bool:
    """Whether a score is a share in [0, 1]."""
    last = name.rpartition("/")[2]
    return "/iou/" in name or last.endswith(("miou", "accuracy", "calibration_error")) or last in ("covering", "rand")


def numbers(recipe: Recipe, results: Mapping[tuple[str, str, int], Result]) -> list[Number]:
    """All numbers of a table, column group by column group.

    Args:
        recipe: Of the table.
        results: By column, row and seed.
    """
    found = []
    for column in recipe.columns:
        for row in recipe.rows:
            scored = {s: result for (c, r, s), result in results.items() if (c, r) == (column, row)}
            names = recipe.scores or default_scores(recipe, [*results.values()], column)
            for name in names:
                ours = {seed: score(name, result.scores) for seed, result in scored.items()}
                known: dict[Hashable, float] = {seed: value for seed, value in ours.items() if value is not None}
                found.append(Number(column, row, name, known, _published(recipe, column, row, name)))
    return found


def default_scores(recipe: Recipe, results: Sequence[Result], column: str) -> list[str]:
    """MIoU of every domain that a column's results or printed numbers have, and the sum of several."""
    found = [name for result in results if result.column == column for name in result.scores]
    found += [name for printed in recipe.published.get(column, {}).values() for name in printed]
    names = [name for name in dict.fromkeys(found) if name.endswith("/miou")]
    return [*names, "sum_miou"] if len(names) > 1 else names


def _published(recipe: Recipe, column: str, row: str, name: str) -> float | None:
    """The printed number; of a sum that was not printed, the sum of what was."""
    printed = recipe.published.get(column, {}).get(row, {})
    if name != "sum_miou" or name in printed:
        return printed.get(name)
    parts = [value for key, value in printed.items() if key.endswith("/miou")]
    return sum(parts) if len(parts) > 1 else None


def table(recipe: Recipe, found: Sequence[Number], notes: Sequence[str]) -> Table:
    """The table as people read it: a line a row of each column group, or a line a score where these are many.

    Rows of which nothing is known, ours or published, are left out; they come back as they are run.
    """
    known = {(number.column, number.row) for number in found if number.values or number.published is not None}
    scores = sorted(dict.fromkeys(number.score for number in found), key=lambda name: name == "sum_miou")
    printed = {number.score for number in found if number.published is not None}
    wide = len(scores) + 2 * len(printed) <= WIDE
    columns = [Column("method", "row")] + [Column("setting", "column")] * (len(recipe.columns) > 1)
    shown = scores if wide else [""]
    if not wide:
        columns.append(Column("score", "score"))
    for name in shown:
        label = score_title(name) if wide else "ours"
        columns.append(Column(label, name or "ours"))
        if name in printed or (not wide and printed):
            columns += [
                Column("published", f"{name}_published".lstrip("_")),
                Column("difference", f"{name}_difference".lstrip("_")),
            ]
    result = Table(
        "table", f"{recipe.title}{f' ({recipe.source})' if recipe.source else ''}.", columns, notes=list(notes)
    )
    for column in recipe.columns:
        lines = []
        for row in [row for row in recipe.rows if (column, row) in known]:
            mine = {number.score: number for number in found if (number.column, number.row) == (column, row)}
            head = [word(recipe.rows[row].title or row)]
            head += [word(recipe.columns[column].title or column)] * (len(recipe.columns) > 1)
            if wide:
                entries = [e for name in scores for e in _entries(mine.get(name), name in printed)]
                lines.append(Row([*head, *entries]))
            else:
                lines += [
                    Row([*head, word(score_title(name)), *_entries(n, bool(printed))]) for name, n in mine.items()
                ]
        if wide:
            _mark(lines, columns, shown)
        result.rows += lines
    return result


def _mark(lines: Sequence[Row], columns: Sequence[Column], scores: Sequence[str]) -> None:
    """Mark the best of each score, of those where more is better."""
    for i, column in enumerate(columns):
        if column.key in scores and is_share(column.key) and not column.key.endswith("error"):
            mark_best([line.cells[i] for line in lines])


def _entries(number: Number | None, printed: bool) -> list[Entry]:
    """Ours, and if anything was published of this score, that and the difference."""
    if number is None:
        return [Entry(MISSING)] * (3 if printed else 1)
    ours = Entry(MISSING)
    if number.mean is not None:
        spread = "" if number.spread is None else f" ± {number.spread:.1f}"
        ours = Entry(f"{number.mean:.1f}{spread}", number.mean / number.factor, number.spread)
    if not printed:
        return [ours]
    known = Entry(MISSING) if number.published is None else Entry(f"{number.published:g}", number.published)
    apart = Entry(MISSING) if number.difference is None else Entry(f"{number.difference:+.1f}", number.difference)
    return [ours, known, apart]


def score_title(name: str) -> str:
    """A score's name as a heading."""
    domain, _, rest = name.partition("/")
    if name == "sum_miou":
        return "sum"
    if rest == "miou":
        return domain
    return f"{domain} {rest.removeprefix('iou/').replace('_', ' ')}" if rest else name


def verdicts(recipe: Recipe, found: Sequence[Number]) -> list[str]:
    """A sentence for each pair of rows that the recipe compares, in every column: of the sum, or of the first score."""
    sentences = []
    for column in recipe.columns:
        here = {(number.row, number.score): number for number in found if number.column == column}
        scores = list(dict.fromkeys(name for _, name in here))
        judged = "sum_miou" if "sum_miou" in scores else next(iter(scores), "")
        for ours, theirs in recipe.compare if judged else ():
            difference = paired_difference(here[ours, judged].values, here[theirs, judged].values)
            if difference is not None:
                titles = [recipe.rows[row].title or row for row in (ours, theirs)]
                where = recipe.columns[column].title or column
                what = "the sum of mIoU" if judged == "sum_miou" else score_title(judged)
                sentences.append(f"{where}: " * bool(where) + verdict(titles[0], titles[1], what, difference))
    return sentences
