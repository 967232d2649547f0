"""Records as samples for a network: read, then image and mask transformed together; padding is known as such."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from semiverse.data.images import Resolution
from semiverse.data.pairing import Record
from semiverse.labels import IGNORE


class Sample(NamedTuple):
    """What a network sees. Batched, every field gains N in front.

    An image without labels has a mask that is ``IGNORE`` everywhere. Values stay bytes until they are used on the
    device, a fifth of the memory traffic of floats.
    """

    image: Tensor  # (3, H, W) uint8, black beyond the image
    mask: Tensor  # (H, W) uint8, train ids or IGNORE
    id: str
    padding: Tensor | None = None  # (H, W) uint8, 0 inside the image and IGNORE beyond it; None: nothing is beyond it


_SCALINGS = 10
"""How often an image is scaled, at most, until a crop fits into it."""
_TRIES = 10
"""How often a view is drawn, at most, until it shows what is wanted."""

Transform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


class Reader(Protocol):
    """Gives the pixels of records: a dataset, or what it is read through."""

    def read(self, record: Record) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W) of a record, both uint8; ``IGNORE`` everywhere if it has no mask."""


class Split(Dataset[Sample]):
    """Some records of a dataset as samples, transformed.

    Args:
        reader: The records' dataset, or what it is read through.
        records: Which of them; without mask for images whose labels must not be seen.
        transform: Changes image and mask together; it gets a generator of random numbers.
    """

    def __init__(self, reader: Reader, records: Sequence[Record], transform: Transform) -> None:
        self.reader, self.records, self.transform = reader, records, transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return self.draw(index, torch.Generator())[0]

    def draw(
        self, index: int, generator: torch.Generator, views: int = 1, wanted: tuple[int, float] | None = None
    ) -> list[Sample]:
        """Sample ``index``, its transform fed from this generator, so that it can be drawn again bit for bit.

        Several views need a transform that makes them (``CropTransform``), and so does what is wanted.

        Args:
            index: Which record.
            generator: Of all that is random.
            views: How many.
            wanted: A class and a number of pixels: a view is drawn again, up to ten times in all, until it shows more.
        """
        record = self.records[index]
        image, mask = self.reader.read(record)
        if isinstance(self.transform, CropTransform):
            for _ in range(_TRIES):
                images, seen, padding = self.transform.views(image, mask, generator, views)
                if wanted is None or int((seen == wanted[0]).sum()) > wanted[1]:
                    break
            return [Sample(one, seen, record.id, padding) for one in images]
        image, mask = self.transform(image, mask, generator)
        return [Sample(image, mask, record.id)] * views


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training image.

    Args:
        scale: Range of the random factor on the working size.
        flip: Probability of a horizontal flip.
        color: Strength of brightness, contrast and saturation changes: factors in 1 ± ``color``; 0: none.

    Raises:
        ValueError: If the range is empty or not positive, or a value lies outside [0, 1].
    """

    scale: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    color: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"augmentation scale={self.scale}; expected (low, high) with 0 < low <= high: correct it")
        if not 0 <= self.flip <= 1 or not 0 <= self.color <= 1:
            raise ValueError(f"augmentation flip={self.flip}, color={self.color}; expected both in 0..1: correct it")


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


class ResizeTransform:
    """Bring an image to its working size: antialiased bilinear, the mask by nearest neighbour. Draws nothing."""

    def __init__(self, resolution: Resolution) -> None:
        self.resolution = resolution

    def __call__(self, image: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Image (3, H, W) and mask (H, W), both uint8, at the working size."""
        return resize(image, mask, self.resolution.of(*mask.shape))


