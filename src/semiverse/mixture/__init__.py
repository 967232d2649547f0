"""Mixtures: domains with label budgets, and the batches that are drawn from them."""

from semiverse.mixture.batches import Draws, TrainBatch
from semiverse.mixture.domain import Domain
from semiverse.mixture.mixture import DomainMixture

__all__ = ["Domain", "DomainMixture", "Draws", "TrainBatch"]
