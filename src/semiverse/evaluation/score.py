"""Scores and counts as plain values, ready to be written as JSON."""

import math
from collections.abc import Iterable, Sequence

from torch import Tensor


def number(value: float) -> float | None:
    """A number with six digits behind the point; None for one that is not defined."""
    return None if math.isnan(value) else round(value, 6)


def by_class(classes: Sequence[str], values: Iterable[float]) -> dict[str, float | None]:
    """The number of each class."""
    return {title: number(float(value)) for title, value in zip(classes, values, strict=True)}


def counts(matrix: Tensor, classes: Sequence[str], predicted: Sequence[str]) -> dict[str, dict[str, int]]:
    """Pixels by true class (rows) and predicted class (columns); zeros and predictions of no class are left out."""
    return {
        title: {other: count for other, count in zip(predicted, row, strict=False) if count}
        for title, row in zip(classes, matrix.tolist(), strict=True)
    }
