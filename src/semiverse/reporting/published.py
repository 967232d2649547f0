"""Tables of publications: what ``semiverse reproduce`` left of one, as a table, verdicts and figures of the page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from semiverse.configuration.records import REMEDY, checked, record
from semiverse.data.images import read_image
from semiverse.files import DataProblem, read_json, value_of
from semiverse.reporting.figures import STYLE, Picture, line_color, line_style, picture_grid
from semiverse.reporting.runs import TABLE
from semiverse.reporting.tables import Table


class Published(NamedTuple):
    """Ours next to published numbers.

    ``title`` is what the table is called, ``names`` are titles of its rows and columns by the names of their folders,
    which runs are called by.
    """

    title: str
    table: Table
    verdicts: list[str]
    pictures: list[Picture]
    names: dict[str, str]


def read_published(places: Sequence[Path], images: int) -> tuple[list[Published], list[str]]:
    """The tables of those places that hold one, with up to so many pictures of clusters; and what cannot be read."""
    found: list[Published] = []
    problems: list[str] = []
    for folder in places:
        if not (folder / TABLE).is_file():
            continue
        try:
            values = _checked(read_json(folder / TABLE, "a table"), folder / TABLE)
            pictures, missing = cluster_pictures(folder, images)
            lines = [efficiency_picture(values)] if values["efficiency"] else []
            names = {name: title for part in ("columns", "rows") for name, title in values[part].items() if name}
            table = record(Table, values["table"], f"{folder / TABLE}: table")
            found.append(Published(values["title"], table, values["verdicts"], lines + pictures, names))
            problems += missing
        except ValueError as error:
            problems.append(
                f"{error}. It was left out, as damaged or of an earlier version: the same call of semiverse reproduce "
                "with --minutes 0 writes it anew."
            )
    return found, problems


NUMBER = {"column": str, "row": str, "score": str, "unit": str, "mean": float | None, "published": float | None}
"""What a table says of each of its numbers."""
PARTS = {"title": str, "efficiency": str, "columns": dict[str, str], "rows": dict[str, str], "verdicts": list[str]}
"""What it says of itself."""


def _checked(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a file of a table says, each part of which has its type.

    Raises:
        ValueError: If it has not.
    """
    hints: dict[str, Any] = PARTS | {"table": dict[str, Any]}
    if values.get("efficiency"):
        hints |= {"scores": dict[str, str], "numbers": list[dict[str, Any]]}
    for name, hint in hints.items():
        checked(values.get(name), hint, f"{path}: {name}")
    for i, number in enumerate(values["numbers"] if "numbers" in hints else ()):
        for name, hint in (NUMBER | {"seeds": dict[str, float]}).items():
            checked(number.get(name), hint, f"{path}: number {i}: {name}")
        if number["column"] not in values["columns"] or number["score"] not in values["scores"]:
            raise DataProblem(f"{path}: number {i} is of no column or no score", "those that it lists", REMEDY)
    return values


def efficiency_picture(values: Mapping[str, Any]) -> Picture:
    """A panel for each score of a table over its columns, which are label budgets; ours solid, published dashed."""
    scores: dict[str, list[Mapping[str, Any]]] = {}
    for number in values["numbers"]:
        if number["mean"] is not None or number["published"] is not None:
            scores.setdefault(number["score"], []).append(number)
    columns, rows = list(values["columns"]), _lines(values["rows"], chain.from_iterable(scores.values()))
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.4 * len(scores)), 3.4), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (score, known) in enumerate(scores.items()):
            axes = figure.add_subplot(1, len(scores), i + 1)
            axes.set(title=values["scores"][score], xlabel=values["efficiency"], ylabel=known[0]["unit"])
            axes.set_xticks(range(len(columns)), [values["columns"][column] for column in columns])
            drawn: list[dict[int, float]] = []  # numbers that stand in several rows make one line
            for j, row in enumerate(rows):
                title = values["rows"][row]
                mine = {columns.index(number["column"]): number for number in known if number["row"] == row}
                ours = {x: [*number["seeds"].values()] for x, number in sorted(mine.items()) if number["seeds"]}
                printed = {x: number["published"] for x, number in sorted(mine.items()) if number["published"]}
                look: dict[str, Any] = {"color": line_color(j), "marker": "o", "markersize": 4, "linewidth": 1.6}
                if ours:
                    ends = [*map(min, ours.values())], [*map(max, ours.values())]
                    axes.fill_between([*ours], *ends, color=line_color(j), alpha=0.18, linewidth=0)
                    (handles[title],) = axes.plot([*ours], [*map(mean, ours.values())], line_style(j), **look)
                if printed and printed not in drawn:
                    drawn.append(printed)
                    look |= {"markerfacecolor": "white", "linestyle": "--"}
                    (handles[f"{title}, published"],) = axes.plot([*printed], [*printed.values()], **look)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, fontsize=8)
    published = any(number["published"] is not None for numbers in scores.values() for number in numbers)
    caption = f"Label efficiency: {values['title']}. " + (
        "Solid: ours, means over seeds, bands reach from the lowest to the highest; dashed: as published."
        if published
        else "Means over seeds; bands reach from the lowest to the highest."
    )
    return Picture("published_label_efficiency", caption, figure)


def _lines(rows: Iterable[str], numbers: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows that have numbers at two budgets and more, which make lines; where none has, all that have some."""
    places: dict[str, set[str]] = {row: set() for row in rows}
    for number in numbers:
        if number["row"] in places:
            places[number["row"]].add(number["column"])
    several = [row for row, columns in places.items() if len(columns) > 1]
    return several or [row for row, columns in places.items() if columns]


def cluster_pictures(folder: Path, count: int) -> tuple[list[Picture], list[str]]:
    """Up to so many images of each run without labels, beside their clusters; and which are no longer there."""
    pictures: list[Picture] = []
    problems: list[str] = []
    for index in sorted((folder / "runs").rglob("clusters.json")) if count else ():
        rows, captions = [], []
        try:
            known = value_of(read_json(index, "clusters"), "images", dict, str(index))
        except ValueError as error:
            problems.append(str(error))
            continue
        for title, facts in [*known.items()][:count]:
            try:
                file = Path(value_of(facts, "file", str, f"{index}: {title}"))
                shown = [read_image(path) for path in (file, index.parent / f"{title}_overlay.jpg")]
            except (OSError, ValueError) as error:
                problems.append(f"No clusters of {title}: {error}")
                continue
            rows.append([image.permute(1, 2, 0) for image in shown])
            captions.append([title, f"{len(facts['clusters'])} clusters"])
        if rows:
            name = index.parent.relative_to(folder / "runs").as_posix()
            caption = f"Images and their clusters, {name}. Colours are arbitrary in each image."
            figure = picture_grid(rows, ["image", "clusters"], [], captions)
            pictures.append(Picture(f"clusters_{name}", caption, figure))
    return pictures, problems
