"""Images that show the same, by what they show and not by their names."""

from collections.abc import Sequence

import numpy as np

BITS = 6
"""Near-duplicates differ in at most so many of the 64 bits of the difference hash ..."""
LEVELS = 4.0
"""... and by at most so many grey levels in the mean of their thumbnails ..."""
CONTRAST = 8.0
"""... which have at least this standard deviation: two flat images look alike and are not the same."""


def difference_hash(thumbnail: np.ndarray) -> int:
    """64 bits: whether each of 8 rows of 9 grey means grows from one to the next (Krawetz, "Kind of like that", 2013).

    Args:
        thumbnail: (16, 18) uint8, whose quadruples give the 8x9 means.
    """
    means = thumbnail.reshape(8, 2, 9, 2).mean(axis=(1, 3), dtype=np.float64)
    return int.from_bytes(np.packbits(np.diff(means, axis=1) > 0).tobytes(), "big")


def resemble(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether thumbnails, (16, 18) uint8, show the same up to brightness: the check of what the hash suggests."""
    difference = one.astype(np.float64) - other
    centred = np.abs(difference - difference.mean()).mean()
    return bool(centred <= LEVELS and min(one.std(), other.std()) >= CONTRAST)


class Resemblance:
    """Finds which of some images a further one resembles.

    Args:
        thumbnails: Of the images, (16, 18) uint8 each.
    """

    def __init__(self, thumbnails: Sequence[np.ndarray] | np.ndarray) -> None:
        self._thumbnails = thumbnails
        hashes = (difference_hash(thumbnail) for thumbnail in thumbnails)
        self._hashes = np.fromiter(hashes, np.uint64, len(thumbnails))

    def find(self, thumbnail: np.ndarray) -> list[int]:
        """Numbers of the images that it resembles, in their order; none for one that is flat."""
        if thumbnail.std() < CONTRAST:
            return []
        distances = np.bitwise_count(self._hashes ^ np.uint64(difference_hash(thumbnail)))
        near: list[int] = np.flatnonzero(distances <= BITS).tolist()
        return [i for i in near if resemble(thumbnail, self._thumbnails[i])]
