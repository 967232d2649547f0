"""Grids of pictures with a legend of classes and their colours."""

from collections.abc import Sequence

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from semiverse.labels import IGNORE, Color, LabelSpace
from semiverse.reporting.examples import Examples
from semiverse.reporting.figures import STYLE

BLACK = (0, 0, 0)
CELL = 1.9
"""Width of a column in inches."""
GAP, CAPTION, LINE = 0.03, 0.16, 0.24
"""Space beside a picture, below it, and for a line of the heading or legend, in inches."""


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
    unlabeled = [("no label", BLACK)] if any((mask == IGNORE).any() for mask in shown) else []
    return picture_grid(rows, headings, legend(shown, labels) + unlabeled, _captions(examples))


def _captions(examples: Examples) -> list[list[str]]:
    """For each row: the image's id, why it was chosen, and its own mIoU by each prediction."""
    captions = []
    for i, sample in enumerate(examples.samples):
        scores = [examples.scores.get(setting, {}).get(sample.id) for setting in examples.predictions]
        numbers = ["" if score is None else f"mIoU {100 * score:.1f}" for score in scores]
        captions.append([sample.id, *examples.kinds[i : i + 1], *numbers] if examples.kinds else [sample.id])
    return captions


def legend(masks: Sequence[Tensor], labels: LabelSpace) -> list[tuple[str, Color]]:
    """Names and colours of the classes that occur in masks."""
    present = {int(value) for mask in masks for value in torch.unique(mask)} - {IGNORE}
    return [(labels.classes[i], labels.palette[i]) for i in sorted(present)]


def picture_grid(
    rows: Sequence[Sequence[Tensor]],
    headings: Sequence[str],
    classes: Sequence[tuple[str, Color]],
    captions: Sequence[Sequence[str]],
) -> Figure:
    """Pictures in rows and columns.

    Args:
        rows: (H, W, 3) uint8 each; rows may be shorter than ``headings``.
        headings: Of the columns.
        classes: Entries of the legend: names and colours.
        captions: Of the pictures of each row, as many as there is something to say about.
    """
    heights = [CELL * max(picture.shape[0] / picture.shape[1] for picture in row) for row in rows]
    width, height = CELL * len(headings), sum(heights) + CAPTION * len(rows)
    lines = -(-len(classes) // max(1, round(width / 1.2)))
    below = LINE * (lines + 0.3)
    total = height + LINE + below
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(width, total))
        bottom = total - LINE
        for row, tall, said in zip(rows, heights, captions, strict=True):
            bottom -= tall
            for j, caption in enumerate(said):
                corner = ((j * CELL + GAP) / width, (bottom - GAP) / total)
                figure.text(*corner, _shortened(caption), va="top", fontsize=6, color="#666666")
            for j, picture in enumerate(row):
                place = ((j * CELL + GAP) / width, bottom / total, (CELL - 2 * GAP) / width, tall / total)
                axes = figure.add_axes(place, anchor="S")
                axes.imshow(picture.numpy(), interpolation="nearest" if picture.shape[1] < 300 else "antialiased")
                axes.set_axis_off()
            bottom -= CAPTION
        for j, heading in enumerate(headings):
            middle, height = (j + 0.5) * CELL / width, 1 - 0.5 * LINE / total
            figure.text(middle, height, _shortened(heading, 24), ha="center", va="center", fontsize=9)
        patches = [Patch(color=(r / 255, g / 255, b / 255), label=name) for name, (r, g, b) in classes]
        figure.legend(
            handles=patches, loc="lower center", ncols=-(-len(patches) // max(1, lines)), fontsize=8, borderpad=0
        )
    return figure


def _shortened(text: str, length: int = 34) -> str:
    """The end of a text that is too long: that is where names differ."""
    return text if len(text) <= length else f"…{text[1 - length :]}"
