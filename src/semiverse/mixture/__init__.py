"""Mixtures: domains with label budgets, and the batches that are drawn from them."""

from semiverse.mixture.balance import Balance
from semiverse.mixture.batches import Draws, TrainBatch
from semiverse.mixture.domain import Domain
from semiverse.mixture.mixture import DomainMixture

__all__ = ["Balance", "Domain", "DomainMixture", "Draws", "TrainBatch"]
