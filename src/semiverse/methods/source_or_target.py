"""Discriminators that tell source from target by predictions, one a level (Tsai et al., CVPR 2018, section 3)."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.losses import adversarial_loss
from semiverse.models import Discriminator, SegmentationModel
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

    def right(self, judgement: Tensor, side: float) -> Tensor:
        """Share of judgements that are nearer to the true side than to the other, a scalar."""
        border = 0.5 * (SOURCE + TARGET) if self.least_squares else 0.0
        return ((judgement > border) == (side == TARGET)).float().mean()


def refuse_separate_labels(model: SegmentationModel) -> None:
    """Refuse a model whose domains have not all the same classes, or not one network.

    Raises:
        ValueError: If so; the message says how to project datasets into common classes.
    """
    first, *others = model.label_spaces
    for other in others:
        one, two = model.label_spaces[first], model.label_spaces[other]
        if one != two:
            raise ValueError(
                f"domain {first} has the label space {one.name!r} ({', '.join(one.classes)}), domain {other} "
                f"{two.name!r} ({', '.join(two.classes)}); expected one name and the same classes in all domains, as "
                "predictions for source and target are compared class by class: project the datasets with {class_path: "
                "Remapped, init_args: {dataset: ..., mapping: {old: new, ...}, classes: [...], name: common}}, classes "
                "and name the same in each"
            )
    if model.config.separate:
        raise ValueError(
            "Adaptation found model.separate: true, with which the target's network would learn nothing from the "
            "source's labels; expected one network: set it to false"
        )


def refuse_unseen_domains(model: SegmentationModel, sources: Sequence[str], targets: Sequence[str] | None) -> None:
    """Refuse an adversary without a target, and domains whose own batch-norm statistics would never be learned.

    Args:
        model: The model.
        sources: Domains with labels.
        targets: Domains to adapt to; None: there is no adversary, so that no target is looked at.

    Raises:
        ValueError: If so.
    """
    if targets is not None and not targets:
        raise ValueError(
            f"none of the domains {', '.join(model.label_spaces)} has images but no labels; expected a target to adapt "
            "to: set data.domains.NAME.labeled: 0, or train on the source alone with adversary: 0 and "
            "auxiliary_adversary: 0"
        )
    unseen = [name for name in model.label_spaces if name not in (*sources, *(targets or ()))]
    if unseen and model.config.batch_norm == "per_domain":
        raise ValueError(
            f"domain {', '.join(unseen)} would never go through the network in training, so that batch-norm statistics "
            "of its own could not be learned; expected those of the source: set model.batch_norm: shared"
        )
