"""Discriminators that tell predictions from label maps, pixel by pixel (Hung et al., BMVC 2018, section 3)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.losses import FAKE, REAL, adversarial_loss, one_hot_map
from semiverse.methods.bookkeeping import Means
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
    def pixels(self) -> int:
        """Number of pixels that count."""
        return len(self.logits) * self.size[0] * self.size[1] if self.mask is None else int((self.mask != IGNORE).sum())


class LabelMapDiscriminators(nn.ModuleDict):
    """One discriminator a label space.

    Args:
        model: Whose predictions they judge.

    Raises:
        ValueError: If the model's heads have a channel that is no class.
    """

    def __init__(self, model: SegmentationModel) -> None:
        if model.config.none_class:
            raise ValueError(
                "adversarial terms need a head channel for each class and no other; found model.none_class: true: set "
                "it to false"
            )
        self.align_corners = model.config.align_corners
        self.key_of = {domain: model.space_key(domain) for domain in model.label_spaces}
        self.classes = {key: len(model.label_spaces[key]) for key in self.key_of.values()}
        super().__init__({key: Discriminator(count) for key, count in self.classes.items()})

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
        judgement: Tensor = self[prediction.space](maps)
        return judgement

    def deceive(self, prediction: Prediction, judgement: Tensor) -> Tensor:
        """L_adv: how far a judgement is from taking a prediction for labels, on all pixels that count."""
        return adversarial_loss(judgement, REAL, prediction.mask, prediction.size)

    def losses(self, predictions: list[Prediction], truth: Mapping[str, Sample], means: Means) -> Iterator[Tensor]:
        """L_D of each label space: one half for all predictions together, one half for all label maps.

        Args:
            predictions: Of the model, in this step.
            truth: Labelled samples by domain.
            means: Where to note how often the discriminators are right.
        """
        fake, real = dict.fromkeys(self.classes, 0), dict.fromkeys(self.classes, 0)
        for prediction in predictions:
            fake[prediction.space] += prediction.pixels
        pixels = {domain: int((sample.mask != IGNORE).sum()) for domain, sample in truth.items()}
        for domain, count in pixels.items():
            real[self.key_of[domain]] += count
        for prediction in predictions:
            judgement = self.judge(prediction, prediction.logits)
            means.add(f"{prediction.space}/discriminator_right_on_predictions", (judgement < 0).float().mean())
            share = prediction.pixels / max(1, fake[prediction.space])
            yield 0.5 * share * adversarial_loss(judgement, FAKE, prediction.mask, prediction.size)
        for domain, sample in truth.items():
            space = self.key_of[domain]
            judgement = self[space](one_hot_map(sample.mask, self.classes[space]))
            means.add(f"{space}/discriminator_right_on_labels", (judgement > 0).float().mean())
            yield 0.5 * pixels[domain] / max(1, real[space]) * adversarial_loss(judgement, REAL, sample.mask)
