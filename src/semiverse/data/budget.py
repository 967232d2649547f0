"""Which images keep their labels when labels are few."""

from collections import Counter
from collections.abc import Sequence

import numpy as np


def labeling_order(count: int, seed: int, classes: Sequence[frozenset[int]] | None = None) -> list[int]:
    """The order in which images receive labels; a budget of k images is its first k, so budgets are nested.

    The order is a seeded permutation. With ``classes``, images that show a class for the first time come first, the
    rarest class before all: small budgets miss few classes, and stay prefixes of larger ones.

    Args:
        count: Number of images.
        seed: Of the permutation.
        classes: Train ids that occur in each image; None leaves the permutation as it is.

    Returns:
        A permutation of 0..count-1.
    """
    permutation: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    if classes is None:
        return permutation
    frequency = Counter(label for present in classes for label in present)
    first: list[int] = []
    covered: set[int] = set()
    for label in sorted(frequency, key=lambda label: (frequency[label], label)):
        if label not in covered:
            first.append(next(index for index in permutation if label in classes[index]))
            covered |= classes[first[-1]]
    taken = set(first)
    return first + [index for index in permutation if index not in taken]
