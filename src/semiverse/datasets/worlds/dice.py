"""Random choices of a scene."""

from collections.abc import Sequence

import numpy as np

from semiverse.datasets.worlds.materials import Color


class Dice:
    """Draws what a scene leaves to chance.

    Args:
        rng: Where every choice comes from.
        vivid: Factor on how colourful colours are.
    """

    def __init__(self, rng: np.random.Generator, vivid: float = 1.0) -> None:
        self.rng, self.vivid = rng, vivid

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A number between two others."""
        return low + (high - low) * float(self.rng.random())

    def count(self, low: int, high: int) -> int:
        """A whole number from one to another, both included."""
        return int(self.rng.integers(low, high + 1))

    def start(self) -> float:
        """Where a texture begins in the noise tables."""
        return self.between(0, 200)

    def color(self, choices: Sequence[Color], spread: float = 0.05) -> Color:
        """One of some colours, varied."""
        color = choices[int(self.rng.integers(len(choices)))]
        brightness = self.between(0.75, 1.25)
        change = self.rng.standard_normal(3).tolist()
        red, green, blue = (brightness * part + spread * step for part, step in zip(color, change, strict=True))
        gray = (red + green + blue) / 3
        vivid = [min(max(gray + self.vivid * (part - gray), 0.03), 0.95) for part in (red, green, blue)]
        return vivid[0], vivid[1], vivid[2]
