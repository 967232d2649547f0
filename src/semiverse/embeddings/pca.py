"""Principal components of features that are seen batch by batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from semiverse.upsampling import full_precision


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
    """Refuse to embed features in a space of more dimensions than they have channels.

    Raises:
        ValueError: If there are fewer channels than dimensions.
    """
    if dim > channels:
        raise ValueError(
            f"{dim} embedding dimensions were asked of features with {channels} channels; "
            f"expected at most {channels}: lower the embedding dimension"
        )
