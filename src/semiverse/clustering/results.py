"""What clustering finds in an image."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch import Tensor

from semiverse.inference.pictures import borders, overlay
from semiverse.labels import IGNORE, LabelSpace

Reason = Literal["iterations", "min_labels", "converged"]


class Cluster(NamedTuple):
    """Pixels of an image that got one label.

    Args:
        id: Its value in the mask.
        share: Its part of the pixels, in (0, 1].
        color: Mean red, green and blue, in 0..255.
        height: Mean row of its pixels, from 0 (top) to 1.
    """

    id: int
    share: float
    color: tuple[int, int, int]
    height: float


class Clusters(NamedTuple):
    """An image's segmentation; the first three are those of every segmentation of this library.

    Args:
        mask: Clusters by size, 0 the largest, without gaps; (H, W) uint8 at the image's own size.
        labels: A label space with the number of each cluster as its name.
        confidence: Softmax probability of each pixel's cluster, (H, W) float32 in [0, 1].
        superpixels: Their number.
        iterations: How many there were.
        stopped: Why there were no more.
    """

    mask: Tensor
    labels: LabelSpace
    confidence: Tensor
    superpixels: int
    iterations: int
    stopped: Reason


def describe(mask: Tensor, labels: LabelSpace, image: Tensor) -> list[Cluster]:
    """The clusters that occur in a mask, in the order of their ids.

    Args:
        mask: (H, W) uint8.
        labels: The label space of its values.
        image: What was segmented, (3, H, W) uint8.
    """
    height, width = mask.shape
    ids, count = mask.flatten().long(), len(labels)
    rows = ((torch.arange(height, dtype=torch.float64) + 0.5) / height).repeat_interleave(width)
    sizes = torch.bincount(ids, minlength=count)
    sums = [torch.bincount(ids, value, minlength=count) for value in (*image.flatten(1).double(), rows)]
    means = (torch.stack(sums, dim=1) / sizes[:, None]).tolist()
    return [
        Cluster(i, size / len(ids), (round(means[i][0]), round(means[i][1]), round(means[i][2])), means[i][3])
        for i, size in enumerate(sizes.tolist())
        if size
    ]


def by_size(found: Tensor) -> tuple[Tensor, LabelSpace]:
    """Labels with gaps, (H, W) of an integer type, as clusters from the largest to the smallest, (H, W) uint8.

    Raises:
        ValueError: If there are more than 255 of them.
    """
    values, places, sizes = torch.unique(found, return_inverse=True, return_counts=True)
    rank = sizes.argsort(descending=True, stable=True).argsort()
    return rank[places].to(torch.uint8), LabelSpace("clusters", tuple(str(i) for i in range(len(values))))


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
        pen.rectangle((left, top, left + _SWATCH, top + _SWATCH - 4), labels.palette[cluster.id], "black")
        pen.text((left + _SWATCH + 6, top), f"{cluster.id}: {100 * cluster.share:.1f} %", "black", font)
    return sheet


def _widest(inside: np.ndarray) -> tuple[int, int, float]:
    """Column and row of the pixel that is farthest from the outside, and how far."""
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    row, column = divmod(int(distance.argmax()), inside.shape[1])
    return column, row, float(distance[row, column])


Groups = dict[str, dict[int, int]]
"""Group of each cluster of each image."""


def group_clusters(found: Mapping[str, Sequence[Cluster]], count: int, seed: int = 0) -> Groups:
    """Group the clusters of all images by k-means of mean colour (CIE Lab) and mean height, weighted by their share.

    Each of the four values is divided by its deviation. This is ours, not a part of Kanezaki's method, which knows one
    image only; it knows nothing of shapes or textures.

    Args:
        found: Clusters by image.
        count: Number of groups; with fewer clusters, each is its own.
        seed: Of k-means.

    Returns:
        Group of each cluster, numbered from the largest.

    Raises:
        ValueError: If the number is below 1 or above 255.
    """
    check_count(count)
    from skimage.color import rgb2lab
    from sklearn.cluster import KMeans

    everything = [(stem, cluster) for stem, clusters in found.items() for cluster in clusters]
    if not everything:
        return {}
    weights = np.array([cluster.share for _, cluster in everything])
    colors = rgb2lab(np.array([cluster.color for _, cluster in everything], dtype=np.float64) / 255)
    values = np.column_stack([colors, [cluster.height for _, cluster in everything]])
    values -= np.average(values, axis=0, weights=weights)
    deviation = np.sqrt(np.average(values**2, axis=0, weights=weights))
    values /= np.where(deviation > 0, deviation, 1.0)
    distinct = len(np.unique(values, axis=0))
    groups = KMeans(min(count, distinct), n_init=10, random_state=seed).fit_predict(values, sample_weight=weights)
    rank = np.argsort(np.argsort(-np.bincount(groups, weights), kind="stable"))
    result: Groups = {stem: {} for stem in found}
    for (stem, cluster), group in zip(everything, rank[groups].tolist(), strict=True):
        result[stem][cluster.id] = group
    return result


def check_count(count: int) -> None:
    """Make sure that so many groups are possible.

    Raises:
        ValueError: If the number is below 1 or above 255.
    """
    if not 1 <= count <= IGNORE:
        raise ValueError(f"groups is {count}; expected 1 to {IGNORE}, as masks hold bytes: correct it")
