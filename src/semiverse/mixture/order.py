"""Orders that are computed for a place instead of stored, so that they cost the same for any number of images.

A Feistel network is a bijection of the numbers below a power of four, whatever its round function; walking on along its
cycles until a number is small enough makes it one of the numbers below any count (Black and Rogaway, "Ciphers with
arbitrary finite domains", CT-RSA 2002, methods 2 and 3).
"""

from collections.abc import Sequence

import numpy as np

ROUNDS = 8


def computed_order(count: int, key: Sequence[int], places: np.ndarray) -> np.ndarray:
    """What stands at some places of a pseudo-random order of the numbers 0..count-1.

    Args:
        count: How many numbers; at least 1.
        key: What the order is drawn from, such as seed, stream and pass: others give other orders.
        places: Which places, (N,) integers in 0..count-1.

    Returns:
        The numbers there, (N,) int64; over all places each number once.
    """
    half = np.uint64(max(1, (max(1, count - 1).bit_length() + 1) // 2))
    rounds = np.random.SeedSequence(list(key)).generate_state(ROUNDS, np.uint64)
    numbers = _network(places.astype(np.uint64), half, rounds)
    while (beyond := numbers >= np.uint64(count)).any():
        numbers[beyond] = _network(numbers[beyond], half, rounds)
    return numbers.astype(np.int64)


def _network(numbers: np.ndarray, half: np.uint64, rounds: np.ndarray) -> np.ndarray:
    """A bijection of the numbers of twice ``half`` bits, (N,) uint64."""
    low = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & low
    for key in rounds:
        left, right = right, left ^ (_mixed(right ^ key) & low)
    return np.asarray((left << half) | right)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Bits of each number in every bit of another: the last steps of SplitMix64 (Steele et al., OOPSLA 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)))
