"""What a method counts while it trains and validates."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from semiverse.evaluation.confusion import ConfusionMatrix
from semiverse.labels import LabelSpace
from semiverse.upsampling import ScoreMap, argmax


class Means:
    """Means of recorded scalars since they were last taken; sums stay on the device until then."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Record a scalar."""
        value = value.detach().double()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Means by name; counting starts anew."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class Confusions(nn.Module):
    """A confusion matrix for each domain.

    Args:
        label_spaces: Label space of each domain.
    """

    def __init__(self, label_spaces: Mapping[str, LabelSpace]) -> None:
        super().__init__()
        self.matrices = nn.ModuleDict({name: ConfusionMatrix(len(space)) for name, space in label_spaces.items()})

    def add(self, domain: str, logits: ScoreMap, mask: Tensor) -> None:
        """Count the best class of logits (N, C, h, w), upsampled to the masks (N, H, W)."""
        prediction = argmax(logits, (mask.shape[1], mask.shape[2]))
        cast(ConfusionMatrix, self.matrices[domain]).update(prediction, mask)

    def take(self) -> dict[str, float]:
        """Mean IoU of each domain, in [0, 1]; counting starts anew."""
        scores = {name: cast(ConfusionMatrix, matrix).compute().miou for name, matrix in self.matrices.items()}
        for matrix in self.matrices.values():
            cast(ConfusionMatrix, matrix).reset()
        return scores
