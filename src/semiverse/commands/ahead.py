"""Read the next files while the current one is being looked at."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 2) -> Iterator[Result]:
    """Results in the order of the items, a few of them computed beforehand in threads.

    Args:
        function: What to do with an item; what it raises is raised where its result would come.
        items: Any number of them.
        workers: Threads; twice as many results wait at most.
    """
    coming = iter(items)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(coming, 2 * max(1, workers)))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(coming, 1))
            yield result
