"""What trainings recorded in metrics.csv, as their methods say that it is shown."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from semiverse.methods.method import Curve
from semiverse.reporting.figures import LINES, STYLE, Picture, line_color, line_style
from semiverse.reporting.runs import RunFacts, Setting, manner_of_scoring

SINCE = "means since the previous validation"
PLAIN = Curve("", "")
LINEAR_BELOW = 0.1
"""Where a logarithmic scale turns linear, to reach zero."""


class Line(NamedTuple):
    """Legend, column of metrics.csv, runs, line style, colour."""

    legend: str
    column: str
    runs: Sequence[RunFacts]
    style: str
    color: str


class Recorded(NamedTuple):
    """A column of metrics.csv: what stands before its name (a domain, a level), its name, its class, how to show it."""

    column: str
    front: str
    name: str
    title: str
    curve: Curve


def curve_pictures(settings: Sequence[Setting]) -> list[Picture]:
    """A figure for whatever was recorded, a panel for each front of its columns, all runs overlaid."""
    columns = dict.fromkeys(column for setting in settings for column in setting.columns)
    found = _recorded(settings)
    domains = [domain for setting in settings for run in setting.runs for domain in run.domains]
    fronts = list(dict.fromkeys([*domains, *(one.front for one in found)]))
    pictures = _score_pictures(settings, [*columns], fronts)
    figures: dict[tuple[str, str], dict[Recorded, list[str]]] = {}
    for one in sorted(found, key=lambda one: fronts.index(one.front)):
        name = f"{one.name}_{one.front}" if one.curve.by_class else one.curve.panel or f"loss_{one.name}"
        figures.setdefault((name, one.curve.title), {})[one] = found[one]
    drawn = [(name, members, next(iter(members)).curve) for (name, _), members in figures.items()]
    for name, members, curve in sorted(drawn, key=lambda one: 0 if one[2].panel else 2 - one[2].by_class):
        pictures.append(
            _class_picture(name, members, settings) if curve.by_class else _term_picture(name, members, settings)
        )
    pace = {"learning_rate": ("Learning rate", "learning rate"), "images_per_second": ("Speed", "images per second")}
    panels = {title: (_lines(settings, key), unit) for key, (title, unit) in pace.items() if key in columns}
    return [*pictures, Picture("pace", "Learning rate and speed.", _panels(panels))] if panels else pictures


def _recorded(settings: Sequence[Setting]) -> dict[Recorded, list[str]]:
    """What methods recorded, and the names of the settings that did.

    What is not declared has the name of its column as its title; a run that declares nothing at all has the titles of
    the others.
    """
    everyones = {name: curve for s in settings for name, curve in (s.declared.records if s.declared else {}).items()}
    found: dict[Recorded, list[str]] = {}
    for setting in settings:
        records = everyones if setting.declared is None else setting.declared.records
        for column in setting.columns:
            front, _, rest = column.partition("/")
            name, _, title = rest.partition("/")
            curve = records.get(name)
            if curve is None or curve.by_class != bool(title):
                name, title, curve = rest, "", records.get(rest, Curve(rest.replace("_", " "), "as recorded"))
            if rest and manner_of_scoring(rest) is None:
                found.setdefault(Recorded(column, front, name, title, curve), []).append(setting.name)
    return found


def _score_pictures(settings: Sequence[Setting], columns: Sequence[str], fronts: Sequence[str]) -> list[Picture]:
    """The mIoU of every validation: that of the decoder solid, that of other manners of scoring dashed."""
    panels: dict[str, tuple[list[Line], str]] = {}
    for front in fronts:
        for column in sorted(column for column in columns if column.startswith(f"{front}/")):
            manner = manner_of_scoring(column.removeprefix(f"{front}/"))
            if manner is not None:
                lines = panels.setdefault(front, ([], "mIoU in %"))[0]
                lines += _lines(settings, column, f" by {manner}" * bool(lines), "--" * bool(lines))
    caption = "Validation during training: mean intersection over union."
    return [Picture("validation_miou", caption, _panels(panels, PLAIN._replace(factor=100)))] if panels else []


def _term_picture(name: str, members: Mapping[Recorded, Collection[str]], settings: Sequence[Setting]) -> Picture:
    """A panel a front, a line a setting; of what is read together several."""
    curve, panels = next(iter(members)).curve, {}  # type: tuple[Curve, dict[str, tuple[list[Line], str]]]
    legends = list(dict.fromkeys(one.curve.legend for one in members))
    for one, names in members.items():
        style = LINES[legends.index(one.curve.legend) % len(LINES)] if curve.panel else ""
        lines = _lines(settings, one.column, one.curve.legend, style, names)
        panels.setdefault(one.front, ([], curve.unit))[0].extend(lines)
    return Picture(name, f"{curve.title}." if curve.panel else f"{curve.title}; {SINCE}.", _panels(panels, curve))


def _class_picture(name: str, members: Mapping[Recorded, Collection[str]], settings: Sequence[Setting]) -> Picture:
    """A panel a setting, a line a class."""
    curve, front = next((one.curve, one.front) for one in members)
    panels: dict[str, tuple[list[Line], str]] = {}
    for setting in settings:
        for i, (one, names) in enumerate(members.items()):
            if setting.name in names:
                style, color = line_style(i), line_color(i)
                line = Line(one.title, one.column, setting.runs, style, color)
                panels.setdefault(setting.name, ([], curve.unit))[0].append(line)
    return Picture(name, f"{curve.title}, by class of {front}; {SINCE}.", _panels(panels, curve))


def _lines(
    settings: Sequence[Setting], column: str, suffix: str = "", style: str = "", names: Collection[str] | None = None
) -> list[Line]:
    """One line a setting, of these names alone if there are any; beyond eight settings the line styles change."""
    return [
        Line(s.name + suffix, column, s.runs, style or line_style(i), line_color(i))
        for i, s in enumerate(settings)
        if names is None or s.name in names
    ]


def _panels(panels: Mapping[str, tuple[Sequence[Line], str]], curve: Curve = PLAIN) -> Figure:
    """A figure with a panel for each title: lines and unit; all with the scale and factor of a curve."""
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2 if across > 1 else 4.6, 2.6 * down + 0.35), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (title, (lines, unit)) in enumerate(panels.items()):
            axes = figure.add_subplot(down, across, i + 1)
            axes.set(title=title, xlabel="training steps", ylabel=unit)
            for line in lines:
                _plot(axes, line, curve.factor, handles)
            _set_scale(axes, curve)
        columns = min(4, len(handles) or 1)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def _set_scale(axes: Axes, curve: Curve) -> None:
    if curve.scale == "whole":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    elif curve.scale == "log":
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if curve.scale != "linear":
        axes.set_ylim(bottom=0)


def _plot(axes: Axes, line: Line, factor: float, handles: dict[str, Artist]) -> None:
    for run in line.runs:
        points = [(row["step"], factor * row[line.column]) for row in run.rows if line.column in row]
        if points:
            steps, values = zip(*points, strict=True)
            marker = "o" if len(points) < 2 else None  # one point makes no line
            drawn = axes.plot(steps, values, line.style, color=line.color, linewidth=1.6, marker=marker, alpha=0.9)
            handles.setdefault(line.legend, drawn[0])
    axes.margins(x=0.02)
