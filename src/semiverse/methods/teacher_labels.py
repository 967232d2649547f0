"""What a teacher's scores become: a label for every pixel, and how much it counts."""

from typing import NamedTuple

import torch
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.upsampling import ScoreMap, argmax_with_confidence


class Labels(NamedTuple):
    """What a teacher says of images, or their true labels.

    Args:
        mask: Train ids, or ``IGNORE`` beyond the image, (N, H, W) uint8.
        sure: Where they are to be learned, (N, H, W) bool, or how much each counts, 0 or more.
    """

    mask: Tensor
    sure: Tensor

    @property
    def learned(self) -> Tensor:
        """The mask with ``IGNORE`` where it does not count, (N, H, W) uint8."""
        return self.mask.masked_fill(self.sure == 0, IGNORE)

    @property
    def counts(self) -> Tensor | None:
        """How much each counts, (N, H, W); None: all that are learned alike."""
        return None if self.sure.dtype == torch.bool else self.sure


def predicted(logits: ScoreMap, images: Tensor, padding: Tensor | None, classes: int) -> tuple[Tensor, Tensor]:
    """The likeliest of so many classes at every pixel of images, (N, 3, H, W), and its probability.

    Returns:
        Train ids, (N, H, W) uint8, ``IGNORE`` in the padding and where a none class is likeliest; (N, H, W) in (0, 1].
    """
    mask, confidence = argmax_with_confidence(logits, (images.shape[-2], images.shape[-1]))
    mask = mask.masked_fill(mask >= classes, IGNORE)  # a none class, or no number
    return (mask if padding is None else mask.masked_fill(padding == IGNORE, IGNORE)), confidence
