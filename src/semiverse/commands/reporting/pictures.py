"""Grids of pictures with a legend of classes and their colours."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from semiverse.commands.reporting.examples import Examples
from semiverse.commands.reporting.figures import STYLE
from semiverse.labels import IGNORE, LabelSpace

CELL = 1.9
"""Width of a picture in inches."""


def example_figure(examples: Examples) -> Figure:
    """A row an image: the image, its mask, and a column for each prediction."""
    labels, samples = examples.labels, examples.samples
    columns = [[sample.mask for sample in samples], *examples.predictions.values()]
    rows = [
        [sample.image.permute(1, 2, 0), *(labels.colorize(masks[i]) for masks in columns)]
        for i, sample in enumerate(samples)
    ]
    shown = [mask for masks in columns for mask in masks]
    headings = ["image", "truth", *examples.predictions]
    return picture_grid(rows, headings, legend(shown, labels), [sample.id for sample in samples])


def legend(masks: Sequence[Tensor], labels: LabelSpace) -> list[tuple[str, tuple[int, int, int]]]:
    """Names and colours of the classes that occur in masks; "no label" is black."""
    present = {int(value) for mask in masks for value in torch.unique(mask)}
    entries = [(labels.classes[i], labels.palette[i]) for i in sorted(present - {IGNORE})]
    return entries + ([("no label", (0, 0, 0))] if IGNORE in present else [])


def picture_grid(
    rows: Sequence[Sequence[Tensor]],
    headings: Sequence[str],
    classes: Sequence[tuple[str, tuple[int, int, int]]],
    captions: Sequence[str],
) -> Figure:
    """Pictures in rows and columns.

    Args:
        rows: (H, W, 3) uint8 each; rows may be shorter than ``headings``.
        headings: Of the columns.
        classes: Entries of the legend: names and colours.
        captions: Below the first picture of each row.
    """
    ratio = float(np.median([picture.shape[0] / picture.shape[1] for row in rows for picture in row]))
    across = max(2, int(CELL * len(headings) / 1.15))
    below = 0.24 * -(-len(classes) // across) + 0.15
    size = (CELL * len(headings), (CELL * ratio + 0.2) * len(rows) + 0.25 + below)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)  # type: ignore[union-attr, call-arg]
        for i, row in enumerate(rows):
            for j, picture in enumerate(row):
                axes = figure.add_subplot(len(rows), len(headings), i * len(headings) + j + 1)
                axes.imshow(picture.numpy(), interpolation="nearest" if picture.shape[1] < 300 else "antialiased")
                axes.set(xticks=[], yticks=[], title=headings[j] if i == 0 else "")
                axes.spines[:].set_visible(False)
                if j == 0:
                    axes.set_xlabel(_shortened(captions[i]), fontsize=6, color="#666666")
        patches = [Patch(color=tuple(part / 255 for part in color), label=name) for name, color in classes]
        figure.legend(handles=patches, loc="outside lower center", ncols=min(across, max(1, len(patches))), fontsize=8)
    return figure


def _shortened(text: str) -> str:
    return text if len(text) <= 34 else f"…{text[-33:]}"
