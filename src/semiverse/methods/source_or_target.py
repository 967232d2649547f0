"""Discriminators that tell source from target by predictions, one a level (Tsai et al., CVPR 2018, section 3)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.losses import adversarial_loss
from semiverse.methods.bookkeeping import Means
from semiverse.models import Discriminator
from semiverse.upsampling import full_precision

SOURCE, TARGET = 0.0, 1.0
"""What a discriminator says of predictions for images of the source, and of the target."""


class Levels(NamedTuple):
    """What a model predicted of some images at every level, cut off from it.

    Args:
        logits: (N, C, h, w) by level; sizes h, w may differ.
        size: Height and width of the images, (H, W).
        side: ``SOURCE`` or ``TARGET``.
        share: Of the images of that side in the step, in (0, 1].
    """

    logits: dict[str, Tensor]
    size: tuple[int, int]
    side: float
    share: float

    @classmethod
    def cut_off(cls, logits: Mapping[str, Tensor], images: Tensor, side: float, share: float) -> Self:
        """Predictions for images, (N, 3, H, W), without the gradient that they carry."""
        size = (images.shape[-2], images.shape[-1])
        return cls({level: one.detach() for level, one in logits.items()}, size, side, share)


class SourceOrTarget(nn.Module):
    """A discriminator a level, which judges class probabilities at the size of the images.

    Args:
        levels: Names of the levels.
        classes: Channels C of the predictions.
        least_squares: (logit - label)² instead of the logistic loss.
        align_corners: Of the upsampling of logits.
    """

    def __init__(self, levels: Sequence[str], classes: int, least_squares: bool, align_corners: bool) -> None:
        super().__init__()
        self.least_squares, self.align_corners = least_squares, align_corners
        self.networks = nn.ModuleDict({level: Discriminator(classes) for level in levels})

    def judge(self, level: str, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """What a discriminator says of a prediction.

        Args:
            level: Its level.
            logits: (N, C, h, w).
            size: Height and width of the images, (H, W).

        Returns:
            Logits of being a prediction for the target, (N, 1, H // 32, W // 32).
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = full_precision(logits)
            maps = F.interpolate(logits, size=size, mode="bilinear", align_corners=self.align_corners).softmax(dim=1)
        network = cast(Discriminator, self.networks[level])
        return cast(Tensor, network(maps.to(network.classifier.weight.dtype)))

    def loss(self, judgement: Tensor, side: float) -> Tensor:
        """How far a judgement is from ``SOURCE`` or ``TARGET``: the mean over (N, 1, h, w), without upsampling."""
        return adversarial_loss(judgement, side, least_squares=self.least_squares)

    def deceive(self, logits: Mapping[str, Tensor], size: tuple[int, int]) -> Iterator[tuple[str, Tensor]]:
        """L_adv of each level, for predictions (N, C, h, w) of the target that are to look like those for the source.

        It is the loss of a discriminator, which does not move, on the wrong label.
        """
        for level in self.networks:
            yield level, self.loss(self.judge(level, logits[level], size), SOURCE)

    def losses(self, seen: Iterable[Levels], means: Means) -> Iterator[Tensor]:
        """L_D of each level: one half for the source, one half for the target.

        Args:
            seen: What the model predicted in this step.
            means: Where to note losses, and how often the discriminators are right.
        """
        for one in seen:
            title = "source" if one.side == SOURCE else "target"
            for level in self.networks:
                judgement = self.judge(level, one.logits[level], one.size)
                loss = self.loss(judgement, one.side)
                means.add(f"{level}/discriminator_on_{title}", loss)
                means.add(f"{level}/discriminator_right_on_{title}", self.right(judgement, one.side))
                yield 0.5 * one.share * loss

    def right(self, judgement: Tensor, side: float) -> Tensor:
        """Share of judgements that are nearer to the true side than to the other, a scalar."""
        border = 0.5 * (SOURCE + TARGET) if self.least_squares else 0.0
        return ((judgement > border) == (side == TARGET)).float().mean()
