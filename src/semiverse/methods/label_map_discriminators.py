"""Discriminators that tell predictions from label maps, one a label space (Hung et al., BMVC 2018, section 3)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.distributed import mean_over_processes
from semiverse.labels import IGNORE
from semiverse.losses import FAKE, REAL, adversarial_loss, one_hot_map
from semiverse.methods.method import Curve, Means
from semiverse.models import Discriminator, SegmentationModel
from semiverse.upsampling import ScoreMap


def curves_of_sides(sides: Sequence[str], panel: str, right: str, loss: str, unit: str) -> dict[str, Curve]:
    """How often a discriminator is right on either side, and its loss there: two panels, with these titles."""
    rights = (Curve(right, "% of its outputs", panel, f", {side}", factor=100) for side in sides)
    losses = (Curve(loss, unit, f"{panel}_loss", f", {side}") for side in sides)
    names = [f"discriminator_{kind}_{side}" for kind in ("right_on", "on") for side in sides]
    return dict(zip(names, [*rights, *losses], strict=True))


class Prediction(NamedTuple):
    """What a model predicted, cut off from it, or a label map in its place.

    Args:
        space: Key of the label space.
        logits: (N, C, h, w); None for a label map, which is the mask.
        size: Height and width of the images, (H, W).
        mask: Where pixels are ignored, (N, H, W); None where there are no labels: all inside the images count.
        padding: What lies beyond the images, (N, H, W), as in ``Sample``.
    """

    space: str
    logits: ScoreMap | None
    size: tuple[int, int]
    mask: Tensor | None
    padding: Tensor | None = None

    @property
    def counted(self) -> Tensor | None:
        """Where pixels do not count, (N, H, W) ``IGNORE``: without a label, or beyond an image; None: all do."""
        return self.padding if self.mask is None else self.mask

    @property
    def pixels(self) -> Tensor:
        """Number of pixels that count, a scalar."""
        if self.counted is None:
            values = cast(ScoreMap, self.logits).values
            return torch.tensor(len(values) * self.size[0] * self.size[1], device=values.device)
        return (self.counted != IGNORE).sum()


class LabelMapDiscriminators(nn.Module):
    """One discriminator a label space.

    Args:
        model: Whose predictions they judge.

    Raises:
        ValueError: If the model's heads have a channel that is no class.
    """

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        refuse_none_class(model)
        # What lies outside an image is no reason for a judgement to be undecided.
        self.upsampling = model.upsampling._replace(zero_border=False)
        self.space_of = {domain: model.space_key(domain) for domain in model.label_spaces}
        self.classes = {space: len(model.label_spaces[space]) for space in self.space_of.values()}
        self.networks = nn.ModuleDict({space: Discriminator(count) for space, count in self.classes.items()})

    def judge(self, space: str, maps: Tensor) -> ScoreMap:
        """Probabilities or one-hot labels at the size of their images, (N, C, H, W) → logits of being labels."""
        network = cast(Discriminator, self.networks[space])
        return ScoreMap(network(maps.to(network.classifier.weight.dtype)), self.upsampling)

    def loss(self, judgement: ScoreMap, label: float, one: Prediction, total: Tensor) -> Tensor:
        """The part of a mean over ``total`` pixels, those of all processes, that those of a prediction have in it."""
        loss = adversarial_loss(judgement.at(one.size), label, one.counted)
        return loss * (one.pixels.double() / mean_over_processes(total.double()).clamp(min=1)).to(loss.dtype)

    def losses(self, predictions: list[Prediction], truth: Mapping[str, Sample], means: Means) -> Iterator[Tensor]:
        """L_D of each label space: one half for all predictions together, one half for all label maps.

        Args:
            predictions: Of the model, in this step.
            truth: Labelled samples by domain.
            means: Where to note losses, and how often the discriminators are right.
        """
        masks = [(self.space_of[domain], sample.mask) for domain, sample in truth.items()]
        maps = [Prediction(space, None, (mask.shape[1], mask.shape[2]), mask) for space, mask in masks]
        sides = [*zip(repeat("predictions"), predictions), *zip(repeat("labels"), maps)]
        totals = _totals((f"{one.space}/{side}", one.pixels) for side, one in sides)
        parts: list[tuple[str, Tensor]] = []
        for side, one in sides:
            if one.logits is None:
                label, sign, shown = REAL, 1, one_hot_map(cast(Tensor, one.mask), self.classes[one.space])
            else:
                label, sign, shown = FAKE, -1, one.logits.at(one.size).softmax(dim=1)
            judgement = self.judge(one.space, shown)
            right = share_inside(sign * judgement.values > 0, judgement, one.padding)
            means.add(f"{one.space}/discriminator_right_on_{side}", right)
            loss = self.loss(judgement, label, one, totals[f"{one.space}/{side}"])
            parts.append((f"{one.space}/discriminator_on_{side}", loss.detach()))
            yield 0.5 * loss
        for name, total in _totals(parts).items():
            means.add(name, total)


def _totals(counts: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Sums of what has the same name."""
    totals: dict[str, Tensor] = {}
    for name, count in counts:
        totals[name] = totals[name] + count if name in totals else count
    return totals


def refuse_none_class(model: SegmentationModel) -> None:
    """Refuse a model whose heads have a channel that is no class."""
    if model.config.none_class:
        raise ValueError(
            "adversarial terms and latent classes need a head channel for each class and no other; found "
            "model.none_class: true: set it to false"
        )


def share_inside(right: Tensor, judgement: ScoreMap, padding: Tensor | None) -> Tensor:
    """The share of a discriminator's outputs, (N, 1, h, w), that are right; those in the padding do not count."""
    inside = torch.ones_like(right[:, 0]) if padding is None else judgement.at_cells(padding) != IGNORE
    count = mean_over_processes(inside.sum().double()).clamp(min=1)
    return (right[:, 0] & inside).sum().float() / count.float()
