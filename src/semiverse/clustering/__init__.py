"""Segment one image without labels or a training set, by back-propagation (Kanezaki, ICASSP 2018)."""

from semiverse.clustering.folder import name_clusters
from semiverse.clustering.network import Network
from semiverse.clustering.results import Cluster, Clusters, check_count, describe, group_clusters
from semiverse.clustering.segment import Refinement, Settings, segment, superpixels

__all__ = [
    "Cluster",
    "Clusters",
    "Network",
    "Refinement",
    "Settings",
    "check_count",
    "describe",
    "group_clusters",
    "name_clusters",
    "segment",
    "superpixels",
]
