"""The latent branch: a second head a label space, and how its classes occur together with the semantic ones.

Sawatzky et al., "Discovering Latent Classes for Semi-Supervised Semantic Segmentation", section 3.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.distributed import all_reduce

from semiverse.distributed import process_count
from semiverse.losses import effective_latent_classes, latent_given_class, update_co_occurrence
from semiverse.upsampling import ScoreMap, Upsampling


class LatentBranch(nn.Module):
    """A head for the latent classes of each label space.

    Args:
        outputs: Number of latent classes L by key of the label space.
        classes: Number of semantic classes C, likewise.
        build_head: Makes a head with so many outputs, of the kind that the semantic branch has.
        upsampling: How logits are upsampled.
    """

    def __init__(
        self,
        outputs: Mapping[str, int],
        classes: Mapping[str, int],
        build_head: Callable[[int], nn.Module],
        upsampling: Upsampling = Upsampling(),
    ) -> None:
        super().__init__()
        self.outputs, self.upsampling = dict(outputs), upsampling
        self.heads = nn.ModuleDict({space: build_head(count) for space, count in outputs.items()})
        for space, count in outputs.items():
            self.register_buffer(f"co_occurrence_{space}", torch.zeros(classes[space], count))

    def logits(self, features: Tensor, space: str) -> ScoreMap:
        """Features, (N, D, h, w) → logits of the latent classes, (N, L, h, w)."""
        return ScoreMap(self.heads[space](features), self.upsampling)

    def co_occurrence(self, space: str) -> Tensor:
        """How often classes and latent classes met in training, a moving average, (C, L); zero before (Eq. 8)."""
        return self.get_buffer(f"co_occurrence_{space}")


class CoOccurrences:
    """Moving averages of the co-occurrences of each label space, which the branch keeps.

    Args:
        branch: Whose.
    """

    def __init__(self, branch: LatentBranch) -> None:
        self.branch = branch

    @torch.no_grad()
    def add(self, space: str, counts: Tensor, rate: float) -> None:
        """Move the average by the co-occurrences of a batch, (C, L), of which this process has a share (Eq. 8)."""
        if process_count() > 1:
            all_reduce(counts)
        average = self.branch.co_occurrence(space)
        average.copy_(update_co_occurrence(average, counts, rate))

    def latent_given_class(self, space: str) -> Tensor:
        """P(l|c), (C, L), rows sum to 1 (Eq. 9)."""
        return latent_given_class(self.branch.co_occurrence(space))

    def effective(self, space: str, threshold: float) -> int:
        """Latent classes l with P(l|c) above the threshold for a class that was seen (Table 4)."""
        seen = self.branch.co_occurrence(space).sum(dim=1, keepdim=True) > 0
        return effective_latent_classes(self.latent_given_class(space) * seen, threshold)
