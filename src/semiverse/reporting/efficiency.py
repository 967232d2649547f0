"""Label efficiency: scores over the number of labelled images."""

from collections.abc import Sequence
from statistics import mean
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from semiverse.reporting.figures import STYLE, Picture, line_color, line_style
from semiverse.reporting.runs import Protocol, RunFacts, Setting, alike, common_name, without_seeds
from semiverse.reporting.scores import protocols

BUDGET = ("labeled", "labeled_list")


class BudgetLine(NamedTuple):
    """Runs that differ only in label budgets and seeds."""

    name: str
    runs: list[RunFacts]


def lines(settings: Sequence[Setting]) -> list[BudgetLine]:
    """Runs in groups that differ only in label budgets and seeds; none where no group has two budgets."""

    def values(run: RunFacts) -> dict[str, Any]:
        config = without_seeds(run.config)
        for domain in config["data"]["domains"].values():
            for key in BUDGET:
                domain.pop(key, None)
        return config

    several = alike([run for setting in settings for run in setting.runs], values)
    if all(len({tuple(map(len, run.labeled.values())) for run in runs}) == 1 for runs in several):
        return []
    for title in (common_name, _common_parts, lambda runs: runs[0].method):
        names = [title(runs) for runs in several]
        if all(names) and len(set(names)) == len(names):
            return [BudgetLine(name, runs) for name, runs in zip(names, several, strict=True)]
    return [BudgetLine(f"like {runs[0].name}" if len(runs) > 1 else runs[0].name, runs) for runs in several]


def _common_parts(runs: Sequence[RunFacts]) -> str:
    """Folders that the names of all runs have in common: what is left of BUDGET/METHOD/SEED is the method."""
    first, *others = [run.name.split("/") for run in runs]
    return "/".join(part for part in first if all(part in other for other in others))


def points(line: BudgetLine, members: Sequence[Protocol], domains: Sequence[str]) -> dict[int, list[float]]:
    """Sums of mIoU over protocols, in [0, 1] each, by the number of labelled images of some domains."""
    found: dict[int, list[float]] = {}
    for run in line.runs:
        count, total = sum(len(run.labeled.get(domain, ())) for domain in domains), run.total(members)
        if count and total is not None and (run.finished or not any(run.validated(members))):
            found.setdefault(count, []).append(total)
    return dict(sorted(found.items()))


class BudgetPanel(NamedTuple):
    """A panel: its title, what is summed, whose labelled images are counted, and the points of every line."""

    title: str
    members: Sequence[Protocol]
    domains: Sequence[str]
    curves: Sequence[dict[int, list[float]]]


def efficiency_pictures(settings: Sequence[Setting]) -> list[Picture]:
    """A panel for each domain and one for the sum, a line a method with its range over seeds.

    A domain whose budget never changes is drawn over the labelled images of all domains. None where runs do not differ
    in their budgets, or have no scores.
    """
    drawn, manners = lines(settings), protocols(settings)
    if not drawn or not manners:
        return []
    runs = [run for line in drawn for run in line.runs]
    everywhere = list(dict.fromkeys(domain for run in runs for domain in run.domains))
    members = next(iter(manners.values()))
    chosen = [(protocol.domain, [protocol]) for protocol in members]
    chosen += [("sum over domains", members)] if len(members) > 1 else []
    panels = []
    for title, parts in chosen:
        several = len(parts) == 1 and len({len(run.labeled.get(title, ())) for run in runs}) > 1
        domains = [title] if several else everywhere
        panels.append(BudgetPanel(title, parts, domains, [points(line, parts, domains) for line in drawn]))
    if not any(len(curve) > 1 for panel in panels for curve in panel.curves):
        return []
    caption = (
        "Label efficiency: mean intersection over union by the number of labelled images. Lines are means over seeds, "
        "bands reach from the lowest to the highest."
    )
    return [Picture("label_efficiency", caption, _figure(drawn, panels))]


def _figure(drawn: Sequence[BudgetLine], panels: Sequence[BudgetPanel]) -> Figure:
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.4 * len(panels)), 3.1), layout="constrained")
        handles: dict[str, Line2D] = {}
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), i + 1)
            axes.set(title=panel.title, xlabel="labelled images" + " of all domains" * (len(panel.domains) > 1))
            axes.set_ylabel("mIoU in %" if len(panel.members) == 1 else "sum of mIoU in points")
            for j, (line, curve) in enumerate(zip(drawn, panel.curves, strict=True)):
                if curve:
                    handles.setdefault(line.name, _plot(axes, curve, j))
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_locator(FixedLocator(sorted({count for curve in panel.curves for count in curve})))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _plot(axes: Axes, curve: dict[int, list[float]], position: int) -> Line2D:
    """Mean over seeds as a line, smallest to largest as a band."""
    color, style = line_color(position), line_style(position)
    counts, scores = list(curve), [[100 * value for value in values] for values in curve.values()]
    axes.fill_between(counts, [*map(min, scores)], [*map(max, scores)], color=color, alpha=0.18, linewidth=0)
    return axes.plot(counts, [*map(mean, scores)], style, color=color, marker="o", markersize=4, linewidth=1.6)[0]
