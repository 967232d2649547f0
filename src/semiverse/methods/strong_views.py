"""Strong views of unlabelled images: other colours, and boxes of other images (UniMatch V2, Yang et al., 2025).

Parts of them can be hidden, to be told from what lies around (MIC; Hoyer et al., CVPR 2023).

Everything that is drawn depends on the seed, the step, the domain, the view and the image's place in the batch alone,
so that a resumed training and several processes draw the same.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from semiverse.distributed import process_count, process_rank
from semiverse.labels import IGNORE

AREA, ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)
"""Of a box: its share of the image, and its width over its height."""
BLOCKS = 8
"""Blocks of which all or nothing is hidden, in the height of a crop: they have 64 pixels where it has 512, as MIC's."""
REFERENCE = 518
"""Height of the crops for which the blur is given, in pixels; it shrinks with smaller ones."""


@dataclass(frozen=True)
class StrongView:
    """How strong views are drawn, with the probabilities and strengths of the public code of UniMatch V2.

    Args:
        color: Strength of brightness, contrast and saturation changes, factors in 1 ± ``color``.
        hue: Largest shift of the hue, in [0, 0.5].
        colored: Probability that colours change at all.
        grey: Probability of a grey image.
        blur: Probability of a Gaussian blur, whose deviation is 0.1 to 2 pixels at crops of 518 pixels.
        box: Probability that an image gets a box of another one (CutMix, Yun et al., ICCV 2019).
        hide: Share of the blocks of an image that get the mean colour before anything is pasted; MIC hides 0.7.
    """

    color: float = 0.5
    hue: float = 0.25
    colored: float = 0.8
    grey: float = 0.2
    blur: float = 0.5
    box: float = 0.5
    hide: float = 0.0

    def recolored(self, image: Tensor, draw: np.random.Generator) -> Tensor:
        """An image, (3, H, W) uint8, in other colours; no pixel moves."""
        if draw.random() < self.colored:
            factors = draw.uniform(1 - self.color, 1 + self.color, 3).tolist()
            shift = float(draw.uniform(-self.hue, self.hue))
            for change in draw.permutation(4).tolist():
                if change == 3:
                    image = tv.adjust_hue(image, shift)
                else:
                    adjust = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)[change]
                    image = adjust(image, factors[change])
        if draw.random() < self.grey:
            image = tv.rgb_to_grayscale(image, num_output_channels=3)
        if draw.random() < self.blur:
            deviation = float(draw.uniform(0.1, 2.0)) * image.shape[-2] / REFERENCE
            reach = max(1, math.ceil(3 * deviation))
            image = tv.gaussian_blur(image, [2 * reach + 1] * 2, [max(deviation, 1e-3)] * 2)
        return image

    def recolored_batch(
        self, images: Tensor, padding: Tensor, mean: Tensor, draws: Sequence[np.random.Generator | None]
    ) -> Tensor:
        """Images, (N, 3, H, W) uint8, each in other colours of its own, parts of it hidden where they are to be.

        Those whose draw is None stay as they are.

        Their padding, (N, H, W), gets the mean colour, (1, 3, 1, 1) in [0, 1], first: what lies beyond an image is not
        to be blurred into it.
        """
        nothing = (255 * mean).to(torch.uint8)
        shown = torch.where((padding == IGNORE)[:, None], nothing, images)
        pairs = zip(shown, draws, strict=True)
        return torch.stack([one if draw is None else self._changed(one, nothing[0], draw) for one, draw in pairs])

    def _changed(self, image: Tensor, nothing: Tensor, draw: np.random.Generator) -> Tensor:
        image = self.recolored(image, draw)
        return torch.where(self.hidden(image, draw), nothing, image) if self.hide else image

    def hidden(self, image: Tensor, draw: np.random.Generator) -> Tensor:
        """Which pixels of an image, (3, H, W), are hidden: each block with the same probability; (H, W) bool."""
        height, width = image.shape[-2:]
        side = max(1, round(height / BLOCKS))
        blocks = torch.from_numpy(draw.random((-(-height // side), -(-width // side))) < self.hide).to(image.device)
        return blocks.repeat_interleave(side, 0).repeat_interleave(side, 1)[:height, :width]

    def boxed(self, size: tuple[int, int], draw: np.random.Generator) -> tuple[slice, slice] | None:
        """Rows and columns of a box in an image of a size (H, W), or None where it gets none."""
        if draw.random() >= self.box:
            return None
        height, width = size
        while True:
            area, aspect = draw.uniform(*AREA) * height * width, draw.uniform(*ASPECT)
            rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
            if 1 <= rows <= height and 1 <= columns <= width:
                top, left = int(draw.integers(height - rows + 1)), int(draw.integers(width - columns + 1))
                return slice(top, top + rows), slice(left, left + columns)


def generator(seed: int, step: int, *names: str | int) -> np.random.Generator:
    """Random numbers of one thing in one step."""
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.default_rng([seed, step, *words])


def of_images(count: int, seed: int, step: int, *names: str | int) -> list[np.random.Generator]:
    """Random numbers of each of so many images, this process's share of a batch, by its place in the whole batch."""
    places = range(process_rank(), process_rank() + count * process_count(), process_count())
    return [generator(seed, step, *names, place) for place in places]


def partners(count: int) -> list[int]:
    """For each of so many images of a batch the one whose box it gets: none is its own but the middle one of odd ones.

    Of an even number it lies half a batch away, so that processes that share a batch pair the same images as one does.
    """
    return [(i + count // 2) % count if count % 2 == 0 else count - 1 - i for i in range(count)]


def paste(
    maps: Sequence[Tensor], boxes: Sequence[tuple[slice, slice] | None], others: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Maps of a batch, (N, ..., H, W) each, with boxes of other images in all of them.

    Args:
        maps: What is pasted into.
        boxes: Rows and columns of the box of each image; None: it gets none.
        others: The same maps of other images, of which image i gives to image i; None: the images' partners give.
    """
    givers = partners(len(boxes)) if others is None else range(len(boxes))
    pasted = [one.clone() for one in maps]
    for i, box in enumerate(boxes):
        if box is not None:
            for new, old in zip(pasted, maps if others is None else others, strict=True):
                new[(i, ..., *box)] = old[(givers[i], ..., *box)]
    return pasted


def pasted_classes(mask: Tensor, classes: int, draw: np.random.Generator) -> Tensor:
    """Pixels of half of the classes of a mask, (H, W), rounded up: what ClassMix pastes; ignored pixels are none."""
    present = np.flatnonzero(torch.bincount(mask.flatten(), minlength=256)[:classes].cpu().numpy())
    chosen = draw.permutation(present)[: (len(present) + 1) // 2]
    return torch.isin(mask, torch.as_tensor(chosen, dtype=mask.dtype, device=mask.device))
