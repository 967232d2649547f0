"""Several processes that train as one."""

import os
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed import all_reduce

RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Where torchrun, SLURM and Fabric tell each process its number."""


def is_first_process() -> bool:
    """Whether this process is the one, of those that train together, which reads, prints and writes for all."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    return int(next((os.environ[name] for name in RANKS if os.environ.get(name)), "0")) == 0


def process_count() -> int:
    """Number of processes that train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def process_rank() -> int:
    """Number of this process among those that train together, from 0."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def launched() -> tuple[int, int]:
    """Number of this process and how many torchrun has started to share work that needs no exchange; else (0, 1)."""
    rank, count = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    return (int(rank), int(count)) if rank.isdecimal() and count.isdecimal() and int(count) > 1 else (0, 1)


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a value that every process has, of any shape; the same for all of them, without gradient."""
    if process_count() == 1:
        return value.detach()
    total = value.detach().clone()
    all_reduce(total)
    return total


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a value that every process has, of any shape; the same for all of them, without gradient."""
    count = process_count()
    return value.detach() if count == 1 else sum_over_processes(value) / count


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over processes, all in one exchange; every process has the same of them."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if process_count() == 1 or not gradients:
        return
    together = torch.cat([gradient.flatten() for gradient in gradients])
    all_reduce(together)
    together /= process_count()
    means = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if process_count() > 1:
        torch.distributed.barrier()
