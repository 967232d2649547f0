"""Features of labelled pixels: a sample to be drawn, and how alike the classes of different domains are."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.embeddings.estimate import class_sums
from semiverse.upsampling import Upsampling, full_precision

PER_CLASS = 200
PER_IMAGE = 20


class FeatureSample:
    """Features of random pixels of every class: at most 200, and at most 20 of them from one image.

    Pixels are cells at the resolution of the features; their classes those of the nearest pixels of the mask. This is
    the sample of Kalluri et al. (2019), figure 4, whose size they do not say.

    Args:
        channels: D.
        num_classes: C.
        seed: Of the draw.

    Attributes:
        vectors: The features drawn so far, (M, D) float32, class by class.
        classes: Their classes, (M,) int64.
    """

    def __init__(self, channels: int, num_classes: int, seed: int = 0) -> None:
        self.num_classes = num_classes
        self.vectors = torch.empty(0, channels)
        self.classes = torch.empty(0, dtype=torch.int64)
        self._lots = torch.empty(0, dtype=torch.float64)
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, features: Tensor, mask: Tensor) -> None:
        """Draw from one image.

        Args:
            features: (1, D, h, w).
            mask: Train ids or ``IGNORE``, (H, W) uint8.
        """
        cells = F.interpolate(mask[None, None], size=features.shape[-2:], mode="nearest-exact").flatten().long()
        drawn = torch.randperm(len(cells), generator=self._generator)
        drawn = drawn[cells[drawn] < self.num_classes]
        drawn = drawn[_first_of_each(cells[drawn], PER_IMAGE)]
        vectors = full_precision(features[0].flatten(1)[:, drawn.to(features.device)].T).cpu()
        lots = torch.rand(len(drawn), generator=self._generator, dtype=torch.float64)
        self.vectors, self.classes, self._lots = (
            torch.cat(parts) for parts in ((self.vectors, vectors), (self.classes, cells[drawn]), (self._lots, lots))
        )
        order = self._lots.argsort()
        kept = order[_first_of_each(self.classes[order], PER_CLASS)]
        self.vectors, self.classes, self._lots = self.vectors[kept], self.classes[kept], self._lots[kept]


def _first_of_each(classes: Tensor, most: int) -> Tensor:
    """Where the first so many of every class are, class by class: (N,) → indices, (M,)."""
    order = classes.argsort(stable=True)
    ordered = classes[order]
    place = torch.arange(len(order)) - torch.searchsorted(ordered, ordered)
    return order[place < most]


class ClassCentroids:
    """Mean features of every class, over its pixels at the resolution of the masks.

    Args:
        channels: D.
        num_classes: C.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        self.sums = torch.zeros(num_classes, channels, dtype=torch.float64)
        self.pixels = torch.zeros(num_classes, dtype=torch.int64)

    def add(self, features: Tensor, mask: Tensor, upsampling: Upsampling = Upsampling()) -> None:
        """Count one image: features, (1, D, h, w), and train ids or ``IGNORE``, (H, W) uint8."""
        sums, pixels = class_sums(features, mask[None].to(features.device), len(self.pixels), upsampling)
        self.sums += sums.cpu()
        self.pixels += pixels.cpu()

    def means(self) -> tuple[Tensor, Tensor]:
        """Ids of the classes that have pixels, (R,) int64, and their means, (R, D) float64."""
        (present,) = torch.where(self.pixels > 0)
        return present, self.sums[present] / self.pixels[present, None]


class Similarity(NamedTuple):
    """How alike the classes of different domains are.

    Args:
        pairs: Cosine in [-1, 1] by (domain, class) and (other domain, class), both ways.
        same_name: Its mean over the pairs of equal class name; NaN if there is none.
    """

    pairs: dict[tuple[str, str], dict[tuple[str, str], float]]
    same_name: float


def similarity(centroids: Mapping[tuple[str, str], Tensor]) -> Similarity:
    """Cosines between class centroids, (D,) each, of different domains; keys are domain and class."""
    if not centroids:
        return Similarity({}, float("nan"))
    directions = F.normalize(torch.stack(list(centroids.values())), dim=1)
    cosines = (directions @ directions.T).clamp(-1, 1).tolist()
    pairs = {
        one: {other: value for other, value in zip(centroids, row, strict=True) if other[0] != one[0]}
        for one, row in zip(centroids, cosines, strict=True)
    }
    pairs = {one: others for one, others in pairs.items() if others}
    same = [value for one, others in pairs.items() for other, value in others.items() if other[1] == one[1]]
    return Similarity(pairs, sum(same) / len(same) if same else float("nan"))
