"""Several processes that train as one."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import ParallelStrategy
from torch import Tensor, nn
from torch.distributed import all_reduce


def process_count() -> int:
    """Number of processes that train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def unsynchronized(learner: LightningModule) -> AbstractContextManager[None]:
    """Keep what trains a learner from exchanging gradients.

    Every term of an objective is back-propagated by itself and reaches only some parameters; what distributed data
    parallelism exchanges after each backward pass is then not the gradient of the sum.
    """
    if process_count() == 1:
        return nullcontext()
    strategy = learner.trainer.strategy
    return strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a value that every process has, of any shape; the same for all of them, without gradient."""
    if process_count() == 1:
        return value.detach()
    total = value.detach().clone()
    all_reduce(total)
    return total / process_count()


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
