"""Means of projected labelled pixels, to which label rows move while training (Kalluri et al. (2019), Eq. 7)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed import all_reduce

from semiverse.distributed import process_count
from semiverse.embeddings.estimate import class_sums, row_sums
from semiverse.models.label_embeddings import LabelEmbeddings, LabelRows


class ClassMeans(nn.Module):
    """Means of projected labelled pixels, for the update of the label rows (Eq. 7).

    The only row of a class moves to the mean of its pixels; of several each moves to the mean of those that are nearest
    to it, which is a step of the k-means that they come from.

    Args:
        embeddings: Whose projection and rows.
    """

    def __init__(self, embeddings: LabelEmbeddings) -> None:
        super().__init__()
        self.embeddings = [embeddings]  # in a list: its parameters are not ours
        for space in embeddings.spaces:
            rows = self._rows(space).shape[:2].numel()
            self.register_buffer(f"sums_{space}", torch.zeros(rows, embeddings.embed_dim, dtype=torch.float64))
            self.register_buffer(f"counts_{space}", torch.zeros(rows, dtype=torch.float64))

    @torch.no_grad()
    def add(self, space: str, features: Tensor, mask: Tensor) -> None:
        """Count features, (N, D, h, w), under the labels of a mask, (N, H, W), at the mask's resolution."""
        sums, counts = self.get_buffer(f"sums_{space}"), self.get_buffer(f"counts_{space}")
        embeddings, rows = self.embeddings[0], self._rows(space)
        pixels = embeddings.project(features)
        if embeddings.centroids == 1:
            more, number = class_sums(pixels, mask, len(rows), embeddings.upsampling)
        else:
            more, number = (one.flatten(0, 1) for one in row_sums(pixels, mask, rows, embeddings.upsampling))
        if process_count() > 1:  # now, not at the end of the epoch: a checkpoint holds one process's buffers
            all_reduce(more)
            all_reduce(number)
        sums += more
        counts += number

    @torch.no_grad()
    def update(self, theta: float) -> None:
        """Move the rows, and start counting anew."""
        for space in self.embeddings[0].spaces:
            sums, counts = self.get_buffer(f"sums_{space}"), self.get_buffer(f"counts_{space}")
            shape = self._rows(space).shape
            means = (sums / counts.clamp(min=1)[:, None]).view(shape)
            self.embeddings[0].update(space, means, (counts > 0).view(shape[:2]), theta)
            sums.zero_()
            counts.zero_()

    def _rows(self, space: str) -> Tensor:
        """Label rows at their own length, (C, K, d)."""
        return cast(LabelRows, self.embeddings[0].spaces[space]).accumulator
