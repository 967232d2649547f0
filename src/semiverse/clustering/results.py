"""What clustering finds in an image."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from semiverse.labels import LabelSpace

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
