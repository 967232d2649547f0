"""One numbering for the clusters of many images: like colours at like heights get one number."""

from collections.abc import Mapping, Sequence

import numpy as np

from semiverse.clustering.results import Cluster
from semiverse.labels import IGNORE

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
