"""Label embeddings: where the classes of a domain lie in the space of pixel features.

Kalluri et al. (2019), appendix A: encoder features of the labelled images are reduced by PCA, brought to the resolution
of the masks, and averaged per class; several centroids a class come from k-means. Upsampling and PCA are linear, so
neither needs features at full resolution: the masks are brought down instead, and class means are projected last.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from semiverse.labels import IGNORE
from semiverse.upsampling import Bilinear, Strip, Upsampling, full_precision, partition

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Starts a pass over (features, mask) batches: (N, D, h, w) floating point and (N, H, W) train ids or ``IGNORE``."""


class Projection(NamedTuple):
    """An affine map of features to an embedding space: ``components @ (feature - mean)``.

    Args:
        components: (d, D); its rows are orthonormal, or zero beyond the rank of the features.
        mean: (D,).
    """

    components: Tensor
    mean: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Project vectors, (..., D) → (..., d), in the type and on the device of the projection."""
        with torch.autocast(self.mean.device.type, enabled=False):
            return (features.to(self.mean) - self.mean) @ self.components.T


class StreamingPCA:
    """Principal components of features that are seen batch by batch, in memory that does not grow.

    Args:
        channels: D.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.sum = torch.zeros(channels, dtype=torch.float64)
        self.second_moment = torch.zeros(channels, channels, dtype=torch.float64)
        self._shift: Tensor | None = None

    def update(self, features: Tensor) -> None:
        """Take in the cells of some feature maps, (N, D, h, w)."""
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            vectors = full_precision(features).transpose(0, 1).flatten(1)
            # Around the first batch's mean, so that products of two large numbers do not hide a small variance.
            if self._shift is None:
                self._shift = vectors.mean(dim=1, keepdim=True)
            vectors = vectors - self._shift
            self.count += vectors.shape[1]
            self.sum += vectors.sum(dim=1).cpu()
            self.second_moment += (vectors @ vectors.T).cpu()

    def fit(self, dim: int) -> Projection:
        """The projection to the ``dim`` directions of largest variance, largest first; on the CPU.

        The sign of a direction is free; its loading of largest magnitude is made positive. Directions beyond the rank
        of the features carry no variance and are zero.

        Raises:
            ValueError: If there are fewer channels than directions, or no features were seen.
        """
        check_dimension(dim, len(self.sum))
        if self._shift is None:
            raise ValueError("no features were seen; principal components need at least one image: call update first")
        mean = self.sum / self.count
        covariance = self.second_moment / self.count - torch.outer(mean, mean)
        variances, directions = torch.linalg.eigh(covariance)
        components = directions.T.flip(0)[:dim].clone()
        largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
        components *= largest.sign()
        components[variances.flip(0)[:dim] <= torch.finfo(torch.float32).eps * variances[-1].clamp(min=0)] = 0
        shift = self._shift[:, 0].cpu()
        return Projection(components.to(shift), mean.to(shift) + shift)


def check_dimension(dim: int, channels: int) -> None:
    """Refuse to embed features in a space of more dimensions than they have channels."""
    if dim > channels:
        raise ValueError(
            f"{dim} embedding dimensions were asked of features with {channels} channels; "
            f"expected at most {channels}: lower the embedding dimension"
        )


class Centroids(NamedTuple):
    """Where the classes of one domain lie.

    Args:
        rows: Centroids, (C, K, d) float32; zero for absent classes. They are not normalised.
        present: Whether a class has a labelled pixel, (C,) bool.
        projection: The map from features to the space of the rows.
    """

    rows: Tensor
    present: Tensor
    projection: Projection


def class_sums(
    features: Tensor, mask: Tensor, num_classes: int, upsampling: Upsampling = Upsampling()
) -> tuple[Tensor, Tensor]:
    """Sums over each class's pixels of the bilinearly upsampled features, without upsampling them.

    sum_p 1[y_p = c] sum_q u_pq f_q = sum_q w_c(q) f_q, with w_c the class mask brought down by the transposed weights.

    Args:
        features: (N, D, h, w).
        mask: Train ids or ``IGNORE``, (N, H, W) of any integer type; values outside [0, C) are left out.
        num_classes: C.
        upsampling: Of the features.

    Returns:
        Sums, (C, D) float32 (float64 for float64 features), and numbers of pixels, (C,) int64.
    """
    features = full_precision(features.detach())
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        size = (mask.shape[1], mask.shape[2])
        matrices = Bilinear.of(features, size, upsampling)
        classes = torch.arange(num_classes, device=mask.device).to(mask.dtype)[:, None, None]
        one_hot = (
            Strip(images, rows, matrices.cells(rows), (mask[images, None, rows] == classes).to(features.dtype))
            for images, rows in partition(len(mask), num_classes, size, mask.device)
        )
        sums = _sums(features, num_classes, matrices, one_hot)
    valid = mask[(mask >= 0) & (mask < num_classes)]
    return sums, torch.bincount(valid.flatten(), minlength=num_classes)


