"""Figures: curves of the training, confusion of classes. Drawn object by object, without pyplot's global state."""

import io
import logging
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from semiverse.commands.reporting.runs import RunFacts, Setting

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter that a PDF does without

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c2e", "#333333")
"""Okabe and Ito's colours, which people with any colour vision tell apart; yellow is too pale for lines."""
LINES = ("-", "--", ":", "-.")
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
}
TERMS = {
    "supervised": ("Cross entropy of labelled pixels", "nats per pixel"),
    "anchor": ("Cross entropy of similarities with label rows", "nats per pixel"),
    "entropy_within": ("Entropy against own labels", "nats per pixel"),
    "entropy_across": ("Entropy against labels of other domains", "nats per pixel"),
    "entropy_of_assignment": ("Entropy of the mean assignment", "nats"),
    "largest_score": ("Largest similarity", "similarity"),
}
"""Title and unit of what methods record; others keep their own names."""

Curve = tuple[str, str, Sequence[RunFacts], str]
"""Legend, column of metrics.csv, runs, line style."""


def draw(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of a PNG or PDF file; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    plain = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}
    with rc_context(STYLE):
        figure.savefig(buffer, format=format, dpi=150, metadata=plain[format])
    return buffer.getvalue()


def curve_figures(settings: Sequence[Setting]) -> dict[str, tuple[str, Figure]]:
    """One figure a topic, a panel a domain, all runs overlaid: caption and figure by name."""
    runs = [run for setting in settings for run in setting.runs]
    columns = dict.fromkeys(column for run in runs for row in run.rows for column in row)
    domains = list(dict.fromkeys(domain for run in runs for domain in run.domains))
    figures: dict[str, tuple[str, Figure]] = {}
    if any(f"{domain}/miou" in columns for domain in domains):
        panels = {domain: (_score_curves(settings, domain), "mIoU in %", 100.0) for domain in domains}
        caption = "Validation during training: mean intersection over union."
        figures["validation_miou"] = (caption, _panels(panels))
    terms = dict.fromkeys(column.partition("/")[2] for column in columns if "/" in column)
    for term in terms:
        if not term.startswith("miou"):
            title, unit = TERMS.get(term, (term.replace("_", " "), "as recorded"))
            panels = {d: (_curves(settings, f"{d}/{term}"), unit, 1.0) for d in domains if f"{d}/{term}" in columns}
            caption = f"{title}; means since the previous validation."
            figures[f"loss_{term}"] = (caption, _panels(panels))
    pace = {"learning_rate": ("Learning rate", "learning rate"), "images_per_second": ("Speed", "images per second")}
    panels = {title: (_curves(settings, key), unit, 1.0) for key, (title, unit) in pace.items() if key in columns}
    if panels:
        figures["pace"] = ("Learning rate and speed.", _panels(panels))
    return figures


def _curves(settings: Sequence[Setting], column: str, suffix: str = "", line: str = "") -> list[Curve]:
    """One curve a setting; beyond eight settings the line styles change."""
    lines = [line or LINES[i // len(COLORS) % len(LINES)] for i in range(len(settings))]
    return [(s.name + suffix, column, s.runs, style) for s, style in zip(settings, lines, strict=True)]


def _score_curves(settings: Sequence[Setting], domain: str) -> list[Curve]:
    column = f"{domain}/miou_by_embedding"
    embedded = any(column in row for setting in settings for run in setting.runs for row in run.rows)
    curves = _curves(settings, f"{domain}/miou")
    return curves + (_curves(settings, column, " by embedding", "--") if embedded else [])


def _panels(panels: Mapping[str, tuple[list[Curve], str, float]]) -> Figure:
    """Panels by title: curves, unit, and the factor that brings values to it."""
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2 if across > 1 else 4.6, 2.6 * down + 0.35), layout="constrained")
        handles: dict[str, Artist] = {}
        for i, (title, (curves, unit, factor)) in enumerate(panels.items()):
            axes = figure.add_subplot(down, across, i + 1)
            axes.set(title=title, xlabel="training steps", ylabel=unit)
            for color, curve in zip(cycle(COLORS[: max(1, _settings_in(curves))]), curves, strict=False):
                _plot(axes, curve, color, factor, handles)
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles) or 1), fontsize=8
        )
    return figure


def _settings_in(curves: Sequence[Curve]) -> int:
    """How many settings there are: a setting's curves by decoder and by embedding share its colour."""
    return min(len(COLORS), len({id(runs) for _, _, runs, _ in curves}))


def _plot(axes: Axes, curve: Curve, color: str, factor: float, handles: dict[str, Artist]) -> None:
    legend, column, runs, style = curve
    for run in runs:
        points = [(row["step"], factor * row[column]) for row in run.rows if column in row]
        if points:
            steps, values = zip(*points, strict=True)
            marker = "o" if len(points) < 2 else None  # one point makes no line
            drawn = axes.plot(steps, values, style, color=color, linewidth=1.6, marker=marker, alpha=0.9)
            handles.setdefault(legend, drawn[0])
    axes.margins(x=0.02)


def confusion_figure(confusion: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> Figure:
    """Where the pixels of each true class (a row) went, in percent of the class.

    Args:
        confusion: Pixels by true and predicted class; what is absent is 0.
        classes: All classes, in order.
    """
    counts = np.array([[confusion.get(true, {}).get(found, 0) for found in classes] for true in classes], dtype=float)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.36 * len(classes)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(side + 0.8, side), layout="compressed")
        axes = figure.add_subplot()
        picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="predicted class", ylabel="true class")
        figure.colorbar(picture, ax=axes, label="% of the true class", fraction=0.046)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.5 and len(classes) <= 25:
                color = "white" if share > 55 else "black"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=color)
    return figure
