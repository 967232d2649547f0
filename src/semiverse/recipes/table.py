"""The table of a recipe: ours next to the published numbers, with the differences, and verdicts."""

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from semiverse.files import write_atomically
from semiverse.recipes.cells import Cell
from semiverse.recipes.recipe import Recipe
from semiverse.recipes.results import CellResult, result_of, score
from semiverse.reporting.tables import MISSING, WRITERS, Column, Entry, Row, Table, as_markdown, mark_best, word
from semiverse.reporting.verdicts import paired_difference, verdict

WIDE = 12
"""Up to so many numbers stand side by side; more stand below each other, a score a line."""
RELATIVE = "/relative"
"""Behind the name of a score: as a share of the same score of the row in the column that the recipe is relative to."""


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
    shares = ("covering", "rand", RELATIVE[1:])
    return "/iou/" in name or last.endswith(("miou", "accuracy", "calibration_error")) or last in shares


def numbers(recipe: Recipe, results: Mapping[tuple[str, str, int], CellResult]) -> list[Number]:
    """All numbers of a table, column group by column group: mIoU and its sum, if the recipe does not name others.

    Args:
        recipe: Of the table.
        results: By column, row and seed.
    """
    found = []
    for column in recipe.columns:
        known = [name for result in results.values() if result.column == column for name in result.scores]
        known += [name for printed in recipe.published.get(column, {}).values() for name in printed]
        mious = [name for name in dict.fromkeys(known) if name.endswith("/miou")]
        for row in recipe.rows:
            scored = {s: result for (c, r, s), result in results.items() if (c, r) == (column, row)}
            domains = [name for name in mious if "@" not in name]
            for name in recipe.scores or [*mious, *["sum_miou"] * (len(domains) > 1)]:
                ours = {seed: score(name, result.scores) for seed, result in scored.items()}
                values: dict[Hashable, float] = {seed: value for seed, value in ours.items() if value is not None}
                published = score(name, recipe.published.get(column, {}).get(row, {}), fewest=2)
                found.append(Number(column, row, name, values, published))
    return found if recipe.relative_to is None else [*found, *_relative(found, recipe.relative_to)]


def _relative(found: Sequence[Number], reference: str) -> list[Number]:
    """Numbers of other columns over those of the same row and score in the column of reference.

    Ours over the mean of seeds there, so that their mean is the ratio of the means, as the papers print it.
    """
    whole = {(number.row, number.score): number for number in found if number.column == reference}
    relative = []
    for number in found:
        full = whole.get((number.row, number.score))
        if number.column != reference and full is not None:
            values = {seed: full.factor * value / full.mean for seed, value in number.values.items() if full.mean}
            published = None
            if number.published is not None and full.published:
                published = round(100 * number.published / full.published, 1)  # as papers print it
            relative.append(Number(number.column, number.row, number.score + RELATIVE, values, published))
    return relative


def _table(recipe: Recipe, found: Sequence[Number], notes: Sequence[str]) -> Table:
    """The table as people read it: a line a row of each column group, or a line a score where these are many.

    Rows of which nothing is known, ours or published, are left out; they come back as they are run.
    """
    scores = sorted(dict.fromkeys(number.score for number in found), key=lambda name: name == "sum_miou")
    printed = {number.score for number in found if number.published is not None}
    wide = len(scores) + 2 * len(printed) <= WIDE
    columns = [Column("method", "row"), *[Column("setting", "column")] * (len(recipe.columns) > 1)]
    if wide:
        columns += [c for name in scores for c in _columns(score_title(name), name, f"{name}_", name in printed)]
    else:
        columns += [Column("score", "score"), *_columns("ours", "ours", "", bool(printed))]
    source = f" ({recipe.source})" if recipe.source else ""
    result = Table("table", f"{recipe.title}{source}.", columns, notes=list(notes))
    for column, part in recipe.columns.items():
        lines = []
        for row in recipe.rows:
            mine = {number.score: number for number in found if (number.column, number.row) == (column, row)}
            head = [word(recipe.rows[row].title or row), *[word(part.title or column)] * (len(recipe.columns) > 1)]
            if not any(number.values or number.published is not None for number in mine.values()):
                continue
            if wide:
                lines.append(Row([*head, *(e for name in scores for e in _entries(mine.get(name), name in printed))]))
            else:
                lines += [Row([*head, word(score_title(k)), *_entries(n, bool(printed))]) for k, n in mine.items()]
        for i, heading in enumerate(columns):
            if wide and heading.key in scores and is_share(heading.key) and not heading.key.endswith("error"):
                mark_best([line.cells[i] for line in lines])
        result.rows += lines
    return result


def _columns(title: str, key: str, prefix: str, printed: bool) -> list[Column]:
    """Those of a score: ours, and if anything was published of it, that and the difference."""
    further = [Column("published", f"{prefix}published"), Column("difference", f"{prefix}difference")]
    return [Column(title, key), *further * printed]


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
    if name.endswith(RELATIVE):
        return f"{score_title(name.removesuffix(RELATIVE))} relative"
    if name == "sum_miou":
        return "sum"
    if rest == "miou":
        return domain
    return f"{domain} {rest.removeprefix('iou/').replace('_', ' ')}" if rest else name


def _verdicts(recipe: Recipe, found: Sequence[Number]) -> list[str]:
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


def write_table(
    recipe: Recipe, every: Sequence[Cell], known: Sequence[CellResult], folder: Path, problems: Sequence[str]
) -> str:
    """Write the table of all results that there are; returns it as text, with verdicts and what is missing."""
    scored = {(cell.column, cell.row, cell.seed): result_of(cell, known) for cell in every}
    present = {key: result for key, result in scored.items() if result is not None}
    found = numbers(recipe, present)
    notes = [f"{len(present)} of {len(every)} runs are done."] if len(present) < len(every) else []
    notes += [*_hardware(present.values()), *problems, *recipe.reasons]
    made, sentences = _table(recipe, found, notes), _verdicts(recipe, found)
    for ending, as_text in WRITERS.items():
        write_atomically(folder / f"table.{ending}", as_text(made))
    values = {
        "recipe": recipe.name,
        "title": recipe.title,
        "source": recipe.source,
        "numbers": [number.as_values() for number in found],
        "rows": {row: part.title or row for row, part in recipe.rows.items()},
        "columns": {column: part.title or column for column, part in recipe.columns.items()},
        "scores": {name: score_title(name) for name in dict.fromkeys(number.score for number in found)},
        "efficiency": recipe.efficiency,
        "table": asdict(made),
        "verdicts": sentences,
        "notes": notes,
    }
    write_atomically(folder / "table.json", json.dumps(values, indent=1) + "\n")
    return "\n".join([made.caption, "", as_markdown(made), *sentences, f"\ntable: {folder / 'table.md'}"])


def _hardware(present: Collection[CellResult]) -> list[str]:
    """What the results were computed on, in a sentence."""
    facts = [result.environment for result in present]
    places = dict.fromkeys(", ".join(f.get("accelerators") or [str(f.get("processor"))]) for f in facts)
    seconds = [result.seconds for result in present if result.seconds is not None]
    range_of = dict.fromkeys(f"{end(seconds):.0f}" for end in (min, max)) if seconds else {}
    spent = f", {' to '.join(range_of)} seconds a run" * bool(seconds)
    return [f"Run on {' and '.join(places)}{spent}."] if places else []
