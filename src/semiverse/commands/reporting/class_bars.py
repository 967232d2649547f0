"""Intersection over union of classes beside how often they occur."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from semiverse.commands.reporting.figures import COLORS, STYLE
from semiverse.commands.reporting.tables import MISSING


class ClassScores(NamedTuple):
    """Scores of a setting: name, and intersection over union by class of each of its runs."""

    name: str
    ious: Sequence[Mapping[str, float | None]]


def class_figure(scores: Sequence[ClassScores], shares: Mapping[str, float]) -> Figure:
    """A bar for each class and setting, frequent classes above, and a narrow panel of their frequencies.

    Args:
        scores: Of the settings; spreads over several runs are drawn as whiskers.
        shares: Of the pixels, in [0, 1], by class.
    """
    known = dict.fromkeys(title for setting in scores for iou in setting.ious for title in iou)
    classes = sorted(known, key=lambda title: -shares.get(title, 0.0))
    thickness = 0.8 / len(scores)
    height = len(classes) * max(0.24, 0.09 + 0.11 * len(scores))
    with rc_context(STYLE):
        figure = Figure(figsize=(6.2, 1.1 + height + 0.2 * -(-len(scores) // 3)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1), gridspec_kw={"wspace": 0.12})
        places = np.arange(len(classes))
        bars = []
        for i, setting in enumerate(scores):
            found = [[v for iou in setting.ious if (v := iou.get(c)) is not None] for c in classes]
            means = [100 * float(np.mean(values)) if values else np.nan for values in found]
            spreads = [100 * float(np.std(values, ddof=1)) if len(values) > 1 else np.nan for values in found]
            offset = (i - (len(scores) - 1) / 2) * thickness
            bars.append(left.barh(places + offset, means, thickness, color=COLORS[i % len(COLORS)], linewidth=0))
            left.errorbar(means, places + offset, xerr=spreads, fmt="none", ecolor="#333333", elinewidth=0.8)
            for place, mean in zip(places, means, strict=True):
                if np.isnan(mean):
                    left.text(0.6, place + offset, MISSING, va="center", fontsize=7, color="#666666")
        left.set_yticks(places, classes)
        left.set(xlim=(0, 100), ylim=(len(classes) - 0.5, -0.5), xlabel="intersection over union in %")
        left.grid(axis="y", visible=False)
        left.tick_params(axis="y", length=0)
        _frequencies(right, [100 * shares.get(title, 0.0) for title in classes])
        if len(scores) > 1:
            names = [setting.name for setting in scores]
            figure.legend(bars, names, loc="outside lower center", ncols=min(3, len(names)), fontsize=8)
    return figure


def _frequencies(axes: Axes, percent: Sequence[float]) -> None:
    """Points on a logarithmic scale, for a bar would have no foot; classes that never occur have none."""
    places = [i for i, value in enumerate(percent) if value > 0]
    values = [percent[i] for i in places]
    axes.set_xscale("log")
    if values:
        low, high = 10 ** np.floor(np.log10(0.8 * min(values))), 100.0
        axes.hlines(places, low, values, color="#b8c0c8", linewidth=1)
        axes.plot(values, places, "o", color="#5c6670", markersize=4)
        axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("% of pixels\n(log scale)")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
