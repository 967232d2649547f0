"""How parameters move: the optimiser of a training as a value, and the learning rates that it gives each step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from torch import nn
from torch.optim import SGD, AdamW

from semiverse.models import SegmentationModel


@dataclass(frozen=True)
class Optimizer:
    """The optimiser of the model; what is not given is as the method's authors have it.

    Args:
        algorithm: ``sgd``, with momentum, or ``adamw``.
        lr: Learning rate of the encoder, before any decay.
        decoder_factor: Factor on the learning rate of decoders.
        head_factor: Factor on the learning rate of heads, and of whatever else stands behind the decoder; 10 for
            DeepLab-v2.
        momentum: Of stochastic gradient descent; the first beta of AdamW.
        weight_decay: Of all parameters.
        power: Of the polynomial decay.
        decay: Whether the learning rate falls once an epoch (the public code of Kalluri et al.) or every step.
        decay_steps: The step at which it would reach zero; null: the last one. 250000 of 150000 in Tsai et al.
        warmup: Steps over which the learning rate rises linearly from zero.
        clip: Largest norm of the gradient; null: no limit.

    Raises:
        ValueError: If a value is out of range.
    """

    algorithm: Literal["sgd", "adamw"] | None = None
    lr: float | None = None
    decoder_factor: float | None = None
    head_factor: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    power: float | None = None
    decay: Literal["epoch", "step"] | None = None
    decay_steps: int | None = None
    warmup: int | None = None
    clip: float | None = None

    def __post_init__(self) -> None:
        choices = {"algorithm": ("sgd", "adamw"), "decay": ("epoch", "step")}
        for name, allowed in choices.items():
            if getattr(self, name) not in (None, *allowed):
                raise ValueError(
                    f"optimizer.{name} is {getattr(self, name)!r}; expected {' or '.join(allowed)}: choose one of them"
                )
        wanted = dict.fromkeys(("lr", "decay_steps", "clip"), "a positive number") | {"momentum": "0 or more, below 1"}
        for name in (*wanted, "decoder_factor", "head_factor", "weight_decay", "power", "warmup"):
            value, most = getattr(self, name), 1.0 if name == "momentum" else math.inf
            if value is not None and not (0 <= value < most and (value > 0 or wanted.get(name) != "a positive number")):
                raise ValueError(f"optimizer.{name} is {value}; expected {wanted.get(name, '0 or more')}: correct it")

    def over(self, defaults: "Optimizer") -> Self:
        """The same, with the values of ``defaults`` where none are given."""
        missing = {field.name for field in fields(self) if getattr(self, field.name) is None}
        return replace(self, **{name: getattr(defaults, name) for name in missing})

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser of ``parameter_groups``; every value but the limits has to be known."""
        assert self.lr is not None and self.momentum is not None and self.weight_decay is not None
        if self.algorithm == "adamw":
            return AdamW(groups, self.lr, fused=True, betas=(self.momentum, 0.999), weight_decay=self.weight_decay)
        return SGD(groups, self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def share(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Share of its start value that a learning rate has in a step, counted from 0: warm-up, polynomial decay."""
        assert self.power is not None
        epoch = steps_per_epoch if self.decay == "epoch" else 1
        decayed = polynomial(step // epoch, -(-(self.decay_steps or total_steps) // epoch), self.power)
        return decayed * min(1.0, (step + 1) / self.warmup) if self.warmup else decayed


AS_PUBLISHED = Optimizer("sgd", 1e-3, 1.0, 1.0, 0.9, 1e-4, 0.9, "epoch", warmup=0)
"""What Kalluri et al. (2019) train with; methods with other authors change some of it."""


def polynomial(done: int, total: int, power: float = 0.9) -> float:
    """Factor of the learning rate after ``done`` of ``total`` steps or epochs: (1 - done / total) ** power (B.2)."""
    return float(max(0.0, 1.0 - done / total) ** power)


def parameter_groups(
    model: SegmentationModel, optimizer: Optimizer, learning: Iterable[nn.Parameter]
) -> list[dict[str, Any]]:
    """Groups for an optimiser: encoders, decoders, and what stands behind them.

    Args:
        model: Whose encoders and decoders.
        optimizer: Whose factors.
        learning: Parameters that learn; each is in one group, once.

    Returns:
        Three groups, each with "params" and with its "factor" on the learning rate.
    """
    encoders, decoders = (
        {p for network in model.networks.values() for p in network.get_submodule(part).parameters()}
        for part in ("encoder", "decoder")
    )
    factors = (1.0, optimizer.decoder_factor, optimizer.head_factor)
    groups: list[dict[str, Any]] = [{"params": [], "factor": factor} for factor in factors]
    for parameter in dict.fromkeys(learning):
        place = 0 if parameter in encoders else 1 if parameter in decoders else 2
        groups[place]["params"].append(parameter)
    return groups
