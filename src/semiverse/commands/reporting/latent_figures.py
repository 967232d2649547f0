"""Figures of latent classes: which classes they stand for, and where they lie in images.

Sawatzky et al., "Discovering Latent Classes for Semi-Supervised Semantic Segmentation": P(l|c) as a heat map (Figs. 6
and 7), latent classes laid over images (Figs. 1, 8 and 9).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from semiverse.commands.reporting.examples import Examples
from semiverse.commands.reporting.figures import STYLE
from semiverse.commands.reporting.latent import LatentClasses
from semiverse.commands.reporting.pictures import BLACK, legend, picture_grid
from semiverse.labels import IGNORE, Color
from semiverse.losses import latent_given_class

Order = Literal["class", "number"]
"""Of latent classes: by the class that predicts each most, or by number."""

LEAST = 0.1
"""A latent class that no class predicts with a higher probability counts as unused (the lower threshold of Table 4)."""
OPACITY = 0.7
"""Of colours over an image."""
MOST_NUMBERS = 25
"""Latent classes up to which there is room for numbers in a heat map."""


def given_class_figure(latent: LatentClasses, order: Order = "class") -> Figure:
    """P(l|c): a row a class, a column a latent class, a panel for each source of co-occurrences."""
    first = next(iter(latent.counts.values()))
    seen = first.sum(dim=1) > 0
    order_of_class = column_order((latent_given_class(first) * seen[:, None]).numpy())
    columns = order_of_class if order == "class" else list(range(first.shape[1]))
    cell = 0.36 if len(columns) <= MOST_NUMBERS else 0.18
    height = 1.0 + 0.3 * len(latent.labels)
    with rc_context(STYLE | {"axes.grid": False}):
        panels = len(latent.counts)
        figure = Figure(figsize=(2.6 + panels * (0.3 + cell * len(columns)), height), layout="constrained")
        axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
        for place, (source, counts) in zip(axes, latent.counts.items(), strict=True):
            picture = _heat_map(place, counts, columns, latent.colors.palette)
            place.set_title(f"of {source} images" if panels > 1 else "")
        names = [
            name if there else f"{name} (never seen)" for name, there in zip(latent.labels.classes, seen, strict=True)
        ]
        axes[0].set_yticks(range(len(names)), names)
        figure.colorbar(picture, ax=axes, label="P(latent class | class)", pad=0.02)
    return figure


def column_order(probabilities: np.ndarray) -> list[int]:
    """Latent classes by the class that predicts each most, those that are unused at the end."""
    best, highest = probabilities.argmax(axis=0), probabilities.max(axis=0)
    return sorted(range(len(best)), key=lambda i: (highest[i] <= LEAST, best[i], -highest[i]))


def _heat_map(axes: Axes, counts: Tensor, columns: Sequence[int], palette: Sequence[Color]) -> AxesImage:
    shown = latent_given_class(counts).numpy()[:, columns]
    shown[counts.sum(dim=1).numpy() == 0] = np.nan  # classes that never occurred have no latent class
    picture = axes.imshow(shown, cmap=colormaps["Blues"].with_extremes(bad="#e3e3e3"), vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), [str(i) for i in columns], fontsize=7 if len(columns) <= MOST_NUMBERS else 5)
    axes.set_xlabel("latent class")
    axes.tick_params(axis="x", length=0, pad=5)
    axes.tick_params(axis="y", length=0)
    for text, i in zip(axes.get_xticklabels(), columns, strict=True):
        red, green, blue = (part / 255 for part in palette[i])
        text.set_color("white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black")
        text.set_bbox({"facecolor": (red, green, blue), "edgecolor": "none", "boxstyle": "round,pad=0.25"})
    for (row, column), value in np.ndenumerate(shown):
        if value >= 0.05 and len(columns) <= MOST_NUMBERS:
            color = "white" if value > 0.55 else "black"
            number = "1" if value >= 0.995 else f"{value:.2f}"[1:]
            axes.text(column, row, number, ha="center", va="center", fontsize=7, color=color)
    return picture


def latent_example_figure(latent: LatentClasses, example: Examples) -> Figure:
    """A row an image: the image, its mask, what the semantic branch and what the latent branch make of it."""
    labels, colors = latent.labels, latent.colors
    truths, predictions = [sample.mask for sample in example.samples], example.predictions[latent.setting]
    rows = [
        [
            sample.image.permute(1, 2, 0),
            laid_over(sample.image, labels.colorize(sample.mask)),
            laid_over(sample.image, labels.colorize(prediction)),
            laid_over(sample.image, colors.colorize(mask)),
        ]
        for sample, prediction, mask in zip(example.samples, predictions, latent.masks, strict=True)
    ]
    entries = legend([*truths, *predictions], labels) + legend(latent.masks, colors)
    unlabeled = [("no label", BLACK)] if any((mask == IGNORE).any() for mask in truths) else []
    captions = [[sample.id] for sample in example.samples]
    return picture_grid(rows, ["image", "truth", "classes", "latent classes"], entries + unlabeled, captions)


def laid_over(image: Tensor, colors: Tensor) -> Tensor:
    """Colours, (H, W, 3) uint8, over the grey values of an image, (3, H, W) uint8."""
    grey = image.float().mean(dim=0)[..., None]
    return (OPACITY * colors + (1 - OPACITY) * grey).round().to(torch.uint8)
