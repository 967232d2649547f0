"""Tables, and how they are written: CSV for programs, Markdown and LaTeX for texts."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from semiverse.labels import Color

MISSING = "\N{EN DASH}"
DAGGER = "†"
"""Marks scores of a validation during training, where a run was never evaluated."""


@dataclass
class Entry:
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

    cells: list[Entry]
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


def word(text: str, color: Color | None = None) -> Entry:
    """An entry that is the same to people and to programs."""
    return Entry(text, text, color=color)


def mark_best(cells: Sequence[Entry], lowest: bool = False) -> None:
    """Mark the highest values, never zero, or the lowest: of evaluations, if there are any.

    Equal digits are equally good, and one value is not the best of anything.
    """
    scored = [cell for cell in cells if isinstance(cell.value, float)]
    rivals = [cell for cell in scored if not cell.marked] or scored
    values = [round(float(cell.value or 0.0), 3) for cell in rivals]
    for cell, value in zip(rivals, values, strict=True):
        cell.best = len(rivals) > 1 and (value == min(values) if lowest else value == max(values) > 0)


def percent_cell(values: Sequence[float], marked: bool = False) -> Entry:
    """Mean and standard deviation of shares in [0, 1], shown in percent; of one value, the value."""
    if not values:
        return Entry(MISSING)
    center, spread = mean(values), stdev(values) if len(values) > 1 else None
    behind = "" if spread is None else f" ± {100 * spread:.1f}"
    return Entry(f"{100 * center:.1f}{behind}", center, spread, marked=marked)


def in_words(words: Iterable[str]) -> str:
    """Words with commas and "and"."""
    words = list(words)
    return " and ".join([*filter(None, [", ".join(words[:-1])]), *words[-1:]])


def as_csv(table: Table) -> str:
    """Values unrounded under one-word names; a column of spreads follows where there are repetitions."""
    spread = [any(row.cells[i].spread is not None for row in table.rows) for i in range(len(table.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    pairs = zip(table.columns, spread, strict=True)
    writer.writerow([name for c, several in pairs for name in [c.key, f"{c.key}_spread"][: 1 + several]])
    for row in table.rows:
        line: list[float | str | None] = []
        for cell, several in zip(row.cells, spread, strict=True):
            line += [cell.value, cell.spread][: 1 + several]
        writer.writerow([round(v, 6) if isinstance(v, float) else "" if v is None else v for v in line])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown, the best in bold."""
    heading, *rows = _texts(table, lambda word: word.replace("|", "\\|"), "**{}**", "&nbsp;&nbsp;")
    lines = [heading, ["---", *["---:"] * (len(table.columns) - 1)], *rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), *(f"\n{note}" for note in table.notes)]) + "\n"


def as_latex(table: Table) -> str:
    """A tabular for the booktabs package, the best in bold."""
    special: dict[str, str | int | None] = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"±": r"$\pm$", DAGGER: r"$^\dagger$", MISSING: "--"}
    lines = _texts(table, lambda text: text.translate(str.maketrans(special)), r"\textbf{{{}}}", r"\quad ")
    heading, *rows = (" & ".join(line) + r" \\" for line in lines)
    comments = [f"% {line}" for line in [table.caption, *table.notes]]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}"
    end = [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join([*comments, begin, r"\toprule", heading, r"\midrule", *rows, *end])


def _texts(table: Table, escape: Callable[[str], str], bold: str, indent: str) -> list[list[str]]:
    """Headings and rows as people read them; the best are bold, and repetitions are indented."""
    lines = [[escape(column.heading) for column in table.columns]]
    for row in table.rows:
        words = [bold.format(escape(cell.shown)) if cell.best else escape(cell.shown) for cell in row.cells]
        lines.append([indent * row.member + words[0], *words[1:]])
    return lines


WRITERS: Mapping[str, Callable[[Table], str]] = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
"""How tables are written, by the ending of the file."""
