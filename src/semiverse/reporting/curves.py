"""Curves: what trainings recorded, shown as their methods say, and scores over the number of labelled images."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import chain, product
from statistics import mean
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from semiverse.methods.method import Curve
from semiverse.reporting.figures import LINES, STYLE, Picture, line_color, line_style
from semiverse.reporting.runs import Protocol, RunFacts, manner_of_scoring
from semiverse.reporting.scores import protocols
from semiverse.reporting.settings import Setting, alike, common_name, without_seeds

SINCE = "means since the previous validation"
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
        pictures.append(_recorded_picture(name, members, curve, settings))
    pace = {"learning_rate": ("Learning rate", "learning rate"), "images_per_second": ("Speed", "images per second")}
    panels = {title: _lines(settings, key) for key, (title, _) in pace.items() if key in columns}
    figure = _panels(panels, Curve("", ""), dict(pace.values())) if panels else None
    return [*pictures, Picture("pace", "Learning rate and speed.", figure)] if figure else pictures


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
    panels: dict[str, list[Line]] = defaultdict(list)
    for front in fronts:
        for column in sorted(column for column in columns if column.startswith(f"{front}/")):
            manner = manner_of_scoring(column.removeprefix(f"{front}/"))
            if manner is not None:
                further = bool(panels[front])
                panels[front] += _lines(settings, column, f" by {manner}" * further, "--" * further)
    caption = "Validation during training: mean intersection over union."
    figure = _panels(panels, Curve("", "mIoU in %", factor=100)) if panels else None
    return [Picture("validation_miou", caption, figure)] if figure else []


def _recorded_picture(
    name: str, members: Mapping[Recorded, Collection[str]], curve: Curve, settings: Sequence[Setting]
) -> Picture:
    """A panel a front, a line a setting, of what is read together several; by class a panel a setting, a line a class.

    Args:
        name: Of the picture.
        members: What it shows, and the names of the settings that recorded it.
        curve: How to show it.
        settings: All of them.
    """
    panels: dict[str, list[Line]] = defaultdict(list)
    caption = curve.title if curve.panel else f"{curve.title}; {SINCE}"
    if curve.by_class:
        caption = f"{curve.title}, by class of {next(iter(members)).front}; {SINCE}"
        for setting in settings:
            for i, (one, names) in enumerate(members.items()):
                if setting.name in names:
                    line = Line(one.title, one.column, setting.runs, line_style(i), line_color(i))
                    panels[setting.name].append(line)
    else:
        legends = list(dict.fromkeys(one.curve.legend for one in members))
        for one, names in members.items():
            style = LINES[legends.index(one.curve.legend) % len(LINES)] if curve.panel else ""
            panels[one.front] += _lines(settings, one.column, one.curve.legend, style, names)
    return Picture(name, f"{caption}.", _panels(panels, curve))


def _lines(
    settings: Sequence[Setting], column: str, suffix: str = "", style: str = "", names: Collection[str] | None = None
) -> list[Line]:
    """One line a setting, of these names alone if there are any; beyond eight settings the line styles change."""
    return [
        Line(s.name + suffix, column, s.runs, style or line_style(i), line_color(i))
        for i, s in enumerate(settings)
        if names is None or s.name in names
    ]


def _panels(panels: Mapping[str, Sequence[Line]], curve: Curve, units: Mapping[str, str] | None = None) -> Figure:
    """A figure with a panel for each title, all with the scale and factor of a curve, and its unit if not their own."""
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2 if across > 1 else 4.6, 2.6 * down + 0.35), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (title, lines) in enumerate(panels.items()):
            axes = figure.add_subplot(down, across, i + 1)
            axes.set(title=title, xlabel="training steps", ylabel=(units or {}).get(title, curve.unit))
            for line, run in chain.from_iterable(product([drawn], drawn.runs) for drawn in lines):
                points = [(row["step"], curve.factor * row[line.column]) for row in run.rows if line.column in row]
                if points:
                    steps, values = zip(*points, strict=True)
                    marker = "o" if len(points) < 2 else None  # one point makes no line
                    look = partial(axes.plot, color=line.color, linewidth=1.6, marker=marker, alpha=0.9)
                    handles.setdefault(line.legend, look(steps, values, line.style)[0])
            axes.margins(x=0.02)
            if curve.scale == "whole":
                axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            elif curve.scale == "log":
                axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
                axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            if curve.scale != "linear":
                axes.set_ylim(bottom=0)
        columns = min(4, len(handles) or 1)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def budget_lines(settings: Sequence[Setting]) -> dict[str, list[RunFacts]]:
    """Runs that differ only in label budgets and seeds, by a name for them; none where no group has two budgets."""

    def values(run: RunFacts) -> dict[str, Any]:
        config = without_seeds(run.config)
        for domain in config["data"]["domains"].values():
            for key in ("labeled", "labeled_list"):
                domain.pop(key, None)
        return config

    several = alike([run for setting in settings for run in setting.runs], values)
    if all(len({tuple(map(len, run.labeled.values())) for run in runs}) == 1 for runs in several):
        return {}
    for title in (common_name, _common_parts, lambda runs: runs[0].method):
        named = {title(runs): runs for runs in several}
        if all(named) and len(named) == len(several):
            return named
    return {f"like {runs[0].name}" if len(runs) > 1 else runs[0].name: runs for runs in several}


def _common_parts(runs: Sequence[RunFacts]) -> str:
    """Folders that the names of all runs have in common: what is left of BUDGET/METHOD/SEED is the method."""
    first, *others = [run.name.split("/") for run in runs]
    return "/".join(part for part in first if all(part in other for other in others))


def budget_points(
    runs: Sequence[RunFacts], members: Sequence[Protocol], domains: Sequence[str]
) -> dict[int, list[float]]:
    """Sums of mIoU over protocols, in [0, 1] each, by the number of labelled images of some domains."""
    found: dict[int, list[float]] = {}
    for run in runs:
        count, total = sum(len(run.labeled.get(domain, ())) for domain in domains), run.total(members)
        if count and total is not None and (run.finished or not any(run.validated(members))):
            found.setdefault(count, []).append(total)
    return dict(sorted(found.items()))


def efficiency_pictures(settings: Sequence[Setting]) -> list[Picture]:
    """A panel for each domain and one for the sum, a line a method with its range over seeds.

    A domain whose budget never changes is drawn over the labelled images of all domains. None where runs do not differ
    in their budgets, or have no scores.
    """
    drawn, manners = budget_lines(settings), protocols(settings)
    if not drawn or not manners:
        return []
    runs = [run for line in drawn.values() for run in line]
    members = next(iter(manners.values()))
    chosen = [(protocol.domain, [protocol]) for protocol in members]
    chosen += [("sum over domains", members)] if len(members) > 1 else []
    panels = []
    for title, parts in chosen:
        several = len(parts) == 1 and len({len(run.labeled.get(title, ())) for run in runs}) > 1
        domains = [title] if several else list(dict.fromkeys(domain for run in runs for domain in run.domains))
        titles = {
            "title": title,
            "xlabel": "labelled images" + " of all domains" * (len(domains) > 1),
            "ylabel": "mIoU in %" if len(parts) == 1 else "sum of mIoU in points",
        }
        panels.append((titles, {name: budget_points(line, parts, domains) for name, line in drawn.items()}))
    if not any(len(curve) > 1 for _, curves in panels for curve in curves.values()):
        return []
    caption = (
        "Label efficiency: mean intersection over union by the number of labelled images. Lines are means over seeds, "
        "bands reach from the lowest to the highest."
    )
    return [Picture("label_efficiency", caption, _efficiency_figure(panels))]


def _efficiency_figure(panels: Sequence[tuple[dict[str, str], dict[str, dict[int, list[float]]]]]) -> Figure:
    """Means over seeds as lines, smallest to largest as bands: a panel for titles and the points of every line."""
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.4 * len(panels)), 3.1), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (titles, curves) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), i + 1)
            axes.set(**titles)
            for j, (name, curve) in enumerate(curves.items()):
                if curve:
                    look: dict[str, Any] = {"color": line_color(j), "marker": "o", "markersize": 4, "linewidth": 1.6}
                    scores = [[100 * value for value in values] for values in curve.values()]
                    ends = [*map(min, scores)], [*map(max, scores)]
                    axes.fill_between([*curve], *ends, color=line_color(j), alpha=0.18, linewidth=0)
                    handles.setdefault(name, axes.plot([*curve], [*map(mean, scores)], line_style(j), **look)[0])
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(FixedLocator(sorted({count for curve in curves.values() for count in curve})))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
    return figure
