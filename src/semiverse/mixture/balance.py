"""How rare classes get more than their few pixels: weights in cross entropies, and a draw of labelled images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semiverse.data import Content


@dataclass(frozen=True)
class Balance:
    """Class c counts (median frequency / frequency of c) ** exponent, within [1 / limit, limit].

    Eigen and Fergus (ICCV 2015), section 6.3.2, have exponent 1 and no limit; the root is milder, so that frequent
    classes are not forgotten.

    Args:
        exponent: 0: all count alike; 1: every class as much as any other.
        limit: Largest weight, and one over the smallest.
        temperature: Of the draw of labelled images by class (rare class sampling; DAFormer, Hoyer et al., CVPR 2022):
            the lower, the oftener rare classes are seen; 0.01 there, at least 0.05 with a hundred labelled images or
            fewer. None: all images are drawn equally often.

    Raises:
        ValueError: If the exponent is negative, the limit below 1 or the temperature not positive.
    """

    exponent: float = 0.5
    limit: float = 4.0
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(
                f"balance has temperature {self.temperature}; expected a positive number, or null: correct "
                "data.balance, to 0.05 say"
            )
        if self.exponent < 0 or self.limit < 1:
            raise ValueError(
                f"balance has exponent {self.exponent} and limit {self.limit}; expected 0 or more and 1 or more: "
                "correct data.balance"
            )

    def weights(self, pixels: Tensor) -> Tensor:
        """Numbers of labelled pixels of every class, (C,) → its weight, (C,) float32; 1 for a class without any."""
        shown = pixels > 0
        frequency = pixels[shown].double() / pixels.sum()
        weights = torch.ones(len(pixels), dtype=torch.float64)
        if len(frequency):
            middle = frequency.quantile(0.5)  # of an even number of classes the mean of the two in the middle
            weights[shown] = ((middle / frequency) ** self.exponent).clamp(1 / self.limit, self.limit)
        return weights.float()


def labeled_frequencies(contents: Sequence[Content], classes: int) -> Tensor:
    """Labelled pixels of every class in some images, (C,) int64."""
    found = [content.pixels[:classes] for content in contents if content.pixels is not None]
    return torch.from_numpy(np.sum(found, axis=0) if found else np.zeros(classes, dtype=np.int64))
