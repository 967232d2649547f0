"""Second players of adaptation: discriminators that tell predictions for source and target apart.

Tsai et al., CVPR 2018, section 3.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from semiverse.distributed import mean_over_processes
from semiverse.labels import IGNORE
from semiverse.losses import adversarial_loss
from semiverse.methods.label_map_discriminators import share_inside
from semiverse.methods.method import Means
from semiverse.models import Discriminator
from semiverse.upsampling import ScoreMap

SOURCE, TARGET = 0.0, 1.0
"""What a discriminator says of predictions for images of the source, and of the target."""


class Levels(NamedTuple):
    """What a model predicted of some images at every level, cut off from it.

    Args:
        logits: (N, C, h, w) by level; sizes h, w may differ.
        size: Height and width of the images, (H, W).
        side: ``SOURCE`` or ``TARGET``.
        share: Of the images of that side in the step, in (0, 1].
        padding: What lies beyond the images, (N, H, W), as in ``Sample``.
    """

    logits: dict[str, ScoreMap]
    size: tuple[int, int]
    side: float
    share: float
    padding: Tensor | None

    @classmethod
    def cut_off(
        cls, logits: Mapping[str, ScoreMap], images: Tensor, side: float, share: float, padding: Tensor | None
    ) -> Self:
        """Predictions for images, (N, 3, H, W), without the gradient that they carry."""
        size = (images.shape[-2], images.shape[-1])
        return cls({level: one.detach() for level, one in logits.items()}, size, side, share, padding)


class SourceOrTarget(nn.Module):
    """A discriminator a level, which judges class probabilities at the size of the images.

    Args:
        levels: Names of the levels.
        classes: Channels C of the predictions.
        least_squares: (logit - label)² instead of the logistic loss.
    """

    def __init__(self, levels: Sequence[str], classes: int, least_squares: bool) -> None:
        super().__init__()
        self.least_squares = least_squares
        self.networks = nn.ModuleDict({level: Discriminator(classes) for level in levels})

    def judge(self, level: str, logits: ScoreMap, size: tuple[int, int]) -> Tensor:
        """Logits of being a prediction for the target, (N, 1, H // 32, W // 32), for images of size (H, W)."""
        network = cast(Discriminator, self.networks[level])
        return cast(Tensor, network(logits.at(size).softmax(dim=1).to(network.classifier.weight.dtype)))

    def loss(self, judgement: Tensor, side: float, padding: Tensor | None = None) -> Tensor:
        """How far a judgement is from ``SOURCE`` or ``TARGET``: the mean over (N, 1, h, w), without upsampling.

        Outputs of which the pixel in the middle lies in the padding, (N, H, W), do not count. Of several processes each
        has its part of the mean over all.
        """
        mask = None if padding is None else ScoreMap(judgement).at_cells(padding)
        count = torch.tensor(judgement.numel(), device=judgement.device) if mask is None else (mask != IGNORE).sum()
        part = count.double() / mean_over_processes(count.double()).clamp(min=1)
        loss = adversarial_loss(judgement, side, mask, self.least_squares)
        return loss * part.to(loss.dtype)

    def losses(self, seen: Iterable[Levels], means: Means) -> Iterator[Tensor]:
        """L_D of each level: one half for the source, one half for the target.

        Args:
            seen: What the model predicted in this step.
            means: Where to note losses, and how often the discriminators are right.
        """
        border = 0.5 * (SOURCE + TARGET) if self.least_squares else 0.0
        for one in seen:
            title = "source" if one.side == SOURCE else "target"
            for level in self.networks:
                judgement = self.judge(level, one.logits[level], one.size)
                loss = self.loss(judgement, one.side, one.padding)
                means.add(f"{level}/discriminator_on_{title}", loss)
                right = (judgement > border) == (one.side == TARGET)
                share = share_inside(right, ScoreMap(judgement), one.padding)
                means.add(f"{level}/discriminator_right_on_{title}", share)
                yield 0.5 * one.share * loss
