"""How often classes and latent classes meet while training (Sawatzky et al., Eqs. 8 and 9)."""

import torch
from torch import Tensor
from torch.distributed import all_reduce

from semiverse.losses import effective_latent_classes, latent_given_class, update_co_occurrence
from semiverse.methods.processes import process_count
from semiverse.models import LatentBranch


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
