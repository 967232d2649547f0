"""Discriminators that tell predictions from label maps, pixel by pixel (Hung et al., BMVC 2018, section 3)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import FAKE, REAL, adversarial_loss, one_hot_map
from semiverse.methods.bookkeeping import Means
from semiverse.methods.processes import mean_over_processes
from semiverse.methods.refusals import refuse_none_class
from semiverse.models import Discriminator, SegmentationModel
from semiverse.upsampling import full_precision


class Prediction(NamedTuple):
    """What a model predicted, cut off from it.

    Args:
        space: Key of the label space.
        logits: (N, C, h, w).
        size: Height and width of the images, (H, W).
        mask: Where pixels are ignored, (N, H, W); None where there are no labels: all of them count.
    """

    space: str
    logits: Tensor
    size: tuple[int, int]
    mask: Tensor | None

    @property
    def pixels(self) -> Tensor:
        """Number of pixels that count, a scalar."""
        if self.mask is None:
            return torch.tensor(len(self.logits) * self.size[0] * self.size[1], device=self.logits.device)
        return (self.mask != IGNORE).sum()


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
        self.align_corners = model.config.align_corners
        self.space_of = {domain: model.space_key(domain) for domain in model.label_spaces}
        self.classes = {space: len(model.label_spaces[space]) for space in self.space_of.values()}
        self.networks = nn.ModuleDict({space: Discriminator(count) for space, count in self.classes.items()})

    def judge(self, prediction: Prediction, logits: Tensor) -> Tensor:
        """What the discriminator says of a prediction at the size of its images.

        Args:
            prediction: The prediction.
            logits: Its logits, (N, C, h, w), with whatever gradient they carry.

        Returns:
            Logits of being labels, (N, 1, H // 32, W // 32).
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = full_precision(logits)
            corners = self.align_corners
            maps = F.interpolate(logits, size=prediction.size, mode="bilinear", align_corners=corners).softmax(dim=1)
        return self._ask(prediction.space, maps)

    def deceive(self, prediction: Prediction, judgement: Tensor) -> Tensor:
        """L_adv: how far a judgement is from taking a prediction for labels, on all pixels that count."""
        return self._loss(judgement, REAL, prediction.mask, prediction.size, prediction.pixels, prediction.pixels)

    def losses(self, predictions: list[Prediction], truth: Mapping[str, Sample], means: Means) -> Iterator[Tensor]:
        """L_D of each label space: one half for all predictions together, one half for all label maps.

        Args:
            predictions: Of the model, in this step.
            truth: Labelled samples by domain.
            means: Where to note losses, and how often the discriminators are right.
        """
        pixels = {domain: (sample.mask != IGNORE).sum() for domain, sample in truth.items()}
        fake = _totals((prediction.space, prediction.pixels) for prediction in predictions)
        real = _totals((self.space_of[domain], count) for domain, count in pixels.items())
        parts: list[tuple[str, Tensor]] = []
        for prediction in predictions:
            space, size = prediction.space, prediction.size
            judgement = self.judge(prediction, prediction.logits)
            means.add(f"{space}/discriminator_right_on_predictions", (judgement < 0).float().mean())
            loss = self._loss(judgement, FAKE, prediction.mask, size, prediction.pixels, fake[space])
            parts.append((f"{space}/discriminator_on_predictions", loss.detach()))
            yield 0.5 * loss
        for domain, sample in truth.items():
            space, size = self.space_of[domain], (sample.mask.shape[1], sample.mask.shape[2])
            judgement = self._ask(space, one_hot_map(sample.mask, self.classes[space]))
            means.add(f"{space}/discriminator_right_on_labels", (judgement > 0).float().mean())
            loss = self._loss(judgement, REAL, sample.mask, size, pixels[domain], real[space])
            parts.append((f"{space}/discriminator_on_labels", loss.detach()))
            yield 0.5 * loss
        for name, total in _totals(parts).items():
            means.add(name, total)

    def _ask(self, space: str, maps: Tensor) -> Tensor:
        network = cast(Discriminator, self.networks[space])
        return cast(Tensor, network(maps.to(network.classifier.weight.dtype)))

    def _loss(
        self, judgement: Tensor, label: float, mask: Tensor | None, size: tuple[int, int], own: Tensor, total: Tensor
    ) -> Tensor:
        """The part of a mean over ``total`` pixels, those of all processes, that ``own`` pixels have in it."""
        loss = adversarial_loss(judgement, label, mask, size, align_corners=self.align_corners)
        return loss * (own.double() / mean_over_processes(total.double()).clamp(min=1)).to(loss.dtype)


def _totals(counts: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Sums of what has the same name."""
    totals: dict[str, Tensor] = {}
    for name, count in counts:
        totals[name] = totals[name] + count if name in totals else count
    return totals
