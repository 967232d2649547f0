"""How figures look and are written: their style, maps of colours, grids of pictures. Drawn without pyplot's state."""

import io
import logging
import warnings
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps, font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch import Tensor

from semiverse.labels import IGNORE, Color, LabelSpace

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter that a PDF does without

LINE_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c2e", "#333333")
"""Okabe and Ito's colours, which people with any colour vision tell apart; yellow is too pale for lines."""
LINES = ("-", "--", ":", "-.")
FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans",
    "Yu Gothic", "Malgun Gothic", "Nanum Gothic", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip
"""Fonts with the signs of other scripts, of which those that are installed are used."""
_known = {entry.name for entry in font_manager.fontManager.ttflist}
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans", *(name for name in FONTS if name in _known)],
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


def line_color(number: int) -> str:
    """Of a line, by its number."""
    return LINE_COLORS[number % len(LINE_COLORS)]


def line_style(number: int) -> str:
    """Of a line, by its number: it changes where there are more lines than colours."""
    return LINES[number // len(LINE_COLORS) % len(LINES)]


def draw(figure: Figure, format: str) -> bytes:
    """A figure as the bytes of a PNG or PDF file; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    plain = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}
    with rc_context(STYLE), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        figure.savefig(buffer, format=format, dpi=150, metadata=plain[format])
    _warn_of_signs([str(one.message) for one in told])
    return buffer.getvalue()


def _warn_of_signs(messages: Sequence[str]) -> None:
    """Say once, and not of each letter, that names cannot be drawn."""
    global _warned
    lacking = [message for message in messages if "missing from font" in message]
    if lacking and not _warned:
        _warned = True
        warnings.warn(
            "figures show boxes instead of some signs, as no installed font has them; expected one that does: install "
            "one (apt-get install fonts-noto-cjk), and remove matplotlib's list of fonts (~/.cache/matplotlib)",
            stacklevel=3,
        )


_warned = False


@dataclass
class Picture:
    """A figure on the page.

    Args:
        name: Of its files.
        caption: What it shows.
        figure: What to draw.
        png: The drawing, once it is made.
    """

    name: str
    caption: str
    figure: Figure
    png: bytes = b""

    def draw(self) -> dict[str, bytes]:
        """Draw it for the page, and for files of its own by their endings."""
        self.png = draw(self.figure, "png")
        self.figure.set_layout_engine("none")  # the layout is found; finding it again takes most of the time
        return {"png": self.png, "pdf": draw(self.figure, "pdf")}

    @property
    def source(self) -> str:
        """The drawing as an address that holds it."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"

    @property
    def width(self) -> int:
        """Width on the page in pixels, at which letters have the size of the page's small print."""
        return round(96 * float(self.figure.get_figwidth()))


BLUES = colormaps["Blues"].with_extremes(bad="#e3e3e3")
MOST_NUMBERS = 30
"""Rows or columns up to which there is room for numbers in a map of colours."""


def heat_map(
    axes: Axes,
    values: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    limits: tuple[float, float],
    written: np.ndarray,
    colors: Colormap = BLUES,
    size: float = 9,
    **options: Any,  # noqa: ANN401
) -> AxesImage:
    """Values as colours, with numbers where there is room.

    Args:
        axes: Where to draw.
        values: (R, C); NaN is grey.
        names: Of the rows, and of the columns.
        limits: Values of the first and of the last colour.
        written: The number to write at every place, (R, C); "": none.
        colors: Of the values, from low to high.
        size: Of the letters of the names.
        options: Of ``Axes.imshow``.
    """
    picture = axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], **options)
    axes.set_yticks(range(len(names[0])), names[0], fontsize=size)
    axes.set_xticks(range(len(names[1])), names[1], fontsize=size, rotation=90)
    for (row, column), number in np.ndenumerate(written):
        if number and max(values.shape) <= MOST_NUMBERS:
            ink = "white" if abs(values[row, column]) > 0.6 * limits[1] else "black"
            axes.text(column, row, number, ha="center", va="center", fontsize=6.5, color=ink)
    return picture


@np.vectorize(otypes=[str])
def two_digits(value: float) -> str:
    """Shares with two digits and without the zero before them."""
    return "1" if value >= 0.995 else f"{value:.2f}".replace("0.", ".", 1)


def selected(classes: Collection[str] | None, domain: str, titles: Sequence[str]) -> list[str]:
    """Those classes of a domain that shall be shown, each named by its title or as domain/title; None: all."""
    return [title for title in titles if classes is None or {title, f"{domain}/{title}"} & {*classes}]


CELL = 1.9
"""Width of a column of pictures in inches."""
GAP, CAPTION, LINE = 0.03, 0.16, 0.24
"""Space beside a picture, below it, and for a line of the heading or legend, in inches."""


def legend(masks: Sequence[Tensor], labels: LabelSpace) -> list[tuple[str, Color]]:
    """Names and colours of the classes that occur in masks."""
    present = {int(value) for mask in masks for value in torch.unique(mask)} - {IGNORE}
    return [(labels.classes[i], labels.palette[i]) for i in sorted(present)]


def unlabeled_entry(masks: Sequence[Tensor]) -> list[tuple[str, Color]]:
    """The entry of a legend for pixels without a label, if masks have any."""
    return [("no label", (0, 0, 0))] if any((mask == IGNORE).any() for mask in masks) else []


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
    total = height + LINE + LINE * (lines + 0.3)
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
        columns = max(1, -(-len(patches) // max(1, lines)))
        figure.legend(handles=patches, loc="lower center", ncols=columns, fontsize=8, borderpad=0)
    return figure


def _shortened(text: str, length: int = 34) -> str:
    """The end of a text that is too long: that is where names differ."""
    return text if len(text) <= length else f"…{text[1 - length :]}"
