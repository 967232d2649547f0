"""Pictures of masks."""

import torch
from torch import Tensor

from semiverse.labels import IGNORE, LabelSpace

_STRIP_PIXELS = 2**20
"""Pixels that are drawn at once: what they need in full precision is many times their bytes."""


def overlay(image: Tensor, mask: Tensor, labels: LabelSpace, strength: float = 0.55) -> Tensor:
    """An image with its mask laid over it, borders between classes drawn darker.

    Args:
        image: (3, H, W) uint8.
        mask: (H, W) train ids or ``IGNORE``, which leaves the image as it is.
        labels: Whose colours.
        strength: Share of the colour, in [0, 1].

    Returns:
        (3, H, W) uint8.
    """
    laid, rows = torch.empty_like(image), max(1, _STRIP_PIXELS // max(1, mask.shape[1]))
    for top in range(0, len(mask), rows):
        below = mask[top : top + rows + 1]  # the border of a row depends on the next one
        edge, part = borders(below)[:rows], below[:rows]
        colors = labels.colorize(part).permute(2, 0, 1).float()
        share = torch.where(edge, 1.0, strength * (part != IGNORE).float())
        colors = torch.where(edge, colors * 0.5, colors)
        laid[:, top : top + rows] = (image[:, top : top + rows].float() * (1 - share) + colors * share).round()
    return laid


def borders(mask: Tensor) -> Tensor:
    """Pixels whose right or lower neighbour has another label, (H, W) bool."""
    edge = torch.zeros_like(mask, dtype=torch.bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    return edge
