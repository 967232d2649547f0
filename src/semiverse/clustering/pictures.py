"""Pictures of clusters: their borders, and a sheet with their numbers."""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor

from semiverse.clustering.results import Cluster, describe
from semiverse.labels import LabelSpace
from semiverse.pictures import borders, overlay

_BORDER = (255, 230, 0)
_SWATCH, _LETTER = 22, 14


def draw_borders(image: Tensor, mask: Tensor) -> Image.Image:
    """The image, (3, H, W) uint8, with the borders between the clusters of a mask, (H, W), in yellow."""
    color = torch.tensor(_BORDER, dtype=torch.uint8)[:, None, None]
    return Image.fromarray(torch.where(borders(mask), color, image).permute(1, 2, 0).numpy())


def draw_sheet(image: Tensor, mask: Tensor, labels: LabelSpace) -> Image.Image:
    """The image beside its clusters, each with its number, and a list of numbers, colours and shares below.

    A number stands where its cluster is widest; too small ones are in the list only.

    Args:
        image: (3, H, W) uint8.
        mask: Its clusters, (H, W) uint8.
        labels: Their label space.
    """
    laid = overlay(image, mask, labels)
    pair = Image.fromarray(torch.cat([image, laid], dim=2).permute(1, 2, 0).numpy())
    factor = max(1, round(800 / pair.width))
    pair = pair.resize((pair.width * factor, pair.height * factor), Image.Resampling.NEAREST)
    found = describe(mask, labels, image)
    columns = max(1, pair.width // 110)
    below = -(-len(found) // columns) * (_SWATCH + 4) + 8
    sheet = Image.new("RGB", (max(pair.width, 110), pair.height + below), "white")
    sheet.paste(pair)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTER)
    for cluster in found:
        place = _widest(mask.numpy() == cluster.id)
        if place[2] * factor > _LETTER / 2:
            at = (pair.width / 2 + (place[0] + 0.5) * factor, (place[1] + 0.5) * factor)
            pen.text(at, str(cluster.id), "white", font, "mm", stroke_width=2, stroke_fill="black")
    for i, cluster in enumerate(found):
        left, top = i % columns * 110 + 6, pair.height + 6 + i // columns * (_SWATCH + 4)
        _list_entry(pen, font, (left, top), cluster, labels.palette[cluster.id])
    return sheet


def _list_entry(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    place: tuple[int, int],
    cluster: Cluster,
    color: tuple[int, int, int],
) -> None:
    left, top = place
    pen.rectangle((left, top, left + _SWATCH, top + _SWATCH - 4), color, "black")
    pen.text((left + _SWATCH + 6, top), f"{cluster.id}: {100 * cluster.share:.1f} %", "black", font)


def _widest(inside: np.ndarray) -> tuple[int, int, float]:
    """Column and row of the pixel that is farthest from the outside, and how far."""
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    row, column = divmod(int(distance.argmax()), inside.shape[1])
    return column, row, float(distance[row, column])
