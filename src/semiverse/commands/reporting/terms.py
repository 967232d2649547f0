"""What methods record in metrics.csv, in words."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

TERMS = {
    "supervised": ("Cross entropy of labelled pixels", "nats per pixel"),
    "anchor": ("Cross entropy of similarities with label rows", "nats per pixel"),
    "entropy_within": ("Entropy against own labels", "nats per pixel"),
    "entropy_across": ("Entropy against labels of other domains", "nats per pixel"),
    "entropy_of_assignment": ("Entropy of the mean assignment", "nats"),
    "largest_score": ("Largest similarity", "similarity"),
    "projection_norm": ("Mean length of projected pixels of validation images", "similarity"),
    "agreement": (
        "Cells of validation images where label embedding and decoder choose the same class",
        "share of cells",
    ),
    "latent": ("Entropy of the class given the latent class", "nats per pixel"),
    "consistency": ("Cross entropy of implied with found latent classes", "nats per pixel"),
    "labeled_adversarial": ("Adversarial term of labelled images", "nats per pixel"),
    "unlabeled_adversarial": ("Adversarial term of unlabelled images", "nats per pixel"),
    "pseudo_label": ("Cross entropy with pseudo-labels", "nats per labelled pixel"),
}
"""Title and unit of what methods record; others keep their own names."""

Scale = Literal["linear", "whole", "log"]
"""Of a panel's values: any, whole numbers, or logarithms, with zero at the bottom."""


class Pair(NamedTuple):
    """Two terms that are read together: title, unit, scale, factor that brings values to the unit, legend by term."""

    title: str
    unit: str
    scale: Scale
    factor: float
    terms: Mapping[str, str]


PAIRS = {
    "effective_latent_classes": Pair(
        "Latent classes that some class predicts with a probability above 0.1, and above 0.9",
        "latent classes",
        "whole",
        1.0,
        {"effective_latent_classes_0.1": " above 0.1", "effective_latent_classes_0.9": " above 0.9"},
    ),
    "discriminator": Pair(
        "How often the discriminator is right, on predictions and on label maps",
        "% of its outputs",
        "linear",
        100.0,
        {"discriminator_right_on_predictions": ", predictions", "discriminator_right_on_labels": ", labels"},
    ),
    "discriminator_loss": Pair(
        "Cross entropy of the discriminator on predictions and on label maps, means since the previous validation",
        "nats per pixel",
        "linear",
        1.0,
        {"discriminator_on_predictions": ", predictions", "discriminator_on_labels": ", labels"},
    ),
}
BY_CLASS = "pseudo_labels/"
"""How terms begin that are recorded for every class: the share of all pixels that it labels."""
