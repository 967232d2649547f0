"""What one record holds."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from semiverse.data.facts import ImageFacts, MaskFacts

At = Literal["image", "mask", "size", "reader"]


@dataclass(frozen=True)
class Content:
    """What one record holds.

    Args:
        id: Of the record.
        size: (height, width); None where the image cannot be read.
        pixels: Number of pixels of each class, and of ``IGNORE`` at the end; None without a readable mask.
        problem: What is wrong with it, or None.
        at: Where that is: in the image, the mask, their sizes, or in how the dataset reads the mask.
        image: What is known of the image; None where it cannot be read.
        mask: What is known of the mask; None where there is none.
    """

    id: str
    size: tuple[int, int] | None
    pixels: np.ndarray | None
    problem: str | None = None
    at: At | None = None
    image: ImageFacts | None = None
    mask: MaskFacts | None = None

    @property
    def classes(self) -> frozenset[int]:
        """Train ids that occur."""
        return frozenset() if self.pixels is None else frozenset(np.flatnonzero(self.pixels[:-1]).tolist())
