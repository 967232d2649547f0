"""Memory that the C library keeps for the next step instead of giving it back to the system."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of mallopt(3)
_PATIENCE = 16
"""Images between two times that what is free is given back."""


@contextmanager
def memory_kept(device: torch.device) -> Iterator[Callable[[], None]]:
    """Keep memory that was freed for what is asked for next, and give it back in the end.

    The maps of every step are as large as those of the step before. The C library of Linux asks the system for each of
    them anew, and the system clears them page by page: up to a quarter of a step on a CPU. Elsewhere nothing changes.

    Args:
        device: What computes meanwhile.

    Yields:
        What to call after every image where they differ in size: maps of many sizes leave gaps in the memory that few
        of the next ones fit into, and the process grows. One call in sixteen gives back all that is free.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    if library is None or not hasattr(library, "mallopt"):  # musl has none
        yield lambda: None
        return
    seen = count(1)

    def settle() -> None:
        if not next(seen) % _PATIENCE:
            library.malloc_trim(0)

    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield settle
    finally:
        library.mallopt(_MMAP_MAX, 1 << 16)  # as it starts, with the thresholds that it reaches by itself
        library.mallopt(_MMAP_THRESHOLD, 1 << 25)
        library.mallopt(_TRIM_THRESHOLD, 1 << 26)
        library.malloc_trim(0)
