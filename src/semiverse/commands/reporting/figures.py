"""How figures look and are written, and the confusion of classes. Drawn without pyplot's global state."""

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
