"""Unsupervised segmentation by back-propagation: Kanezaki, ICASSP 2018, algorithm 1."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from semiverse.clustering.network import Network, cross_entropy
from semiverse.clustering.results import Clusters, Reason, by_size
from semiverse.clustering.settings import Settings
from semiverse.clustering.superpixels import superpixels
from semiverse.upsampling import ScoreMap, argmax_with_confidence


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
    place = _device(device)
    pixels = _working(image.cpu(), settings)
    regions = superpixels(pixels, settings.superpixels, settings.segments, settings.compactness)
    refine = Refinement(regions.flatten().to(place), settings.channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(settings.channels, settings.layers)
    network = network.to(place).to(memory_format=torch.channels_last)
    values = (pixels[None].to(place).float() / 255).to(getattr(torch, settings.precision))
    values = values.to(memory_format=torch.channels_last)
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


def _working(image: Tensor, settings: Settings) -> Tensor:
    """The image as the network sees it, (3, h, w) uint8."""
    height, width = image.shape[1:]
    factor = (settings.max_size or max(height, width)) / max(height, width)
    if factor < 1:
        size = [max(1, round(height * factor)), max(1, round(width * factor))]
        image = tv.resize(image, size, InterpolationMode.BILINEAR, antialias=True)
    return image.flip(0) if settings.bgr else image


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used ({first}); expected auto, cpu or cuda: correct it") from error
