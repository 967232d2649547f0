"""Whether confidence is accuracy: reliability diagrams.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2: Eqs. 3 and 5, Fig. 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from semiverse.commands.reporting.figures import COLORS, STYLE
from semiverse.commands.reporting.tables import percent_cell

FEWEST = 1e-4
"""Share of all pixels below which a bin says too little about its accuracy to be a point of the curve."""


class Reliability(NamedTuple):
    """Calibration of a setting: name, and bins and error of each of its runs."""

    name: str
    calibrations: Sequence[Mapping[str, Any]]


class Bins(NamedTuple):
    """Equal bins of confidence: mean confidence and accuracy, NaN where there are no pixels, and share of pixels."""

    confidence: np.ndarray
    accuracy: np.ndarray
    share: np.ndarray


def pooled(calibrations: Sequence[Mapping[str, Any]]) -> Bins:
    """Bins of several runs together, every pixel counting once."""
    values = np.array(
        [[[_number(b["confidence"]), _number(b["accuracy"]), b["pixels"]] for b in c["bins"]] for c in calibrations]
    )
    pixels = values[..., 2].sum(axis=0)
    sums = (values[..., :2] * values[..., 2:]).sum(axis=0)
    means = np.divide(sums, pixels[:, None], out=np.full_like(sums, np.nan), where=pixels[:, None] > 0)
    return Bins(means[:, 0], means[:, 1], pixels / max(1.0, pixels.sum()))


def _number(value: float | None) -> float:
    return 0.0 if value is None else value


def reliability_figure(settings: Sequence[Reliability]) -> Figure:
    """Accuracy against confidence for each setting, and below it how many pixels have that confidence."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 5.2 + 0.19 * len(settings)), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        upper.plot([0, 100], [0, 100], color="#999999", linewidth=1, linestyle="--", zorder=1)
        lines = [Line2D([], [], color="#999999", linewidth=1, linestyle="--")]
        titles = ["confidence is accuracy"]
        for i, setting in enumerate(settings):
            lines.append(_draw(upper, lower, setting, i, len(settings)))
            errors = percent_cell([calibration["error"] for calibration in setting.calibrations])
            titles.append(f"{setting.name}: calibration error {errors.text} %")
        upper.set(xlim=(0, 100), ylim=(0, 100), ylabel="accuracy in %")
        lower.set(xlabel="confidence (probability of the predicted class) in %", ylabel="% of pixels")
        figure.align_ylabels()
        figure.legend(lines, titles, loc="outside lower center", fontsize=8)
    return figure


def _draw(upper: Axes, lower: Axes, setting: Reliability, number: int, count: int) -> Line2D:
    bins, color = pooled(setting.calibrations), COLORS[number % len(COLORS)]
    drawn = bins.share >= FEWEST
    line = upper.plot(
        100 * bins.confidence[drawn], 100 * bins.accuracy[drawn], "o-", color=color, linewidth=1.6, markersize=4
    )[0]
    width = 100 / len(bins.share)
    part = 0.86 * width / count
    left = width * (np.arange(len(bins.share)) + 0.07) + part * number
    lower.bar(left, 100 * bins.share, width=part, align="edge", color=color, alpha=0.85, linewidth=0)
    return line
