"""The draw of labelled images by class: rare class sampling (DAFormer, Hoyer et al., CVPR 2022, section 4.2)."""

from collections.abc import Sequence

import numpy as np

from semiverse.data import Content, Resolution

ENOUGH = 3000 / 512**2
"""Share of a view that a class has to have in an image to be drawn there, as in DAFormer's public code."""
MOST = 3.0
"""Times the uniform probability: more no class gets, or the one image that shows the rarest would be drawn always."""


def class_probabilities(pixels: np.ndarray, temperature: float) -> np.ndarray:
    """Numbers of labelled pixels of C classes, (C,) → how often each is drawn, (C,), a sum of 1.

    P(c) = exp((1 - f_c) / temperature) / sum, f_c being the share of the pixels; at most 3 / C of the C classes that
    occur, and what is above goes to the others in proportion. A class without pixels is never drawn.
    """
    found = np.zeros(len(pixels))
    shown = pixels > 0
    logits = (1 - pixels[shown] / max(pixels.sum(), 1)) / temperature
    probability, most = _softmax(logits), MOST / max(len(logits), 1)
    full = np.zeros(len(logits), dtype=bool)
    while (probability[~full] > most).any():
        full |= probability > most
        probability[full] = most
        probability[~full] = (1 - most * full.sum()) * _softmax(logits[~full])
    found[shown] = probability
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    if not len(logits):
        return logits
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


class RareClasses:
    """Which labelled image is drawn at a place of a stream, and what its view has to show.

    First a class is drawn, then one of the images that show enough of it in a view; of a class of which none does, one
    of those that show any.

    Args:
        contents: Of the labelled images, in the order of the stream.
        classes: Number of classes.
        resolution: At which they are seen.
        crop: (height, width) of a view; None: whole images.
        temperature: Of the draw.
    """

    def __init__(
        self,
        contents: Sequence[Content],
        classes: int,
        resolution: Resolution,
        crop: tuple[int, int] | None,
        temperature: float,
    ) -> None:
        nothing = np.zeros(classes, dtype=np.int64)
        pixels = np.array([nothing if one.pixels is None else one.pixels[:classes] for one in contents])
        own = np.array([one.size or (1, 1) for one in contents], dtype=float).prod(axis=1)
        seen = np.array([resolution.of(*(one.size or (1, 1))) for one in contents], dtype=float).prod(axis=1)
        enough = ENOUGH * (seen if crop is None else np.full_like(seen, crop[0] * crop[1]))
        many = pixels * (seen / own)[:, None] >= enough[:, None]
        self.rare = ~many.any(axis=0)
        self.images = np.where(self.rare, pixels > 0, many)
        self.probability = class_probabilities(pixels.sum(axis=0), temperature)
        self.least = 0.0 if crop is None else float(enough[0]) / 2  # whole images show what they show

    def draw(self, seed: Sequence[int]) -> tuple[int, tuple[int, float]]:
        """From a seed the number of an image, and the class of whose pixels its view has to show more than so many."""
        generator = np.random.default_rng(seed)
        label = int(generator.choice(len(self.probability), p=self.probability))
        image = int(generator.choice(np.flatnonzero(self.images[:, label])))
        return image, (label, 0.0 if self.rare[label] else self.least)
