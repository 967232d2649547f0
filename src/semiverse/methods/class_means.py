"""How label embeddings move while training (Kalluri et al. (2019), appendix B)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed import all_reduce

from semiverse.embeddings import class_sums
from semiverse.methods.processes import process_count
from semiverse.models.label_embeddings import LabelEmbeddings, LabelRows


class ClassMeans(nn.Module):
    """Class means of projected labelled pixels over an epoch, for the update of the label rows (Eq. 7).

    Args:
        embeddings: Whose projection and rows.
    """

    def __init__(self, embeddings: LabelEmbeddings) -> None:
        super().__init__()
        self.embeddings = [embeddings]  # in a list: its parameters are not ours
        for space in embeddings.spaces:
            classes = cast(LabelRows, embeddings.spaces[space]).accumulator.shape[0]
            self.register_buffer(f"sums_{space}", torch.zeros(classes, embeddings.embed_dim, dtype=torch.float64))
            self.register_buffer(f"counts_{space}", torch.zeros(classes, dtype=torch.float64))

    @torch.no_grad()
    def add(self, space: str, features: Tensor, mask: Tensor, align_corners: bool = False) -> None:
        """Count features, (N, D, h, w), under the labels of a mask, (N, H, W), at the mask's resolution."""
        sums, counts = self.get_buffer(f"sums_{space}"), self.get_buffer(f"counts_{space}")
        projected = self.embeddings[0].projection(features)
        more, pixels = class_sums(projected, mask, len(counts), align_corners)
        if process_count() > 1:  # now, not at the end of the epoch: a checkpoint holds one process's buffers
            all_reduce(more)
            all_reduce(pixels)
        sums += more
        counts += pixels

    @torch.no_grad()
    def update(self, theta: float) -> None:
        """Move the rows, and start counting anew."""
        for space in self.embeddings[0].spaces:
            sums, counts = self.get_buffer(f"sums_{space}"), self.get_buffer(f"counts_{space}")
            means = sums / counts.clamp(min=1)[:, None]
            self.embeddings[0].update(space, means.float(), counts > 0, theta)
            sums.zero_()
            counts.zero_()