def row_sums(
    pixels: Tensor, mask: Tensor, rows: Tensor, upsampling: Upsampling = Upsampling()
) -> tuple[Tensor, Tensor]:
    """Sums of the upsampled embedding over the pixels of each class, divided among its rows: the nearest gets a pixel.

    |e - c|^2 = |e|^2 - 2 (<e, c> - |c|^2 / 2): the nearest row has the largest bracket, so one score a row is upsampled
    to find it, strip by strip, never the d channels. A pixel that is as near to equal rows counts for each of them.

    Args:
        pixels: The embedding of cells, (N, d, h, w).
        mask: Train ids or ``IGNORE``, (N, H, W) of any integer type; values outside [0, C) are left out.
        rows: K rows of each class, at their own length, (C, K, d).
        upsampling: Of the embedding.

    Returns:
        Sums, (C, K, d) float32 (float64 for float64 pixels), and numbers of pixels, (C, K) int64.
    """
    pixels = full_precision(pixels.detach())
    with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
        num_classes, centroids, _ = rows.shape
        # Equal rows take the scores of the first of them, so that rounding decides nothing.
        same = (rows[:, :, None] == rows[:, None]).all(dim=-1).int().argmax(dim=-1)
        first = (torch.arange(num_classes, device=rows.device)[:, None] * centroids + same).flatten()
        flat = rows.flatten(0, 1).to(pixels)
        half_squares = flat.square().sum(dim=1)[first, None, None] / 2
        scores = F.conv2d(pixels, flat[:, :, None, None])[:, first]
        classes = torch.arange(num_classes, device=mask.device).repeat_interleave(centroids).to(mask.dtype)
        matrices = Bilinear.of(pixels, (mask.shape[1], mask.shape[2]), upsampling)
        counts = torch.zeros(len(flat), dtype=torch.int64, device=mask.device)

        def nearest() -> Iterator[Strip]:
            for strip in matrices.strips(scores):
                brackets = strip.values - half_squares
                of_class = brackets.view(len(brackets), num_classes, centroids, *brackets.shape[2:])
                best = (of_class == of_class.amax(dim=2, keepdim=True)).flatten(1, 2)
                chosen = best & (mask[strip.images, None, strip.rows] == classes[:, None, None])
                counts.add_(chosen.sum(dim=(0, 2, 3)))
                yield strip._replace(values=chosen.to(pixels.dtype))

        sums = _sums(pixels, len(flat), matrices, nearest())
    return sums.view(rows.shape), counts.view(rows.shape[:2])


def _sums(features: Tensor, groups: int, matrices: Bilinear, one_hot: Iterable[Strip]) -> Tensor:
    """Sums of upsampled features, (N, D, h, w), over the pixels of so many groups, (groups, D).

    ``one_hot`` says strip by strip which pixels are in which group. Brought down, it is each cell's weight in each sum.
    """
    weights = features.new_zeros(len(features), groups, *features.shape[-2:])
    for strip in one_hot:
        matrices.add_down(strip, weights)
    return (weights.flatten(2) @ features.flatten(2).transpose(1, 2)).sum(dim=0)


class ClassSums:
    """What ``class_sums`` finds, added up over images, on the CPU in double precision.

    Args:
        channels: D.
        num_classes: C.
        upsampling: Of the features.

    Attributes:
        sums: (C, D) float64.
        pixels: (C,) int64.
    """

    def __init__(self, channels: int, num_classes: int, upsampling: Upsampling = Upsampling()) -> None:
        self.sums = torch.zeros(num_classes, channels, dtype=torch.float64)
        self.pixels = torch.zeros(num_classes, dtype=torch.int64)
        self.upsampling = upsampling
        self._inside = torch.zeros(num_classes, 1, dtype=torch.float64)  # of the weights, where they do not sum to one

    def add(self, features: Tensor, mask: Tensor) -> None:
        """Count features, (N, D, h, w), under train ids or ``IGNORE``, (N, H, W)."""
        mask = mask.to(features.device)
        sums, pixels = class_sums(features, mask, len(self.pixels), self.upsampling)
        self.sums += sums.cpu()
        self.pixels += pixels.cpu()
        if self.upsampling.zero_border:
            self._inside += class_sums(torch.ones_like(features[:, :1]), mask, len(pixels), self.upsampling)[0].cpu()

    def means(self) -> Tensor:
        """Mean of every class, (C, D) float64; zero for a class without pixels."""
        return self.sums / self.pixels.clamp(min=1)[:, None]

    def projected_means(self, projection: Projection) -> Tensor:
        """Mean of every class, (C, d), had the features been projected before they were upsampled."""
        means = projection(self.means())
        if self.upsampling.zero_border:  # at the border less than the whole mean of the projection is taken off
            outside = 1 - self._inside / self.pixels.clamp(min=1)[:, None]
            means += outside.to(means) * (projection.components @ projection.mean)
        return means


