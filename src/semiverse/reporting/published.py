"""Tables of publications: what ``semiverse reproduce`` left of one, as a table, verdicts and figures of the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from semiverse.data.images import read_image
from semiverse.reporting.figures import STYLE, Picture, line_color, line_style, picture_grid
from semiverse.reporting.runs import TABLE
from semiverse.reporting.tables import Column, Entry, Row, Table


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
            values = json.loads((folder / TABLE).read_text(encoding="utf-8"))
            pictures, missing = cluster_pictures(folder, images)
            lines = [efficiency_picture(values)] if values["efficiency"] else []
            names = {name: title for part in ("columns", "rows") for name, title in values[part].items() if name}
            table = _table(values["table"])
            found.append(Published(values["title"], table, values["verdicts"], lines + pictures, names))
            problems += missing
        except (ValueError, TypeError, KeyError) as error:
            problems.append(
                f"{folder / TABLE} is damaged or of an earlier version ({error!r}) and was left out: the same call of "
                "semiverse reproduce with --minutes 0 writes it anew."
            )
    return found, problems


def _table(values: Mapping[str, Any]) -> Table:
    rows = [Row([Entry(**cell) for cell in row["cells"]], row["member"]) for row in values["rows"]]
    columns = [Column(**column) for column in values["columns"]]
    return Table(values["name"], values["caption"], columns, rows, values["notes"])


def efficiency_picture(values: Mapping[str, Any]) -> Picture:
    """A panel for each score of a table over its columns, which are label budgets; ours solid, published dashed."""
    scores: dict[str, list[Mapping[str, Any]]] = {}
    for number in values["numbers"]:
        if number["mean"] is not None or number["published"] is not None:
            scores.setdefault(number["score"], []).append(number)
    columns = list(values["columns"])
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.4 * len(scores)), 3.4), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (score, known) in enumerate(scores.items()):
            axes = figure.add_subplot(1, len(scores), i + 1)
            axes.set(title=values["scores"][score], xlabel=values["efficiency"], ylabel=known[0]["unit"])
            axes.set_xticks(range(len(columns)), [values["columns"][column] for column in columns])
            drawn: list[dict[int, float]] = []  # numbers that stand in several rows make one line
            for j, (row, title) in enumerate(values["rows"].items()):
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
    caption = (
        f"Label efficiency: {values['title']}. Solid: ours, means over seeds, bands reach from the lowest to the "
        "highest; dashed: as published."
    )
    return Picture("published_label_efficiency", caption, figure)


def cluster_pictures(folder: Path, count: int) -> tuple[list[Picture], list[str]]:
    """Up to so many images of each run without labels, beside their clusters; and which are no longer there."""
    pictures: list[Picture] = []
    problems: list[str] = []
    for index in sorted((folder / "runs").rglob("clusters.json")) if count else ():
        rows, captions = [], []
        for title, facts in [*json.loads(index.read_text(encoding="utf-8"))["images"].items()][:count]:
            try:
                shown = [read_image(path) for path in (Path(facts["file"]), index.parent / f"{title}_overlay.jpg")]
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
