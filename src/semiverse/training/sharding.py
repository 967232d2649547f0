"""Weights divided over processes: each keeps a part of every parameter, of its gradient and of its optimiser state.

Torch's ``fully_shard`` does it (Zhao et al., 2023): the parts of a network come together for its forward and its
backward pass. Files hold whole tensors, so that any number of processes goes on from them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from semiverse.models import LabelEmbeddings, Network, SegmentationModel

T = TypeVar("T")


class FullyShardedStrategy(DDPStrategy):
    """Processes that are started as those of ``ddp``, with weights divided over them."""


def shard(module: nn.Module, device: torch.device) -> None:
    """Divide the parameters of every network in a module, in place: encoders, decoders, heads, discriminators.

    Whatever is called as a whole is one unit, and in memory as a whole only while it is.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for unit in dict.fromkeys(_units(module)):  # a method may know parts of its model by names of its own
        fully_shard(unit, mesh=mesh, reshard_after_forward=True)
        if isinstance(unit, LabelEmbeddings):
            for name in ("project", "scores"):  # how it is called, as it has no forward
                register_fsdp_forward_method(unit, name)


def _units(module: nn.Module) -> Iterator[nn.Module]:
    has_forward = type(module).forward is not nn.Module.forward
    if isinstance(module, LabelEmbeddings) or (has_forward and not isinstance(module, SegmentationModel | Network)):
        yield module
    else:
        for child in module.children():
            yield from _units(child)


@contextmanager
def together(module: nn.Module) -> Iterator[None]:
    """Keep whole weights in every process meanwhile, so that each may call networks as often as it likes."""
    units = [unit for unit in module.modules() if isinstance(unit, FSDPModule)]
    for unit in units:
        unit.set_reshard_after_forward(False)
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.set_reshard_after_forward(True)
            unit.reshard()


def whole(state: T) -> T:
    """The same values in containers, with whole tensors; all processes have to ask."""
    return cast(T, tree_map(lambda value: value.full_tensor() if isinstance(value, DTensor) else value, state))


def divided_as(own: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Whole tensors of a file, each divided as the one of the same name is."""
    return {name: _divide(value, own.get(name)) for name, value in saved.items()}


def divide_state(optimizer: Optimizer) -> None:
    """Divide whole tensors of a file that an optimiser has just read, each as its parameter is."""
    for parameter, state in optimizer.state.items():
        state.update({name: _divide(value, parameter) for name, value in state.items() if name != "step"})


def _divide(value: Tensor, like: object) -> Tensor:
    return distribute_tensor(value, like.device_mesh, like.placements) if isinstance(like, DTensor) else value
