"""Unsupervised segmentation by back-propagation: Kanezaki, ICASSP 2018, algorithm 1."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from semiverse.allocation import memory_kept
from semiverse.clustering.network import Network, cross_entropy
from semiverse.clustering.results import Clusters, Reason, by_size
from semiverse.inference.predictor import usable_device
from semiverse.labels import IGNORE
from semiverse.models import warn_of_slow_halves
from semiverse.upsampling import ScoreMap, argmax_with_confidence

Kind = Literal["slic", "felzenszwalb", "grid", "none"]


@dataclass(frozen=True)
class Settings:
    """How an image is segmented; the defaults are those of the published code, but for ``max_size``.

    Args:
        superpixels: ``slic``, ``felzenszwalb``, ``grid`` or ``none``, see ``superpixels``.
        segments: Number of superpixels (SLIC and grid).
        compactness: Weight of place against colour (SLIC).
        channels: q, the largest number of clusters, at most 255.
        layers: M, convolutions of 3x3 before the one of 1x1.
        iterations: T, at most.
        min_labels: Stop once there are no more labels than this.
        patience: Stop when the labels have hardly changed in so many iterations after each other; None: never for that.
        tolerance: Share of pixels that "hardly" allows to change in one iteration.
        lr: Learning rate.
        momentum: Momentum.
        max_size: Longer side in pixels to which larger images are reduced first; None: never.
        precision: Type of the convolutions; bfloat16 saves time and memory where the processor has it.
        refined: Answer with one label a superpixel; False: with the label of each pixel.
        bgr: Give the channels in the order of the published code: blue, green, red.

    Raises:
        ValueError: If a value makes no sense.
    """

    superpixels: Kind = "slic"
    segments: int = 10000
    compactness: float = 100.0
    channels: int = 100
    layers: int = 2
    iterations: int = 1000
    min_labels: int = 3
    patience: int | None = None
    tolerance: float = 0.001
    lr: float = 0.1
    momentum: float = 0.9
    max_size: int | None = 1024
    precision: Literal["float32", "bfloat16"] = "float32"
    refined: bool = False
    bgr: bool = False

    def __post_init__(self) -> None:
        least = ("segments", "layers", "iterations", "min_labels", "patience", "max_size")
        for name, lowest in {**dict.fromkeys(least, 1), "channels": 2}.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ValueError(f"{name} is {value}; expected at least {lowest}: correct it")
        if self.channels > IGNORE:
            raise ValueError(f"channels is {self.channels}; expected at most {IGNORE}, as masks hold bytes: lower it")
        for name in ("lr", "compactness"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0: correct it")
        for name in ("momentum", "tolerance"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1: correct it")


def superpixels(image: Tensor, kind: Kind = "slic", count: int = 10000, compactness: float = 100.0) -> Tensor:
    """Number of the superpixel of each pixel, from 0 without gaps, (H, W) int64.

    Args:
        image: (3, H, W) uint8.
        kind: ``slic``: k-means of colour and place (Achanta et al., 2012), as in the paper; ``felzenszwalb``: a graph
            of neighbours (Felzenszwalb and Huttenlocher, 2004), few large regions along edges; ``grid``: squares, at
            no cost, and close to what SLIC gives with compactness 100; ``none``: every pixel by itself.
        count: About how many (SLIC and grid); the number is not adapted to the image, so superpixels of large images
            are large.
        compactness: Weight of place against colour (SLIC).
    """
    height, width = image.shape[1:]
    if kind == "none" or (count >= height * width and kind != "felzenszwalb"):
        return torch.arange(height * width).view(height, width)
    if kind == "grid":
        side = max(1, round(math.sqrt(height * width / count)))
        return (torch.arange(height) // side * -(-width // side))[:, None] + torch.arange(width) // side
    from skimage.segmentation import felzenszwalb, slic  # takes a moment to import

    pixels = image.permute(1, 2, 0).numpy()
    if kind == "slic":
        found = slic(pixels, n_segments=count, compactness=compactness, start_label=0)
    else:
        # Scale and size that others took for this method; the function's own leave regions of several objects.
        found = felzenszwalb(pixels, scale=32, sigma=0.5, min_size=64)
    return torch.from_numpy(np.unique(found, return_inverse=True)[1].reshape(height, width))


class Refinement:
    """Majority votes within superpixels, as often as wanted.

    A table counts, for each superpixel, how many of its pixels have each label; the first of the largest counts wins.
    That is the rule of the published loops (NumPy's ``argmax`` over ``unique`` labels): of equally frequent labels the
    smallest.

    Args:
        superpixels: Number of the superpixel of each pixel, (n,) int64, from 0 without gaps.
        labels: q, number of labels.
    """

    def __init__(self, superpixels: Tensor, labels: int) -> None:
        self.superpixels, self.labels = superpixels, labels
        self.count = int(superpixels.max()) + 1
        self._cells = superpixels * labels
        self._ones = torch.ones(len(superpixels), dtype=torch.int32, device=superpixels.device)
        self._table = torch.empty(self.count * labels, dtype=torch.int32, device=superpixels.device)

    def __call__(self, found: Tensor) -> Tensor:
        """Labels, (n,) int64 in [0, q) → the most frequent one of each pixel's superpixel, (n,) int64."""
        self._table.zero_().scatter_add_(0, self._cells + found, self._ones)
        return first_largest(self._table.view(self.count, self.labels)).index_select(0, self.superpixels)


def first_largest(rows: Tensor) -> Tensor:
    """Column of the largest value of each row, of equal ones the first; (n, q) → (n,) int64."""
    if rows.device.type == "cpu":  # several times as fast as torch's arg-max, by the same rule
        return torch.from_numpy(rows.numpy().argmax(axis=1))
    return rows.argmax(dim=1)


Watch = Callable[[int, int, float], None]
"""Called with the iteration (from 1), the number of labels before refinement, and the loss."""


def segment(
    image: Tensor, settings: Settings | None = None, seed: int = 0, device: str = "auto", watch: Watch | None = None
) -> Clusters:
    """Segment one image without labels: a network is trained on it alone, to agree with its own smoothed answer.

    Repeat: each pixel gets the label of its largest response, each superpixel the most frequent label of its pixels,
    and a step of gradient descent lowers the cross entropy of the responses with those labels.

    Args:
        image: (3, H, W) uint8.
        settings: How; None: the defaults.
        seed: Of the network's first weights; the caller's random numbers are left alone.
        device: Where to compute; ``auto``: a GPU if there is one.
        watch: Told of every iteration.

    Returns:
        Clusters at the image's own size, the same for the same arguments on the same processor.

    Raises:
        ValueError: If the image is something else, the device does not exist, or the loss stops being finite.
    """
    settings = settings or Settings()
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8 or image.numel() == 0:
        raise ValueError(
            f"the image has shape {tuple(image.shape)} and type {image.dtype}; expected (3, H, W), torch.uint8: "
            "convert it, or read the file by semiverse.data.images.read_image"
        )
    place = usable_device(device)
    if settings.precision == "bfloat16":
        warn_of_slow_halves(torch.bfloat16, torch.device(place.type))
    pixels, longest = image.cpu().flip(0) if settings.bgr else image.cpu(), max(image.shape[1:])
    if settings.max_size is not None and settings.max_size < longest:
        size = [max(1, round(side * (settings.max_size / longest))) for side in image.shape[1:]]
        pixels = tv.resize(pixels, size, InterpolationMode.BILINEAR, antialias=True)
    regions = superpixels(pixels, settings.superpixels, settings.segments, settings.compactness)
    refine = Refinement(regions.flatten().to(place), settings.channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(settings.channels, settings.layers)
    network = network.to(place).to(memory_format=torch.channels_last)
    values = (pixels[None].to(place).float() / 255).to(getattr(torch, settings.precision))
    values = values.to(memory_format=torch.channels_last)
    with memory_kept(values.device):
        iterations, stopped = _optimize(network, values, refine, settings, watch)
    with torch.no_grad():
        responses = network(values)
    maps = responses.view(1, *pixels.shape[1:], -1).permute(0, 3, 1, 2)
    mask, confidence = argmax_with_confidence(ScoreMap(maps), (image.shape[1], image.shape[2]))
    if settings.refined:
        refined = refine(first_largest(responses)).view(1, *pixels.shape[1:]).to(torch.uint8)
        mask = tv.resize(refined, list(image.shape[1:]), InterpolationMode.NEAREST_EXACT)
    clusters, labels = by_size(mask[0].cpu())
    return Clusters(clusters, labels, confidence[0].cpu(), refine.count, iterations, stopped)


def _optimize(
    network: Network, image: Tensor, refine: Refinement, settings: Settings, watch: Watch | None
) -> tuple[int, Reason]:
    """The loop; how many iterations there were, and why no more."""
    optimizer = torch.optim.SGD(network.parameters(), settings.lr, settings.momentum)
    previous, still = None, 0
    for iteration in range(1, settings.iterations + 1):
        responses = network(image)
        found = first_largest(responses.detach())
        labels = int(torch.bincount(found).count_nonzero())
        target = refine(found)
        loss = cross_entropy(responses, target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if not math.isfinite(value := loss.item()):
            raise ValueError(f"the loss is {value} in iteration {iteration}; expected a number: lower lr")
        if watch:
            watch(iteration, labels, value)
        if labels <= settings.min_labels:
            return iteration, "min_labels"
        changed = len(found) if previous is None else int((target != previous).count_nonzero())
        previous, still = target, still + 1 if changed <= settings.tolerance * len(found) else 0
        if settings.patience is not None and still >= settings.patience:
            return iteration, "converged"
    return settings.iterations, "iterations"
