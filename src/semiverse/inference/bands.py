"""Arg-max of scores whose coarse rows come band by band: memory is bounded, whatever the size of the image."""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor

from semiverse.upsampling import ScoreMap, Upsampling, cells_of, first_equal, full_precision, partition, upsampled_rows


class Bands:
    """Scores of images at cells, from top to bottom, each row for as long as it is needed.

    Args:
        bands: Scores of the rows, (N, C, rows, w), one band below the other.
        height: Number h of all coarse rows.
        upsampling: How scores become scores at pixels.
    """

    def __init__(self, bands: Iterator[Tensor], height: int, upsampling: Upsampling) -> None:
        self._bands, self.height, self.upsampling = bands, height, upsampling
        self._top, self._kept = 0, full_precision(next(bands).detach())

    @classmethod
    def of(cls, scores: ScoreMap) -> "Bands":
        """The bands of a map that is there as a whole."""
        return cls(iter([scores.values]), scores.values.shape[2], scores.upsampling)

    def mirrored(self) -> "Bands":
        """The same with left and right exchanged; this one is of no use afterwards."""
        return Bands((band.flip(-1) for band in chain([self._kept], self._bands)), self.height, self.upsampling)

    def lowered(self, by: Tensor) -> "Bands":
        """The scores of the first C channels less so much each, (C,); this one is of no use afterwards."""
        bands = (ScoreMap(band, self.upsampling).lowered(by).values for band in chain([self._kept], self._bands))
        return Bands(bands, self.height, self.upsampling)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of images and of channels."""
        return self._kept.shape[0], self._kept.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the scores are."""
        return self._kept.device

    def up(self, images: slice, rows: slice, size: tuple[int, int]) -> Tensor:
        """Scores of some output rows of ``size`` = (H, W), (images, C, rows, W); what lies above is forgotten."""
        wanted = cells_of(rows, self.height, size[0], self.upsampling)
        while self._top + self._kept.shape[2] < wanted.stop:
            done = min(max(0, wanted.start - self._top), self._kept.shape[2])
            below = full_precision(next(self._bands).detach())
            self._kept = torch.cat([self._kept[:, :, done:], below], dim=2)
            self._top += done
        coarse = self._kept[images, :, wanted.start - self._top : wanted.stop - self._top]
        return upsampled_rows(coarse, rows, self.height, size, self.upsampling)


def argmax_of_mean(
    maps: Sequence[Bands | ScoreMap], size: tuple[int, int], spaces: Sequence[int] | None = None, sure: bool = True
) -> list[tuple[Tensor, Tensor]]:
    """Arg-max of the mean of the upsampled softmax probabilities of several maps, and that mean, a strip at a time.

    Args:
        maps: Scores of the same C classes and images at cells of any size, (N, C, h, w) each; of a single one the
            result is that of ``argmax_with_confidence``, bit for bit.
        size: Height and width wanted, (H, W).
        spaces: How many of the C channels belong to each label space, one after the other; None: all to one.
        sure: Whether probabilities are wanted.

    Returns:
        Of each label space: predicted classes, (N, H, W) uint8, the lowest among equals and one more than there are
        where a score is not a number; and their probabilities, (N, H, W) in (0, 1], of size 0 if not wanted.

    Raises:
        ValueError: If the maps have not the same classes and images.
    """
    bands = _alike(maps)
    (count, channels), device = bands[0].shape, bands[0].device
    parts = [channels] if spaces is None else list(spaces)
    masks = [torch.empty(count, *size, dtype=torch.uint8, device=device) for _ in parts]
    confidences = [torch.empty(count, *(size if sure else (0, 0)), device=device) for _ in parts]
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for images, rows, strips in _strips(bands, size):
            for place, split in enumerate(zip(*(torch.split(strip, parts, dim=1) for strip in strips), strict=True)):
                best, probability = _best_of_mean(split, sure)
                masks[place][images, rows] = best
                if sure:
                    confidences[place][images, rows] = probability
    return list(zip(masks, confidences, strict=True))


def drawn_from_mean(
    maps: Sequence[Bands | ScoreMap], size: tuple[int, int], draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes of every pixel drawn from the mean of the upsampled probabilities, beside their arg-max.

    Args:
        maps: As ``argmax_of_mean`` takes them, of one label space.
        size: Height and width wanted, (H, W).
        draws: How often every pixel is drawn, by itself.
        generator: Of the draws; on the CPU.

    Returns:
        The arg-max, (N, H, W) uint8; its probabilities, (N, H, W) in (0, 1]; the draws, (draws, N, H, W) uint8.

    Raises:
        ValueError: If the maps have not the same classes and images.
    """
    bands = _alike(maps)
    count, device = bands[0].shape[0], bands[0].device
    mask = torch.empty(count, *size, dtype=torch.uint8, device=device)
    confidence, drawn = torch.empty(count, *size, device=device), mask.new_empty(draws, count, *size)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for images, rows, strips in _strips(bands, size):
            mean = _mean(strips)
            mask[images, rows], confidence[images, rows] = _best_of_mean(strips, sure=True, mean=mean)
            bounds = mean.cumsum(dim=1)
            for one in drawn:
                chance = torch.rand(mask[images, rows].shape, generator=generator).to(device)
                one[images, rows] = (chance[:, None] >= bounds[:, :-1]).sum(dim=1)
    return mask, confidence, drawn


def _alike(maps: Sequence[Bands | ScoreMap]) -> list[Bands]:
    """Maps as bands.

    Raises:
        ValueError: If they have not the same classes and images.
    """
    bands = [one if isinstance(one, Bands) else Bands.of(one) for one in maps]
    shapes = {one.shape for one in bands}
    if len(shapes) != 1:
        raise ValueError(
            f"scores to be averaged are of (images, channels) {sorted(shapes)}; expected one such shape: average "
            "models whose heads have the same channels"
        )
    return bands


def _strips(bands: Sequence[Bands], size: tuple[int, int]) -> Iterator[tuple[slice, slice, list[Tensor]]]:
    """Images and output rows of each strip, with the scores of every map there, (images, C, rows, W)."""
    (count, channels), device = bands[0].shape, bands[0].device
    # Bands are forgotten from above: all images of a strip before the next strip.
    for images, rows in sorted(partition(count, channels, size, device), key=lambda strip: strip[1].start):
        yield images, rows, [one.up(images, rows, size) for one in bands]


def _best_of_mean(strips: Sequence[Tensor], sure: bool, mean: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Predicted classes of one strip, (N, rows, W) uint8, and their mean probabilities, from scores of each map.

    The mean of all probabilities, (N, C, rows, W), is formed where it is not given.
    """
    if len(strips) == 1:
        values = strips[0]
        best = values.amax(dim=1)
        found = first_equal(values, best)
        return found, values.sub(best[:, None]).exp_().sum(dim=1).reciprocal_() if sure else best
    mean = _mean(strips) if mean is None else mean
    best = mean.amax(dim=1)
    return first_equal(mean, best), best


def _mean(strips: Sequence[Tensor]) -> Tensor:
    """Mean probabilities of one strip, (N, C, rows, W), from scores of each map."""
    mean = torch.zeros((), device=strips[0].device)
    for strip in strips:
        mean = mean + strip.softmax(dim=1)
    return mean / len(strips)
