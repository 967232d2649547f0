"""Scores at cells, and their bilinear upsampling as two small banded matrices, walked over in strips of output rows.

A map of scores at full resolution is the largest tensor of every step and hardly ever needed whole. A strip of output
rows depends on a few coarse rows only, so losses and arg-max are formed strip by strip in tensors that fit the cache.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

# Elements of one strip: a few such buffers stay near the cache of a processor, and maps below this size are one strip.
# An accelerator wants few large kernels.
_STRIP_ELEMENTS = {"cpu": 2**20}
_STRIP_ELEMENTS_ACCELERATOR = 2**24
# Strips of fewer rows would upsample the columns of the same coarse rows over and over.
_LEAST_ROWS = 8


class Upsampling(NamedTuple):
    """How scores at cells become scores at pixels.

    Args:
        align_corners: As in ``torch.nn.functional.interpolate``, whose result both settings reproduce.
        zero_border: What lies outside is zero instead of the nearest cell: the frozen transposed convolution of dilated
            residual networks (kernel 16, stride 8, padding 4), whose outermost four pixels have weights that sum to
            9/16, 11/16, 13/16 and 15/16. Aligned corners never look outside.
    """

    align_corners: bool = False
    zero_border: bool = False


class ScoreMap(NamedTuple):
    """Scores and how to upsample them.

    Args:
        values: One score a channel and cell, (N, R, h, w).
        upsampling: How they become scores at pixels.
    """

    values: Tensor
    upsampling: Upsampling = Upsampling()

    def detach(self) -> "ScoreMap":
        """The same scores, cut off from what they were computed from."""
        return self._replace(values=self.values.detach())

    def lowered(self, by: Tensor) -> "ScoreMap":
        """The scores of the first C channels less so much each, (C,); further channels stay."""
        by = F.pad(by.to(self.values), (0, self.values.shape[1] - len(by)))
        return self._replace(values=self.values - by[:, None, None])

    def at(self, size: tuple[int, int]) -> Tensor:
        """All scores at ``size`` = (H, W) in full precision, (N, R, H, W); losses walk over strips instead."""
        values = full_precision(self.values)
        if values.shape[-2:] == torch.Size(size):
            return values
        pixels = F.interpolate(values, size=size, mode="bilinear", align_corners=self.upsampling.align_corners)
        if self.upsampling.zero_border:
            matrices = Bilinear.of(values, size, self.upsampling)
            pixels = pixels * matrices.rows.sum(dim=1)[:, None] * matrices.columns.sum(dim=1)
        return pixels

    def at_cells(self, mask: Tensor) -> Tensor:
        """A mask of pixels, (N, H, W), at the cells, (N, h, w): of each cell the pixel where upsampling puts it."""
        sizes = zip(self.values.shape[-2:], mask.shape[-2:], strict=True)
        rows, columns = (_pixels_of_cells(cells, pixels, self.upsampling, mask.device) for cells, pixels in sizes)
        return mask[:, rows[:, None], columns]


class Strip(NamedTuple):
    """Some output rows of some images.

    Args:
        images: Which of the N images.
        rows: Which of the H output rows.
        cells: Which of the h coarse rows these output rows depend on.
        values: The upsampled scores, (images, R, rows, W).
    """

    images: slice
    rows: slice
    cells: slice
    values: Tensor


class Bilinear(NamedTuple):
    """Upsampling of (h, w) cells to (H, W) pixels: ``rows @ scores @ columns.T``; made by ``Bilinear.of``.

    Args:
        rows: Matrix of the vertical axis, (H, h).
        columns: Matrix of the horizontal axis, (W, w).
        upsampling: What they do.
    """

    rows: Tensor
    columns: Tensor
    upsampling: Upsampling

    @classmethod
    def of(cls, scores: Tensor, size: tuple[int, int], upsampling: Upsampling = Upsampling()) -> Self:
        """The upsampling that brings these scores, (..., h, w), to ``size`` = (H, W), in their type and device."""
        rows, columns = (
            bilinear_matrix(cells, pixels, upsampling, scores.device, scores.dtype)
            for cells, pixels in zip(scores.shape[-2:], size, strict=True)
        )
        return cls(rows, columns, upsampling)

    def cells(self, rows: slice) -> slice:
        """The coarse rows that a slice of output rows depends on."""
        height, h = self.rows.shape
        return cells_of(rows, h, height, self.upsampling)

    def up(self, scores: Tensor, rows: slice) -> Tensor:
        """Some output rows: (N, R, h, w) → (N, R, rows, W)."""
        cells = self.cells(rows)
        coarse = scores[:, :, cells].contiguous()
        # Along a coarse row torch's own loop is faster than the product with a wide matrix.
        size = (coarse.shape[2], self.columns.shape[0])
        wide = F.interpolate(coarse, size=size, mode="bilinear", align_corners=self.upsampling.align_corners)
        if self.upsampling.zero_border:
            wide *= self.columns.sum(dim=1)
        return self.rows[rows, cells] @ wide

    def add_down(self, strip: Strip, out: Tensor) -> None:
        """The transposed way: carry the values of a strip back to the cells and add them to ``out``, (N, R, h, w)."""
        out[strip.images, :, strip.cells] += (self.rows[strip.rows, strip.cells].T @ strip.values) @ self.columns

    def strips(self, scores: Tensor) -> Iterator[Strip]:
        """Walk over all output rows of all images: (N, R, h, w) → strips, each computed when asked for."""
        size = (self.rows.shape[0], self.columns.shape[0])
        for images, rows in partition(len(scores), scores.shape[1], size, scores.device):
            yield Strip(images, rows, self.cells(rows), self.up(scores[images], rows))


def cells_of(pixels: slice, cells: int, count: int, upsampling: Upsampling) -> slice:
    """The cells of an axis that a slice of its ``count`` pixels depends on."""
    lowest, highest = (
        math.floor(_position(pixel, cells, count, upsampling)) for pixel in (pixels.start, pixels.stop - 1)
    )
    return slice(max(lowest, 0), min(highest + 2, cells))


def upsampled_rows(coarse: Tensor, rows: slice, cells: int, size: tuple[int, int], upsampling: Upsampling) -> Tensor:
    """Some output rows as ``Bilinear.up`` gives them, without the matrices of the whole map.

    Args:
        coarse: Those coarse rows that ``cells_of`` names for them, (N, R, h', w).
        rows: Which of the H output rows.
        cells: Number h of all coarse rows.
        size: Height and width of the whole output, (H, W).
        upsampling: How.

    Returns:
        (N, R, rows, W).
    """
    height, width = size
    wanted = (coarse.shape[2], width)
    wide = F.interpolate(coarse.contiguous(), size=wanted, mode="bilinear", align_corners=upsampling.align_corners)
    if upsampling.zero_border:
        wide *= border_weights(coarse.shape[3], width, coarse)
    seen = cells_of(rows, cells, height, upsampling)
    return _weights(rows, seen, cells, height, upsampling).to(coarse) @ wide


def border_weights(cells: int, pixels: int, like: Tensor) -> Tensor:
    """What remains of a map of ones where zero lies outside: sums of the rows of the matrix of an axis, (pixels,)."""
    position = (torch.arange(pixels, device=like.device, dtype=like.dtype) + 0.5) * cells / pixels - 0.5
    outside = torch.maximum(-position, position - (cells - 1))
    return 1 - outside.clamp(min=0)


def partition(images: int, channels: int, size: tuple[int, int], device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Slices of images and rows that cover (images, channels, H, W), each within the element budget of the device."""
    height, width = size
    budget = _STRIP_ELEMENTS.get(device.type, _STRIP_ELEMENTS_ACCELERATOR)
    several = max(1, budget // (channels * height * width))
    rows = min(height, max(_LEAST_ROWS, budget // (channels * width)))
    for image in range(0, images, several):
        for row in range(0, height, rows):
            yield slice(image, min(image + several, images)), slice(row, min(row + rows, height))


@lru_cache(maxsize=64)
def bilinear_matrix(
    cells: int, pixels: int, upsampling: Upsampling, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Bilinear interpolation of one axis as a banded matrix; it is cached, so never write into it.

    Args:
        cells: Number of coarse cells.
        pixels: Number of output pixels.
        upsampling: How.
        device: Where the matrix is wanted.
        dtype: Its type.

    Returns:
        (pixels, cells); every row has at most two non-zero entries, in [0, 1].
    """
    # Built outside inference mode, or a later training step could not use the cached tensor.
    with torch.inference_mode(False), torch.no_grad():
        whole = _weights(slice(0, pixels), slice(0, cells), cells, pixels, upsampling)
        return whole.to(device=device, dtype=dtype)


def _weights(chosen: slice, seen: slice, cells: int, pixels: int, upsampling: Upsampling) -> Tensor:
    """What each of some pixels of an axis takes of each of some cells, (chosen, seen) float64."""
    positions = [_position(pixel, cells, pixels, upsampling) for pixel in range(chosen.start, chosen.stop)]
    position = torch.tensor(positions, dtype=torch.float64)
    if not upsampling.zero_border:
        position = position.clamp(0, cells - 1)
    distance = (position[:, None] - torch.arange(seen.start, seen.stop, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)


def _position(pixel: int, cells: int, pixels: int, upsampling: Upsampling) -> float:
    """Where a pixel's centre lies on the axis of cell indices."""
    if upsampling.align_corners:
        return pixel * (cells - 1) / (pixels - 1) if pixels > 1 else 0.0
    return (pixel + 0.5) * cells / pixels - 0.5


def _pixels_of_cells(cells: int, pixels: int, upsampling: Upsampling, device: torch.device) -> Tensor:
    """The pixels nearest to the middles of the cells of one axis, (cells,) int64."""
    if upsampling.align_corners and cells > 1:
        steps = torch.arange(cells, device=device) * (pixels - 1)
        return (2 * steps + cells - 1) // (2 * (cells - 1))  # of two that are equally near, the later one
    return (2 * torch.arange(cells, device=device) + 1) * pixels // (2 * cells)


def argmax(scores: ScoreMap, size: tuple[int, int]) -> Tensor:
    """Arg-max of bilinearly upsampled scores, without the upsampled map.

    Args:
        scores: Of C classes, (N, C, h, w), any values; C at most 255.
        size: Height and width wanted, (H, W).

    Returns:
        Predicted classes, (N, H, W) uint8 in [0, C): the lowest among equals, and C where a score is not a number.
    """
    return _predict(scores, size, None)


def argmax_with_confidence(scores: ScoreMap, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """As ``argmax``, with the softmax probabilities of the predicted classes, (N, H, W) float in (0, 1]."""
    values = scores.values
    confidence = torch.empty(len(values), *size, dtype=full_precision(values[:0]).dtype, device=values.device)
    return _predict(scores, size, confidence), confidence


def _predict(scores: ScoreMap, size: tuple[int, int], confidence: Tensor | None) -> Tensor:
    """The arg-max; also writes its probability into ``confidence``, (N, H, W), where that is wanted."""
    cells = full_precision(scores.values.detach())
    prediction = torch.empty(len(cells), *size, dtype=torch.uint8, device=cells.device)
    with torch.no_grad(), torch.autocast(cells.device.type, enabled=False):
        for images, rows, _, values in Bilinear.of(cells, size, scores.upsampling).strips(cells):
            best = values.amax(dim=1)
            prediction[images, rows] = first_equal(values, best)
            if confidence is not None:
                confidence[images, rows] = values.sub_(best[:, None]).exp_().sum(dim=1).reciprocal_()
    return prediction


def first_equal(values: Tensor, best: Tensor) -> Tensor:
    """Lowest channel that holds the best value: (N, C, H, W) and (N, H, W) → (N, H, W) uint8; C where none does.

    The largest of the weights C..1 among the equal channels: in bytes, many times faster on a processor than an arg-max
    along a strided axis.
    """
    channels = values.shape[1]
    weights = torch.arange(channels, 0, -1, dtype=torch.uint8, device=values.device)[:, None, None]
    return channels - (values == best[:, None]).view(torch.uint8).mul_(weights).amax(dim=1)


def full_precision(values: Tensor) -> Tensor:
    """The values in float32, or as they are in float64: losses and statistics are never formed in half precision."""
    return values if values.dtype == torch.float64 else values.float()
