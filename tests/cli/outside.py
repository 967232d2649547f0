"""A command and classes from outside the library, with signatures that those of the library do not have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from semiverse.data import SegmentationDataset
from semiverse.methods import Adversarial, Method, Supervised
from semiverse.models import SegmentationModel


@dataclass(frozen=True)
class Optimizer:
    """How weights are changed.

    Args:
        kind: Which one.
        lr: Rate; None: the method's.
        warmup: Steps.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float | None = None
    warmup: int | None = None


class Weighted(Adversarial):
    """A method that hands options on.

    Args:
        model: What is trained.
        weight: Of its term.
    """

    def __init__(self, model: SegmentationModel, weight: float = 1.0, **options: Any) -> None:
        super().__init__(model, **options)
        self.weight = weight


def practise(
    method: Callable[[SegmentationModel], Method] = Supervised,
    optimizer: Optimizer = Optimizer(),
    sources: list[SegmentationDataset] | None = None,
) -> None:
    """What words are parsed for.

    Args:
        method: What is minimised.
        optimizer: How.
        sources: From what.
    """
