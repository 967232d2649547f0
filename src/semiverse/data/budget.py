"""Which images keep their labels when labels are few."""

from collections.abc import Sequence

import numpy as np


def labeling_order(count: int, seed: int, classes: Sequence[frozenset[int]] | None = None) -> list[int]:
    """The order in which images receive labels; a budget of k images is its first k, so budgets are nested.

    The order is a seeded permutation. With ``classes``, images of classes that have not been seen yet come first, the
    rarest class first: a budget then covers as many classes as its size allows, and stays a prefix of larger budgets.

    Args:
        count: Number of images.
        seed: Of the permutation.
        classes: Train ids that occur in each image; None leaves the permutation as it is.

    Returns:
        A permutation of 0..count-1.
    """
    permutation = np.random.default_rng(seed).permutation(count).tolist()
    if classes is None:
        return permutation
    frequency: dict[int, int] = {}
    for present in classes:
        for label in present:
            frequency[label] = frequency.get(label, 0) + 1
    first: list[int] = []
    covered: set[int] = set()
    for label in sorted(frequency, key=lambda label: (frequency[label], label)):
        if label in covered:
            continue
        chosen = next(index for index in permutation if label in classes[index])
        first.append(chosen)
        covered |= classes[chosen]
    taken = set(first)
    return first + [index for index in permutation if index not in taken]
