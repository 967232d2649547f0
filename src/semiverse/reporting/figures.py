"""How figures look and are written, and the confusion of classes. Drawn without pyplot's global state."""

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from semiverse.data import Content
from semiverse.labels import LabelSpace
from semiverse.reporting.tables import MISSING

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter that a PDF does without

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c2e", "#333333")
"""Okabe and Ito's colours, which people with any colour vision tell apart; yellow is too pale for lines."""
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "text.parse_math": False,  # a dollar sign in a name is no formula
}


def draw(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of a PNG or PDF file; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    plain = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}
    with rc_context(STYLE):
        figure.savefig(buffer, format=format, dpi=150, metadata=plain[format])
    return buffer.getvalue()


def confusion_figure(
    confusion: Mapping[str, Mapping[str, int]],
    classes: Sequence[str],
    answers: Sequence[str] | None = None,
    axes_titles: tuple[str, str] = ("predicted class", "true class"),
) -> Figure:
    """Where the pixels of each true class (a row) went, in percent of the class.

    Args:
        confusion: Pixels by true and predicted class; what is absent is 0.
        classes: All true classes, in order.
        answers: All classes that can be predicted, in order; None: the true ones.
        axes_titles: What stands below the columns and beside the rows.
    """
    answers = classes if answers is None else answers
    counts = np.array([[confusion.get(true, {}).get(found, 0) for found in answers] for true in classes], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    names = [name if there else f"{name} (no pixels)" for name, there in zip(classes, total > 0, strict=True)]
    size = (2.2 + 0.34 * len(answers), 1.6 + 0.34 * len(classes))
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=size, layout="compressed")
        axes = figure.add_subplot()
        picture = axes.imshow(shares, cmap=colormaps["Blues"].with_extremes(bad="#e3e3e3"), vmin=0, vmax=100)
        axes.set_xticks(range(len(answers)), answers, rotation=90)
        axes.set_yticks(range(len(classes)), names)
        axes.set(xlabel=axes_titles[0], ylabel=axes_titles[1])
        figure.colorbar(picture, ax=axes, label="% of the true class", fraction=0.046)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.5 and max(counts.shape) <= 25:
                color = "white" if share > 55 else "black"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=color)
    return figure


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


Frequencies = Mapping[str, tuple[float, int]]
"""Share of all pixels, in [0, 1], and number of images, by class."""


def frequencies(contents: Sequence[Content], labels: LabelSpace) -> Frequencies:
    """Share of all pixels of the masks, ignored ones included, and number of images of each class.

    Empty without a readable mask.
    """
    counted = [content.pixels for content in contents if content.pixels is not None]
    if not counted:
        return {}
    pixels = np.stack(counted)
    shares, images = pixels.sum(axis=0) / max(1, pixels.sum()), (pixels > 0).sum(axis=0)
    return {title: (float(shares[i]), int(images[i])) for i, title in enumerate(labels.classes)}
