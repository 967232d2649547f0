"""Replace ids by a table."""

import numpy as np


def look_up(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """``table[ids]``, for bytes several times faster.

    Args:
        table: (256,) uint8, or longer for ids of 16 bits.
        ids: Any shape, uint8 or uint16.

    Returns:
        Values of the table, uint8, in the shape of ``ids``.
    """
    if ids.dtype != np.uint8:
        return np.asarray(table[ids])
    mapped = bytearray(np.ascontiguousarray(ids)).translate(table[:256].tobytes())
    return np.frombuffer(mapped, dtype=np.uint8).reshape(ids.shape)
