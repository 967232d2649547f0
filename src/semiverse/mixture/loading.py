"""Loading processes that cannot hang, and whose errors read as if there were none of them."""

import os
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from warnings import warn

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from semiverse.files import DataProblem

Item = TypeVar("Item")
SHARED = "/dev/shm"
"""Where Linux keeps memory that processes share. Docker gives a container 64 MiB of it."""
LONGEST = 1800.0
"""Seconds without a batch after which loading processes are given up."""


class Carried(NamedTuple):
    """An error on its way from a loading process: raised where it arrives, it is the error itself."""

    error: Exception


class Packed(NamedTuple):
    """A batch on its way through a pipe, as there is too little shared memory for it."""

    content: bytes


class Carrying(Dataset[Any]):
    """A dataset whose errors are values, so that they cross processes as they are.

    Args:
        dataset: Gives the items.
        collate: Makes a batch of several; None: each item is a batch.
    """

    def __init__(self, dataset: Dataset[Any], collate: Callable[[Sequence[Any]], Any] | None) -> None:
        self.dataset, self.collate = dataset, collate

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        try:
            item = self.dataset[index]
            return fitting(item if self.collate is None else self.collate([item]))
        except Exception as error:
            return Carried(portable(error))


class Loader(DataLoader[Item], Generic[Item]):
    """A loader of batches that are made by ``dataset[index]``.

    Args:
        dataset: Gives the items.
        collate: Makes a batch of one item; None: the item is the batch.
        options: Of torch's ``DataLoader``.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        collate: Callable[[Sequence[Any]], Item] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        if options.get("num_workers"):
            options["num_workers"] = affordable(options["num_workers"])
        if options.get("num_workers"):
            options["timeout"] = LONGEST
        else:
            options.pop("persistent_workers", None)
        super().__init__(Carrying(dataset, collate), batch_size=None, collate_fn=as_it_is, **options)

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]  # nobody asks for torch's own
        """Batches.

        Raises:
            KeyboardInterrupt: If somebody stopped the loading processes.
            Exception: What making a batch raised.
        """
        try:
            for item in super().__iter__():
                if isinstance(item, Carried):
                    raise item.error
                yield pickle.loads(item.content) if isinstance(item, Packed) else item
        except RuntimeError as error:
            raise_stop(error)
            raise


def as_it_is(item: Item) -> Item:
    """What a dataset gives is a batch already."""
    return item


def affordable(processes: int) -> int:
    """How many loading processes the shared memory allows: each needs locks there, of a page each."""
    free = free_shared_memory()
    if free is None or free >= 4096 * (6 * processes + 24):  # and as many again while validation has some too
        return processes
    warn(
        f"{SHARED} has {free // 1024} KiB left, too little for loading processes; expected more "
        "(docker run --shm-size=1g): images are loaded in the training process, as with data.workers: 0",
        stacklevel=3,
    )
    return 0


def free_shared_memory() -> int | None:
    """Bytes that processes can still share; None where nobody can say."""
    try:
        state = os.statvfs(SHARED)
    except (OSError, AttributeError):  # another system
        return None
    return state.f_bavail * state.f_frsize


def fitting(batch: Item) -> Item | Packed:
    """A batch as it can be handed over: as bytes if it might fill the shared memory.

    Without space there, a loading process dies or waits for ever.
    """
    worker = get_worker_info()
    if worker is None:
        return batch
    free = free_shared_memory()
    # Every process may be about to hand over one as well, each while an earlier one is still being used.
    if free is None or free > 3 * (worker.num_workers + 1) * size_of(batch) + 2**20:
        return batch
    return Packed(pickle.dumps(batch, protocol=5))


def size_of(batch: object) -> int:
    """Bytes of all tensors in a batch."""
    if isinstance(batch, torch.Tensor):
        return batch.numel() * batch.element_size()
    if hasattr(batch, "values"):
        return sum(map(size_of, batch.values()))
    return sum(map(size_of, batch)) if isinstance(batch, list | tuple) else 0


def portable(error: Exception) -> Exception:
    """An error that can be sent to another process."""
    try:
        copied = pickle.loads(pickle.dumps(error))
    except Exception:  # any error of any library
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if str(copied) == str(error) else RuntimeError(f"{type(error).__name__}: {error}")


def raise_stop(error: RuntimeError) -> None:
    """Raise what a message of torch about its loading processes means, if it is one.

    Raises:
        KeyboardInterrupt: If they were told to stop.
        DataProblem: If they were killed, or gave nothing for long.
    """
    text = str(error)
    if re.search(r"killed by signal: (Terminated|Interrupt|Hangup)", text):
        raise KeyboardInterrupt from error
    if "killed by signal" in text or "exited unexpectedly" in text:
        found = f"a loading process died ({text.splitlines()[0]})"
        remedy = "set data.workers: 0 to see where, or give more memory (docker run --shm-size)"
        raise DataProblem(found, "enough memory for all of them", remedy) from error
    if "timed out" in text:
        found = f"no batch came for {LONGEST / 60:.0f} minutes"
        raise DataProblem(found, "one within that time", "set data.workers: 0, and look at the disk") from error
