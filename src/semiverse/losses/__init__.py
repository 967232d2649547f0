"""Losses on score maps at feature resolution; those of every pixel's classes keep no map at full resolution.

The scores are upsampled strip by strip (``upsampling``), and each strip's gradient is formed in closed form and carried
back to the cells at once. The backward pass then only scales a map of the size of the scores.
"""

from semiverse.losses.adversarial import FAKE, REAL, adversarial_loss, one_hot_map, pseudo_labels
from semiverse.losses.cross_entropy import cross_entropy, weighted_pixels
from semiverse.losses.entropy import assignment_entropy, entropy
from semiverse.losses.latent import (
    Branch,
    co_occurrence,
    conditional_entropy,
    consistency,
    effective_latent_classes,
    latent_given_class,
    symmetric_divergence,
)

__all__ = [
    "FAKE",
    "REAL",
    "Branch",
    "adversarial_loss",
    "assignment_entropy",
    "co_occurrence",
    "conditional_entropy",
    "consistency",
    "cross_entropy",
    "effective_latent_classes",
    "entropy",
    "latent_given_class",
    "one_hot_map",
    "pseudo_labels",
    "symmetric_divergence",
    "weighted_pixels",
]
