"""From an image to a mask: the one way, used by evaluation and prediction alike."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor

from semiverse.data import Resolution
from semiverse.data.samples import resized
from semiverse.inference.bands import Bands, argmax_of_mean
from semiverse.inference.networks import FastNetworks, Precision
from semiverse.inference.sources import Picture, as_image
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import LabelEmbeddings, SegmentationModel

CONTEXT = 64
"""Pixels around a window that are seen but not kept; a multiple of every network's stride."""


class Segmentation(NamedTuple):
    """What was found in an image.

    Args:
        mask: Train ids or ``IGNORE``, (H, W) uint8, at the image's own size.
        labels: The label space of the ids.
        confidence: Softmax probability of each pixel's class, (H, W) float32 in [0, 1]; (0, 0) if it was not wanted.
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


Answers = list[list[Segmentation]]


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


def quick_batch(pixels: int, device: torch.device) -> int:
    """How many images of so many pixels are segmented together: a GPU wants many.

    On a processor, memory of more than 32 MiB comes anew from the system for every map, page by page (glibc), which
    takes as long as the arithmetic of small networks: with 96 channels at half the resolution, 350,000 pixels.
    """
    together = 350_000 if device.type == "cpu" else 2_000_000
    return min(16, max(1, together // pixels))


def segmented(maps: Sequence[Bands], size: tuple[int, int], spaces: Sequence[LabelSpace], sure: bool) -> Answers:
    """What maps of scores of images say together, in each label space: the arg-max of the mean of probabilities.

    Args:
        maps: Scores of every view, (N, C, h, w): those of the label spaces one after the other.
        size: (H, W) of the images.
        spaces: The label spaces.
        sure: Whether confidences are wanted.

    Returns:
        Of each label space what was found in each image.
    """
    none = (maps[0].shape[1] - sum(map(len, spaces))) // len(spaces)  # heads may have a channel for "none of them"
    found: Answers = []
    for space, (masks, confidences) in zip(
        spaces, argmax_of_mean(maps, size, [len(space) + none for space in spaces], sure), strict=True
    ):
        masks = masks.masked_fill_(masks >= len(space), IGNORE).cpu()
        found.append([Segmentation(*one) for one in zip(masks, repeat(space), confidences.cpu(), strict=False)])
    return found


class Question(NamedTuple):
    """What is asked of an image.

    Args:
        domain: The domain that it is like: its working size and its statistics.
        labels: The domain whose classes are asked for.
    """

    domain: str
    labels: str


WHOLE = 2048 * 2048
"""Pixels of the largest image, at working size, that ``window="auto"`` sees at once."""
AUTO_WINDOW = (1024, 1024)


class Predictor:
    """A model made ready for images of any size.

    Args:
        model: The model; put into evaluation mode.
        via: ``decoder``: the head of the label space; ``embedding``: the most similar label embedding (Kalluri et al.
            (2019), 3.5), which answers in any label space that the model knows.
        window: Height and width of the pieces in which large images are seen, at working size, each with ``margin``
            pixels of context; None: the whole image at once; ``auto``: pieces of 1024 x 1024 where it has more than
            2048 x 2048 pixels. With pieces, memory depends on theirs and on the bytes of image and mask alone.
        resize: Bring images to the working size of their domain first; False: they already have it.
        device: Where to compute; ``auto``: a GPU if there is one.
        scales: Sizes at which the image is seen, as factors on its working size; the probabilities are averaged.
        flip: See it mirrored as well, at every scale.
        precision: How the network is computed, see ``FastNetworks``.
        margin: Pixels around a window that are seen but not kept, a multiple of 64.

    Raises:
        ValueError: If the model has no label embeddings but is asked for them, window or margin are no multiples of 64,
            no scale is given or one is not positive, or the device does not exist.
    """

    def __init__(  # noqa: PLR0913  (ways of seeing an image)
        self,
        model: SegmentationModel,
        via: Literal["decoder", "embedding"] = "decoder",
        window: tuple[int, int] | Literal["auto"] | None = "auto",
        resize: bool = True,
        device: str = "auto",
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        precision: Precision = "float32",
        margin: int = CONTEXT,
    ) -> None:
        if not scales or min(scales) <= 0:
            raise ValueError(f"scales are {list(scales)}; expected one or more, all above 0: try [0.75, 1.0, 1.5]")
        if via == "embedding" and model.label_embeddings is None:
            raise ValueError(
                "the model has no label embeddings; expected one that Universal trained, or Consistency with an "
                "anchor: predict via decoder"
            )
        if isinstance(window, str) and window != "auto":
            raise ValueError(f"window is {window!r}; expected auto, height and width, or null: try [512, 512]")
        for name, sizes in (("window", () if window in (None, "auto") else window), ("margin", (margin,))):
            if any(not isinstance(size, int) or size < CONTEXT or size % CONTEXT for size in sizes or ()):
                raise ValueError(f"{name} is {list(sizes or ())}; expected multiples of {CONTEXT} pixels: try 512")
        self.device = usable_device(device)
        self.model = model.eval().to(self.device)
        self.networks = FastNetworks(self.model, precision)
        self.via, self.window, self.resize, self.margin = via, window, resize, margin
        self.scales, self.flip = scales, flip

    def __call__(self, image: Picture, domain: str, labels: str | None = None, sure: bool = True) -> Segmentation:
        """Segment one image.

        Args:
            image: A path, bytes, an image of Pillow, an array or a tensor, as ``Picture`` says.
            domain: The domain that the image is like: it decides the working size and the batch-norm statistics.
            labels: The domain whose classes are asked for; None: those of ``domain``. Any other needs a model with
                label embeddings and ``via="embedding"`` to mean what it says; by decoder it is that domain's head.
            sure: Whether the confidence is wanted, four bytes a pixel.

        Returns:
            Mask and confidence at the image's own size.

        Raises:
            ValueError: If the model does not know a domain, or this is no image.
        """
        (found,) = self.segment([as_image(image)], [Question(domain, labels or domain)], sure)[0]
        return found

    @torch.inference_mode()
    def segment(
        self, images: Sequence[Tensor], questions: Sequence[Question], sure: bool = True
    ) -> list[list[Segmentation]]:
        """Segment images of one size together.

        Args:
            images: (3, H, W) uint8 each.
            questions: What is asked of them; those that need the same pass through the network share it.
            sure: Whether confidences are wanted.

        Returns:
            For each image an answer to each question.

        Raises:
            ValueError: If the model does not know a domain, or sizes differ.
        """
        if len({image.shape for image in images}) != 1:
            raise ValueError(f"images have the shapes {[tuple(i.shape) for i in images]}; expected one: group them")
        spaces, size = self.model.label_spaces, (images[0].shape[1], images[0].shape[2])
        batch = images[0][None] if len(images) == 1 else torch.stack(list(images))
        answers: dict[Question, list[Segmentation]] = {}
        for domain, asked in self._passes(questions):
            maps = self.score_maps(batch, domain, asked)
            found = segmented(maps, size, [spaces[labels] for labels in asked], sure)
            answers |= {Question(domain, labels): one for labels, one in zip(asked, found, strict=True)}
        like = {question: self._alike(question, answers) for question in questions}
        return [[like[question][place] for question in questions] for place in range(len(images))]

    def _passes(self, questions: Sequence[Question]) -> list[tuple[str, list[str]]]:
        """Domains to see images as, each with the domains whose classes are then asked for."""
        passes: dict[tuple[object, ...], tuple[str, list[str]]] = {}
        for domain, labels in questions:
            self.model.space_key(labels)
            _, asked = passes.setdefault(self._way(domain), (domain, []))
            asked.append(labels)
        return [(domain, list(dict.fromkeys(asked))) for domain, asked in passes.values()]

    def _way(self, domain: str) -> tuple[object, ...]:
        """What decides how images of a domain are seen: network, statistics and working size."""
        return id(self.model.network(domain)), self.model.group(domain), self.model.resolutions[domain]

    def _alike(self, question: Question, answers: dict[Question, list[Segmentation]]) -> list[Segmentation]:
        """The answers to a question, which may have been asked in the name of a domain that is seen alike."""
        way = self._way(question.domain)
        return next(
            answer
            for (domain, labels), answer in answers.items()
            if labels == question.labels and self._way(domain) == way
        )

    def score_maps(self, images: Tensor, domain: str, asked: Sequence[str]) -> list[Bands]:
        """Scores at cells, of every view of images of one size, (N, 3, H, W) uint8, from top to bottom.

        The channels are those of the domains ``asked`` for, one after the other.
        """
        for name in (domain, *asked):
            self.model.space_key(name)
        own = (images.shape[2], images.shape[3])
        working, maps = self.model.resolutions[domain].of(*own) if self.resize else own, []
        for scale in self.scales:
            size = Resolution(scale).of(*working)
            seen = images if size == own else resized(images, size)
            maps.append(self._bands(seen, domain, asked))
            if self.flip:
                maps.append(self._bands(seen.flip(-1), domain, asked).mirrored())
        return maps

    def _bands(self, images: Tensor, domain: str, asked: Sequence[str]) -> Bands:
        """Scores of one view of images of one size."""
        bands = self._rows_of_windows(images, domain, asked)
        windows = len(self._tops(images))
        if windows == 1:
            (whole,) = bands
            return Bands(iter([whole]), whole.shape[2], self.model.upsampling)
        height, _ = self._window_of(images)
        last = self._cells(images.shape[2] - (windows - 1) * height, domain, asked)
        return Bands(bands, (windows - 1) * (height // self._stride) + last, self.model.upsampling)

    def _window_of(self, images: Tensor) -> tuple[int, int]:
        """The window in which images of this size are seen, their own size if as a whole."""
        own = (images.shape[2], images.shape[3])
        if self.window == "auto":
            return own if own[0] * own[1] <= WHOLE else AUTO_WINDOW
        return own if self.window is None or (own[0] <= self.window[0] and own[1] <= self.window[1]) else self.window

    def _tops(self, images: Tensor) -> range:
        return range(0, images.shape[2], self._window_of(images)[0])

    def _rows_of_windows(self, images: Tensor, domain: str, asked: Sequence[str]) -> Iterator[Tensor]:
        """Scores of each row of windows, (N, C, cells, w), from top to bottom."""
        lefts = range(0, images.shape[3], self._window_of(images)[1])
        for top in self._tops(images):
            pieces = [self._window(images, top, left, domain, asked) for left in lefts]
            yield pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=3)

    def _window(self, images: Tensor, top: int, left: int, domain: str, asked: Sequence[str]) -> Tensor:
        """Scores of one window, seen with its margin, (N, C, cells, cells)."""
        height, width = self._window_of(images)
        if (height, width) == tuple(images.shape[2:]):
            return self._scores_of_piece(images, domain, asked)
        above, before = min(self.margin, top), min(self.margin, left)
        bottom, right = top + height + self.margin, left + width + self.margin
        scores = self._scores_of_piece(images[:, :, top - above : bottom, left - before : right], domain, asked)
        rows = self._kept(above, height, top + height >= images.shape[2])
        columns = self._kept(before, width, left + width >= images.shape[3])
        return scores[:, :, rows, columns]

    def _kept(self, context: int, length: int, last: bool) -> slice:
        """The cells of a window among those of its piece; the last window may have one more, on the image's border."""
        first = context // self._stride
        return slice(first, None if last else first + length // self._stride)

    def _cells(self, height: int, domain: str, asked: Sequence[str]) -> int:
        """Rows of cells of a last window of this height, by what a slim one has."""
        slim = torch.zeros(1, 3, self.margin + height, CONTEXT, dtype=torch.uint8)
        return self._scores_of_piece(slim, domain, asked).shape[2] - self.margin // self._stride

    @cached_property
    def _stride(self) -> int:
        """Pixels per cell of the scores, by how many cells more pixels add: some networks have one at each end."""
        domain = next(iter(self.model.label_spaces))
        blank = torch.zeros(1, 3, CONTEXT, 2 * CONTEXT, dtype=torch.uint8)
        height, width = self._scores_of_piece(blank, domain, [domain]).shape[2:]
        return CONTEXT // (width - height)

    def _scores_of_piece(self, images: Tensor, domain: str, asked: Sequence[str]) -> Tensor:
        features = self.networks.features(images.to(self.device), domain)
        return torch.cat([self._classified(features, labels) for labels in asked], dim=1)

    def _classified(self, features: Tensor, labels: str) -> Tensor:
        if self.via == "decoder":
            return self.model.classify(features, labels).values
        return cast(LabelEmbeddings, self.model.label_embeddings).logits(features, self.model.space_key(labels)).values
