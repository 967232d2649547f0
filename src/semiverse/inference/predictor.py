"""From an image to a mask: the one way, used by evaluation and prediction alike."""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import LabelEmbeddings, SegmentationModel
from semiverse.resolution import Resolution
from semiverse.upsampling import ScoreMap, argmax_of_mean

CONTEXT = 64
"""Pixels around a window that are seen but not kept; a multiple of every network's stride."""


class Segmentation(NamedTuple):
    """What was found in an image.

    Args:
        mask: Train ids or ``IGNORE``, (H, W) uint8, at the image's own size.
        labels: The label space of the ids.
        confidence: Softmax probability of each pixel's class, (H, W) float32 in [0, 1].
    """

    mask: Tensor
    labels: LabelSpace
    confidence: Tensor

    def only(self, classes: Sequence[str]) -> "Segmentation":
        """The same with every class but these, by name, as ``IGNORE``; colours and ids stay.

        Raises:
            ValueError: If the label space has no such class.
        """
        return self._replace(mask=self.labels.only(self.mask, classes))


def usable_device(name: str) -> torch.device:
    """The device of this name; ``auto``: a GPU if there is one.

    Raises:
        ValueError: If it does not exist.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used ({first}); expected auto, cpu or cuda: correct it") from error


def segmented(maps: Sequence[ScoreMap], image: Tensor, space: LabelSpace) -> Segmentation:
    """What maps of scores of an image, (3, H, W), say together: the arg-max of the mean of their probabilities."""
    mask, confidence = argmax_of_mean(maps, (image.shape[1], image.shape[2]))
    mask = mask.masked_fill(mask >= len(space), IGNORE)  # a head may have a further channel for "none of them"
    return Segmentation(mask[0].cpu(), space, confidence[0].cpu())


class Predictor:
    """A model made ready for images of any size.

    Args:
        model: The model; put into evaluation mode.
        via: ``decoder``: the head of the label space; ``embedding``: the most similar label embedding (Kalluri et al.
            (2019), 3.5), which answers in any label space that the model knows.
        window: Height and width of the pieces in which large images are seen, at working size, each with 64 pixels
            of context; None: the whole image at once.
        resize: Bring images to the working size of their domain first; False: they already have it.
        device: Where to compute; ``auto``: a GPU if there is one.
        scales: Sizes at which the image is seen, as factors on its working size; the probabilities are averaged.
        flip: See it mirrored as well, at every scale.

    Raises:
        ValueError: If the model has no label embeddings but is asked for them, the window is no multiple of 64, no
            scale is given or one is not positive, or the device does not exist.
    """

    def __init__(
        self,
        model: SegmentationModel,
        via: Literal["decoder", "embedding"] = "decoder",
        window: tuple[int, int] | None = None,
        resize: bool = True,
        device: str = "auto",
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
    ) -> None:
        if not scales or min(scales) <= 0:
            raise ValueError(f"scales are {list(scales)}; expected one or more, all above 0: try [0.75, 1.0, 1.5]")
        if via == "embedding" and model.label_embeddings is None:
            raise ValueError(
                "the model has no label embeddings; expected one that Universal trained, or Consistency with an "
                "anchor: predict via decoder"
            )
        if window is not None and (min(window) < CONTEXT or window[0] % CONTEXT or window[1] % CONTEXT):
            raise ValueError(f"window is {list(window)}; expected multiples of {CONTEXT} pixels: try [512, 512]")
        self.device = usable_device(device)
        self.model = model.eval().to(self.device)
        self.via, self.window, self.resize = via, window, resize
        self.scales, self.flip = scales, flip

    @torch.inference_mode()
    def __call__(self, image: Tensor, domain: str, labels: str | None = None) -> Segmentation:
        """Segment one image.

        Args:
            image: (3, H, W) uint8.
            domain: The domain that the image is like: it decides the working size and the batch-norm statistics.
            labels: The domain whose classes are asked for; None: those of ``domain``. Any other needs a model with
                label embeddings and ``via="embedding"`` to mean what it says; by decoder it is that domain's head.

        Returns:
            Mask and confidence at the image's own size.

        Raises:
            ValueError: If the model does not know a domain.
        """
        return segmented(self.score_maps(image, domain, labels), image, self.model.label_spaces[labels or domain])

    def score_maps(self, image: Tensor, domain: str, labels: str | None = None) -> list[ScoreMap]:
        """Scores of each class at feature resolution, (1, C, h, w), of every view of an image, (3, H, W) uint8."""
        labels = labels or domain
        for name in (domain, labels):
            self.model.space_key(name)
        own = (image.shape[1], image.shape[2])
        working, maps = self.model.resolutions[domain].of(*own) if self.resize else own, []
        for scale in self.scales:
            size, seen = Resolution(scale).of(*working), image
            if size != own:
                seen = tv.resize(image, list(size), InterpolationMode.BILINEAR, antialias=True)
            seen = seen.to(self.device)
            maps.append(self._scores(seen, domain, labels))
            if self.flip:
                maps.append(self._scores(seen.flip(-1), domain, labels).flip(-1))
        return [ScoreMap(scores, self.model.upsampling) for scores in maps]

    def _scores(self, image: Tensor, domain: str, labels: str) -> Tensor:
        """Scores of each class at feature resolution, (1, C, h, w), put together from windows."""
        height, width = image.shape[1:]
        if self.window is None or (height <= self.window[0] and width <= self.window[1]):
            return self._scores_of_piece(image, domain, labels)
        tops, lefts = range(0, height, self.window[0]), range(0, width, self.window[1])
        rows = [torch.cat([self._window(image, top, left, domain, labels) for left in lefts], dim=3) for top in tops]
        return torch.cat(rows, dim=2)

    def _window(self, image: Tensor, top: int, left: int, domain: str, labels: str) -> Tensor:
        """Scores of one window, seen with its context: (1, C, cells, cells)."""
        height, width = cast(tuple[int, int], self.window)
        above, before = min(CONTEXT, top), min(CONTEXT, left)
        piece = image[:, top - above : top + height + CONTEXT, left - before : left + width + CONTEXT]
        scores = self._scores_of_piece(piece, domain, labels)
        rows = self._kept(above, height, top + height >= image.shape[1])
        columns = self._kept(before, width, left + width >= image.shape[2])
        return scores[:, :, rows, columns]

    def _kept(self, context: int, length: int, last: bool) -> slice:
        """The cells of a window among those of its piece; the last window may have one more, on the image's border."""
        first = context // self._stride
        return slice(first, None if last else first + length // self._stride)

    @cached_property
    def _stride(self) -> int:
        """Pixels per cell of the scores, by how many cells more pixels add: some networks have one at each end."""
        domain = next(iter(self.model.label_spaces))
        blank = torch.zeros(3, CONTEXT, 2 * CONTEXT, dtype=torch.uint8, device=self.device)
        height, width = self._scores_of_piece(blank, domain, domain).shape[2:]
        return CONTEXT // (width - height)

    def _scores_of_piece(self, image: Tensor, domain: str, labels: str) -> Tensor:
        return self._classified(self.model.features(image[None], domain), labels)

    def _classified(self, features: Tensor, labels: str) -> Tensor:
        if self.via == "decoder":
            return self.model.classify(features, labels).values
        return cast(LabelEmbeddings, self.model.label_embeddings).logits(features, self.model.space_key(labels)).values


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
        maps = [one for each in self.predictors for one in each.score_maps(image, self.domain, self.labels)]
        if self.less is not None:
            maps = [one.lowered(self.less) for one in maps]
        return segmented(maps, image, self.space)
