"""Several models that label together: their probabilities are averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor

from semiverse.inference.bands import Bands, drawn_from_mean
from semiverse.inference.predictor import Predictor, Segmentation, segmented
from semiverse.labels import IGNORE


class Committee:
    """Several models whose probabilities are averaged, each as its own predictor sees an image.

    Args:
        predictors: One or more, on one device.
        domain: The domain that images are like.
        labels: The domain whose classes are asked for; None: those of ``domain``.
        less: What is taken off the scores of each class, (C,); None: nothing.

    Raises:
        ValueError: If a model does not know a domain, or means other classes by it than the first.
    """

    def __init__(
        self, predictors: Sequence[Predictor], domain: str, labels: str | None = None, less: Tensor | None = None
    ) -> None:
        self.predictors, self.domain, self.labels, self.less = predictors, domain, labels or domain, less
        for model in (predictor.model for predictor in predictors):
            for name in (self.domain, self.labels):
                model.space_key(name)
        first, *others = (predictor.model.label_spaces[self.labels] for predictor in predictors)
        for space in others:
            if space.classes != first.classes:
                raise ValueError(
                    f"the classes of domain {self.labels} are {', '.join(first.classes)} in one model and "
                    f"{', '.join(space.classes)} in another; expected the same classes: name other runs"
                )
        self.space = first

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Segmentation:
        """Mask and confidence of an image, (3, H, W) uint8, at its own size."""
        ((found,),) = segmented(self._maps(image), (image.shape[1], image.shape[2]), [self.space], sure=True)
        return found

    @torch.inference_mode()
    def drawn(self, image: Tensor, draws: int, seed: int) -> tuple[Segmentation, Tensor]:
        """The same, and so many masks whose pixels are drawn from the mean probabilities, (draws, H, W) uint8."""
        size, generator = (image.shape[1], image.shape[2]), torch.Generator().manual_seed(seed)
        (mask,), (confidence,), drawn = drawn_from_mean(self._maps(image), size, draws, generator)
        nothing = mask >= len(self.space)
        drawn = drawn[:, 0].masked_fill(nothing | (drawn[:, 0] >= len(self.space)), IGNORE)
        return Segmentation(mask.masked_fill(nothing, IGNORE).cpu(), self.space, confidence.cpu()), drawn.cpu()

    def _maps(self, image: Tensor) -> list[Bands]:
        """What every model says of an image in every view."""
        batch = image[None]
        maps = [one for each in self.predictors for one in each.score_maps(batch, self.domain, [self.labels])]
        return maps if self.less is None else [one.lowered(self.less) for one in maps]
