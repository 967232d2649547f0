"""Tables, and how they are written: CSV for programs, Markdown and LaTeX for texts."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from semiverse.labels import Color

MISSING = "\N{EN DASH}"
DAGGER = "†"
"""Marks scores of a validation during training, where a run was never evaluated."""


@dataclass
class Cell:
    """One entry.

    Args:
        text: As people read it.
        value: As programs read it: unrounded, scores in [0, 1]; None: nothing to tell.
        spread: Standard deviation over repetitions; None for a single run.
        marked: Bears a dagger.
        best: The best of those it is compared with.
        color: Of the class that it names.
    """

    text: str
    value: float | str | None = None
    spread: float | None = None
    marked: bool = False
    best: bool = False
    color: Color | None = None

    @property
    def shown(self) -> str:
        """Text with its mark."""
        return self.text + DAGGER * self.marked


@dataclass
class Column:
    """A column: what people read above it, in two lines, and what programs do."""

    title: str
    key: str
    detail: str = ""

    @property
    def heading(self) -> str:
        """Both lines in one."""
        return f"{self.title} ({self.detail})" if self.detail else self.title


@dataclass
class Row:
    """Cells from left to right; a member is one repetition of the row above it, left out of the comparison."""

    cells: list[Cell]
    member: bool = False


@dataclass
class Table:
    """A table.

    Args:
        name: Of its files.
        caption: What it shows, with units.
        columns: From left to right; the first names the row.
        rows: From top to bottom.
        notes: Sentences below it.
    """

    name: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def mark_best(cells: Sequence[Cell]) -> None:
    """Mark the highest values: of evaluations, if there are any; equal digits are equally good, zero never is."""
    scored = [cell for cell in cells if isinstance(cell.value, float)]
    rivals = [cell for cell in scored if not cell.marked] or scored
    values = [round(float(cell.value or 0.0), 3) for cell in rivals]
    for cell, value in zip(rivals, values, strict=True):
        cell.best = value == max(values) > 0 and len(rivals) > 1


def percent_cell(values: Sequence[float], marked: bool = False) -> Cell:
    """Mean and standard deviation of shares in [0, 1], shown in percent; of one value, the value."""
    if not values:
        return Cell(MISSING)
    if len(values) == 1:
        return Cell(f"{100 * values[0]:.1f}", values[0], marked=marked)
    center, spread = mean(values), stdev(values)
    return Cell(f"{100 * center:.1f} ± {100 * spread:.1f}", center, spread, marked=marked)


def as_csv(table: Table) -> str:
    """Values unrounded under one-word names; a column of spreads follows where there are repetitions."""
    spread = [any(row.cells[i].spread is not None for row in table.rows) for i in range(len(table.columns))]
    header = [
        name
        for i, column in enumerate(table.columns)
        for name in ([column.key, f"{column.key}_spread"] if spread[i] else [column.key])
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        line: list[float | str | None] = []
        for cell, has_spread in zip(row.cells, spread, strict=True):
            line += [cell.value, cell.spread] if has_spread else [cell.value]
        writer.writerow([round(v, 6) if isinstance(v, float) else "" if v is None else v for v in line])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown, the best in bold."""

    def line(words: Sequence[str]) -> str:
        return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"

    rule = ["---", *["---:"] * (len(table.columns) - 1)]
    rows = [
        line([("&nbsp;&nbsp;" if row.member and not i else "") + _bold(c, "**{}**") for i, c in enumerate(row.cells)])
        for row in table.rows
    ]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([line([column.heading for column in table.columns]), line(rule), *rows, *notes]) + "\n"


def as_latex(table: Table) -> str:
    """A tabular for the booktabs package, the best in bold."""
    rows = [
        " & ".join(
            (r"\quad " if row.member and not i else "") + _bold(Cell(_escaped(c.shown), best=c.best), r"\textbf{{{}}}")
            for i, c in enumerate(row.cells)
        )
        for row in table.rows
    ]
    return "\n".join(
        [
            *(f"% {line}" for line in [table.caption, *table.notes]),
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            " & ".join(_escaped(column.heading) for column in table.columns) + r" \\",
            r"\midrule",
            *(rf"{row} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _bold(cell: Cell, pattern: str) -> str:
    return pattern.format(cell.shown) if cell.best else cell.shown


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    special |= {"±": r"$\pm$", DAGGER: r"$^\dagger$", MISSING: "--"}
    return "".join(special.get(sign, sign) for sign in text)
