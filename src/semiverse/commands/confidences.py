"""From which confidence on the pixels of a class are kept: given, or found from how sure a model is of them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from semiverse.labels import IGNORE, LabelSpace

BINS = 1000
EDGES = (1 - torch.linspace(1, 0, BINS + 1, dtype=torch.float64)[:-1] ** 4).float()
"""Lowest confidence of each bin, ascending from 0. The bins are equally wide in the fourth root of 1 - confidence:
0.004 at 0, but 0.00002 at 0.999. A trained network is that sure of most pixels, and equal steps would merge them."""


def given_thresholds(labels: LabelSpace, threshold: float | Mapping[str, float]) -> list[float]:
    """The threshold of each class: the same for all, or its own by its name.

    Raises:
        ValueError: If a class is not named or not known, or a threshold is no probability.
    """
    named = threshold if isinstance(threshold, Mapping) else dict.fromkeys(labels.classes, threshold)
    missing = [title for title in labels.classes if title not in named]
    unknown = [title for title in named if title not in labels.classes]
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"names {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(
            f"threshold {' and '.join(parts)}; expected one number, or one for each of {', '.join(labels.classes)}: "
            "correct it"
        )
    for title, value in named.items():
        if not 0 <= value <= 1:
            raise ValueError(f"the threshold of {title} is {value}; expected a probability in [0, 1]: change it")
    return [float(named[title]) for title in labels.classes]


class ConfidenceHistogram:
    """Predicted pixels by class and confidence: what it takes to find thresholds without keeping any confidence.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, BINS, dtype=torch.int64)

    def add(self, mask: Tensor, confidence: Tensor) -> None:
        """Count the pixels of a prediction.

        Args:
            mask: Train ids or ``IGNORE``, which is not counted; (H, W) uint8.
            confidence: Probability of each pixel's class, (H, W) float32 in [0, 1].
        """
        predicted = mask != IGNORE
        bins = torch.bucketize(confidence[predicted], EDGES, right=True) - 1
        cells = mask[predicted].long() * BINS + bins
        self.counts += torch.bincount(cells, minlength=self.counts.numel()).view_as(self.counts)

    def thresholds(self, keep: float) -> list[float | None]:
        """From which confidence on the most confident share of the pixels of each predicted class is kept.

        As in class-balanced self-training (Zou et al., ECCV 2018, section 4.3 and algorithm 2), the threshold of class
        c is the confidence ranked at round(p N_c) among the N_c pixels predicted as c; here, the lower edge of its bin.
        So a class keeps the share p, and at most the rest of one bin more.

        Args:
            keep: The share p, in (0, 1].

        Returns:
            A threshold a class, None for classes that no pixel is predicted as.
        """
        ranks = (keep * self.counts.sum(dim=1)).round().clamp(min=1)
        at_least = self.counts.flip(1).cumsum(dim=1).flip(1)  # pixels in this bin or a higher one
        bins = (at_least >= ranks[:, None]).sum(dim=1) - 1
        return [float(EDGES[i]) if i >= 0 else None for i in bins.tolist()]
