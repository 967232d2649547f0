"""Scores of a segmentation without classes against regions that somebody drew: all from one table of overlaps."""

from typing import NamedTuple

import torch
from torch import Tensor


class Matching(NamedTuple):
    """Agreement of clusters with regions.

    Args:
        miou: Mean over regions of the largest intersection over union with a cluster, in (0, 1].
        covering: The same, weighted by the size of the regions (Arbelaez et al., PAMI 2011, section 3.1.3).
    """

    miou: float
    covering: float


def overlaps(regions: Tensor, clusters: Tensor) -> Tensor:
    """Number of pixels that each region shares with each cluster.

    Args:
        regions: (H, W) of any integer type, any values.
        clusters: Likewise.

    Returns:
        (regions, clusters) int64, in the order of their values; no row or column is empty.

    Raises:
        ValueError: If the two have different shapes, or no pixel.
    """
    if regions.shape != clusters.shape or not regions.numel():
        raise ValueError(
            f"regions have shape {tuple(regions.shape)} and clusters {tuple(clusters.shape)}; expected the same, with "
            "pixels: bring the clusters to the size of the regions first"
        )
    (_, row), (_, column) = (torch.unique(ids.flatten(), return_inverse=True) for ids in (regions, clusters))
    count, width = int(row.max()) + 1, int(column.max()) + 1
    return torch.bincount(row * width + column, minlength=count * width).view(count, width)


def best_match(regions: Tensor, clusters: Tensor) -> Matching:
    """Compare with the cluster of highest intersection over union of each region; a cluster may serve several.

    Args:
        regions: What a person drew, (H, W) of any integer type; every value is a region.
        clusters: What was found, likewise.

    Raises:
        ValueError: If the two have different shapes, or no pixel.
    """
    table = overlaps(regions, clusters).double()
    sizes = table.sum(dim=1)
    iou = table / (sizes[:, None] + table.sum(dim=0) - table)
    best = iou.amax(dim=1)
    return Matching(float(best.mean()), float((best * sizes).sum() / sizes.sum()))