def label_embeddings(
    batches: Batches,
    num_classes: int,
    projection: int | Projection,
    centroids: int = 1,
    seed: int = 0,
    pixels_per_class: int = 50_000,
    upsampling: Upsampling = Upsampling(),
) -> Centroids:
    """Centroids of every class in the principal subspace of the features.

    Args:
        batches: Starts a pass over the labelled images. With several centroids it is called twice and has to repeat
            itself.
        num_classes: C.
        projection: Dimension d of this domain's own PCA, at most the channels D of the features; or a projection that
            was fitted before, for instance on several domains together.
        centroids: K. One: the mean over the class's pixels at full resolution. More: k-means of a sample of cells.
        seed: Of the sample and of k-means.
        pixels_per_class: Largest sample of a class; C times this times d floats are held.
        upsampling: Of the features that one centroid averages over.

    Returns:
        Rows, which classes are present, and the projection. A class with fewer than K sampled cells repeats its mean;
        a class without pixels is absent.

    Raises:
        ValueError: If d exceeds the channels of the features, or there is no batch.
    """
    pca: StreamingPCA | None = None
    cells = torch.zeros(num_classes, dtype=torch.int64)
    for features, mask in batches():
        if pca is None:
            pca, totals = StreamingPCA(features.shape[1]), ClassSums(features.shape[1], num_classes, upsampling)
            if isinstance(projection, int):
                check_dimension(projection, features.shape[1])
        if isinstance(projection, int):
            pca.update(features)
        totals.add(features, mask)
        cells += torch.bincount(_cell_labels(mask, features), minlength=IGNORE + 1)[:num_classes]
    if pca is None:
        raise ValueError("label embeddings were asked of no image; expected at least one batch: label some images")
    if isinstance(projection, int):
        projection = pca.fit(projection)
    present = totals.pixels > 0
    rows = totals.projected_means(projection)[:, None].repeat(1, centroids, 1).float()
    rows[~present] = 0
    if centroids > 1:
        from sklearn.cluster import KMeans  # a second of imports that one centroid a class does not need

        sample = _sample_cells(batches, projection, cells.clamp(max=pixels_per_class), cells, seed)
        for label, vectors in enumerate(sample):
            if len(vectors) >= centroids:  # the best of ten k-means++ starts
                found = KMeans(centroids, n_init=10, random_state=seed).fit(vectors.numpy())
                rows[label] = torch.from_numpy(found.cluster_centers_).to(vectors)
    return Centroids(rows, present, projection)


def _cell_labels(mask: Tensor, features: Tensor) -> Tensor:
    """Label of every feature cell, (N * h * w,): that of the pixel in its middle."""
    labels = F.interpolate(mask[:, None].to(torch.uint8), size=features.shape[-2:], mode="nearest-exact")
    return labels.flatten().cpu()


def _sample_cells(
    batches: Batches, projection: Projection, sizes: Tensor, cells: Tensor, seed: int
) -> Iterator[Tensor]:
    """Projected features of a random sample of each class's cells, without replacement: so many, (C,), of those, (C,).

    Returns:
        Vectors of each class, (size, d).
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randperm(int(there), generator=generator) < size for there, size in zip(cells, sizes, strict=True)]
    seen = [0] * len(cells)
    vectors: list[list[Tensor]] = [[projection.mean.new_empty(0, len(projection.components))] for _ in cells]
    for features, mask in batches():
        labels = _cell_labels(mask, features)
        for label in torch.unique(labels[labels < len(cells)]).tolist():
            (own,) = torch.where(labels == label)
            taken = own[drawn[label][seen[label] : seen[label] + len(own)]].to(features.device)
            seen[label] += len(own)
            image, cell = taken // features[0, 0].numel(), taken % features[0, 0].numel()
            vectors[label].append(projection(features.flatten(2)[image, :, cell]))
    return (torch.cat(parts) for parts in vectors)
