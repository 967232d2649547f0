"""Pictures of masks."""

import torch
from torch import Tensor

from semiverse.labels import IGNORE, LabelSpace


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
    colors = labels.colorize(mask).permute(2, 0, 1).float()
    share = strength * (mask != IGNORE).float()
    share = torch.where(borders(mask), torch.ones_like(share), share)
    colors = torch.where(borders(mask), colors * 0.5, colors)
    return (image.float() * (1 - share) + colors * share).round().to(torch.uint8)


def borders(mask: Tensor) -> Tensor:
    """Pixels whose right or lower neighbour has another label, (H, W) bool."""
    edge = torch.zeros_like(mask, dtype=torch.bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    return edge
