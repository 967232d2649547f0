"""Unsupervised segmentation of 321 x 481 pixels with 100 channels: refinement, and a whole iteration.

The references are the published order of operations in float32: two loops over superpixels and the labels in each, and
an iteration with that refinement, batch normalisation by ``torch.nn`` and the loss on a permuted copy of the responses.
All runs of an iteration start from the same weights and go on from where the last one ended. ``float32`` and
``bfloat16`` are the library's iteration with convolutions of that type.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import Goal, compare
from semiverse.clustering import Network, Refinement, superpixels
from semiverse.clustering.network import cross_entropy
from semiverse.clustering.segment import first_largest

CHANNELS, SIZE = 100, (321, 481)


def run() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 20, 30, generator=generator)
    image = F.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 1)
    image = (image + 0.02 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    regions = superpixels((255 * image[0]).byte()).flatten()
    pixels_of = [np.where(regions.numpy() == i)[0] for i in range(int(regions.max()) + 1)]
    published = _published_iteration(image, pixels_of)
    return {
        "refinement": _compare_refinement(regions, pixels_of, generator),
        "float32": compare(published, _iteration(image, regions), rounds=4, goal=Goal(time=1.4)),
        "bfloat16": compare(published, _iteration(image.bfloat16(), regions), rounds=4, goal=Goal(time=2.2)),
        "losses": _losses(image, regions, pixels_of),
    }


def _compare_refinement(regions: Tensor, pixels_of: list[np.ndarray], generator: torch.Generator) -> dict[str, Any]:
    """On labels of few values, which are often equally frequent within a superpixel."""
    labels = torch.randint(0, CHANNELS, (len(regions),), generator=generator) // 12
    refinement = Refinement(regions, CHANNELS)
    result = compare(
        lambda: _two_loops(labels.numpy(), pixels_of), lambda: refinement(labels), rounds=9, goal=Goal(time=60)
    )
    differing = int((refinement(labels).numpy() != _two_loops(labels.numpy(), pixels_of)).sum())
    return result | {"superpixels": refinement.count, "differing_pixels": differing}


def _losses(image: Tensor, regions: Tensor, pixels_of: list[np.ndarray]) -> dict[str, list[float]]:
    """The first losses of each variant from the same weights."""
    steps = {
        "published": _published_iteration(image, pixels_of),
        "float32": _iteration(image, regions),
        "bfloat16": _iteration(image.bfloat16(), regions),
    }
    return {name: [round(step(), 4) for _ in range(3)] for name, step in steps.items()}


def _iteration(image: Tensor, regions: Tensor) -> Callable[[], float]:
    torch.manual_seed(0)
    network, refine = Network(CHANNELS).to(memory_format=torch.channels_last), Refinement(regions, CHANNELS)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    image = image.to(memory_format=torch.channels_last)

    def step() -> float:
        responses = network(image)
        found = first_largest(responses.detach())
        torch.bincount(found).count_nonzero().item()
        loss = cross_entropy(responses, refine(found))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _published_iteration(image: Tensor, pixels_of: list[np.ndarray]) -> Callable[[], float]:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(CHANNELS)),
        *(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(CHANNELS)),
        *(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.BatchNorm2d(CHANNELS)),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        output = network(image)[0].permute(1, 2, 0).contiguous().view(-1, CHANNELS)
        labels = torch.max(output, 1)[1].numpy()
        len(np.unique(labels))
        loss = F.cross_entropy(output, torch.from_numpy(_two_loops(labels, pixels_of)))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _two_loops(labels: np.ndarray, pixels_of: list[np.ndarray]) -> np.ndarray:
    refined = labels.copy()
    for pixels in pixels_of:
        inside = refined[pixels]
        values = np.unique(inside)
        counts = np.zeros(len(values))
        for j in range(len(counts)):
            counts[j] = len(np.where(inside == values[j])[0])
        refined[pixels] = values[np.argmax(counts)]
    return refined