class CropTransform:
    """Training view: random scale, crop, flip and colours.

    The crop is cut from the original before resizing, so that only pixels that are seen are touched.

    Args:
        resolution: Working size of the domain.
        crop: (height, width) of the result; None: the whole image at its working size.
        augmentation: What to draw; without a crop its scale must be (1, 1), which leaves the size alone.
        within: No view goes beyond its image: one that is smaller than the crop is scaled again, up to ten times in
            all, by factors that multiply, and then stretched to the crop. So the public code of Hung et al. draws the
            label maps of its discriminator; False: what is missing below and beside the image is padding.

    Raises:
        ValueError: If the crop is not positive, or a scale is to be drawn without one.
    """

    def __init__(
        self, resolution: Resolution, crop: tuple[int, int] | None, augmentation: Augmentation, within: bool = False
    ) -> None:
        if crop is None and augmentation.scale != (1.0, 1.0):
            found = f"augmentation scale={augmentation.scale} without a crop"
            raise ValueError(f"{found}; expected a size that all images share: set crop, or scale to [1, 1]")
        if crop is not None and min(crop) < 1:
            raise ValueError(f"crop={crop}; expected a positive height and width: correct it")
        self.resolution, self.crop, self.augmentation, self.within = resolution, crop, augmentation, within

    def __call__(self, image: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W), both uint8, at the size of the crop."""
        (image,), mask, _ = self.views(image, mask, generator, 1)
        return image, mask

    def views(
        self, image: Tensor, mask: Tensor, generator: torch.Generator, count: int
    ) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """The same pixels so many times, each in colours of its own, their one mask, and their padding (``Sample``)."""
        height, width = self.resolution.of(*mask.shape)
        factor = _uniform(generator, *self.augmentation.scale)
        place = torch.rand(2, generator=generator).tolist()
        if self.crop is None:
            image, mask = resize(image, mask, (height, width))
        else:
            working = Resolution(factor).of(height, width)
            working = self._fitting(working, self.crop, generator) if self.within else working
            image, mask = crop(image, mask, working, self.crop, place)
        flipped = float(torch.rand((), generator=generator)) < self.augmentation.flip
        if flipped:
            image, mask = image.flip(-1), mask.flip(-1)
        image, mask, color = image.contiguous(), mask.contiguous(), self.augmentation.color
        images = [jitter(image, color, generator) if color > 0 else image for _ in range(count)]
        below, beside = (whole - part for whole, part in zip(self.crop or mask.shape, mask.shape, strict=True))
        if not (below or beside):
            return images, mask, None
        outside = (beside, 0, 0, below) if flipped else (0, beside, 0, below)
        padding = pad(torch.zeros_like(mask), outside, value=IGNORE)
        return [pad(one, outside) for one in images], pad(mask, outside, value=IGNORE), padding

    def _fitting(self, size: tuple[int, int], crop: tuple[int, int], generator: torch.Generator) -> tuple[int, int]:
        """The size of a scaled image, or, if the crop does not fit into it, one into which it does."""
        for _ in range(_SCALINGS - 1):
            if size[0] >= crop[0] and size[1] >= crop[1]:
                return size
            size = Resolution(_uniform(generator, *self.augmentation.scale)).of(*size)
        return size if size[0] >= crop[0] and size[1] >= crop[1] else crop


def resize(image: Tensor, mask: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image (3, H, W) by antialiased bilinear, mask (H, W) by nearest neighbour (pixel centres), to (height, width)."""
    if mask.shape != tuple(size):
        image, mask = resized(image, size), resized(mask[None], size, nearest=True)[0]
    return image, mask


def resized(images: Tensor, size: tuple[int, int], nearest: bool = False) -> Tensor:
    """Images (..., H, W) by antialiased bilinear, or by nearest neighbour (pixel centres), to (height, width)."""
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import resize as resize_images  # seconds: torch's compiler comes along

    how = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
    result: Tensor = resize_images(images, list(size), how, antialias=not nearest)
    return result


def crop(
    image: Tensor, mask: Tensor, working: tuple[int, int], size: tuple[int, int], place: list[float]
) -> tuple[Tensor, Tensor]:
    """A window (``size``) of image (3, H, W) and mask (H, W) as they would be at ``working`` size; only it is resized.

    It lies at ``place``, vertical and horizontal, each in [0, 1], and is smaller where the image is.
    """
    bounds, inner = [], []
    for whole, full, window, where in zip(working, mask.shape, size, place, strict=True):
        inside = min(window, whole)
        start = min(int(where * (whole - inside + 1)), whole - inside)
        low = round(start * full / whole)
        high = max(low + 1, round((start + inside) * full / whole))
        bounds.append(slice(min(low, full - 1), high))
        inner.append(inside)
    return resize(image[:, bounds[0], bounds[1]], mask[bounds[0], bounds[1]], (inner[0], inner[1]))


def jitter(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random brightness, contrast and saturation, each a factor in 1 ± strength; (3, H, W) uint8 in and out."""
    from torchvision.transforms.v2 import functional as tv

    for adjust in (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation):
        image = adjust(image, _uniform(generator, 1 - strength, 1 + strength))
    return image
