"""The latent branch: a second head a label space, and how its classes occur together with the semantic ones.

Sawatzky et al., "Discovering Latent Classes for Semi-Supervised Semantic Segmentation", section 3.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn


class LatentBranch(nn.Module):
    """A head for the latent classes of each label space.

    Args:
        outputs: Number of latent classes L by key of the label space.
        classes: Number of semantic classes C, likewise.
        build_head: Makes a head with so many outputs, of the kind that the semantic branch has.
    """

    def __init__(
        self, outputs: Mapping[str, int], classes: Mapping[str, int], build_head: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.outputs = dict(outputs)
        self.heads = nn.ModuleDict({space: build_head(count) for space, count in outputs.items()})
        for space, count in outputs.items():
            self.register_buffer(f"co_occurrence_{space}", torch.zeros(classes[space], count))

    def logits(self, features: Tensor, space: str) -> Tensor:
        """Features, (N, D, h, w) → logits of the latent classes, (N, L, h, w)."""
        return cast(Tensor, self.heads[space](features))

    def co_occurrence(self, space: str) -> Tensor:
        """How often classes and latent classes met in training, a moving average, (C, L); zero before (Eq. 8)."""
        return self.get_buffer(f"co_occurrence_{space}")
