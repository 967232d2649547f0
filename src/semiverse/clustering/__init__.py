"""Segment one image without labels or a training set, by back-propagation (Kanezaki, ICASSP 2018)."""

from semiverse.clustering.groups import check_count, group_clusters
from semiverse.clustering.naming import name_clusters
from semiverse.clustering.network import Network
from semiverse.clustering.refinement import Refinement
from semiverse.clustering.results import Cluster, Clusters, describe
from semiverse.clustering.segment import segment
from semiverse.clustering.settings import Settings
from semiverse.clustering.superpixels import superpixels

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
