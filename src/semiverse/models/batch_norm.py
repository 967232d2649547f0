"""Batch normalisation with statistics of each domain and shared scale and shift.

Training normalises each domain's batch by itself; one running average over all domains then belongs to none of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semiverse.distributed import process_count


class DomainBatchNorm2d(nn.Module):
    """Batch normalisation whose running mean and variance have one row a group.

    ``group`` selects the row that ``forward`` uses. In training, statistics are those of the batch, over all processes
    where there are several, and move the selected row. It is deliberately no subclass of torch's batch norms:
    converters that look for those (to synchronise processes) must leave it alone.

    Args:
        source: The layer whose weights, statistics (copied to every group), momentum and epsilon are taken over. A
            subclass with an activation inside (timm's ``BatchNormAct2d``) keeps it.
        groups: Number of rows.

    Raises:
        ValueError: If the source layer keeps a cumulative average (momentum None).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: nn.BatchNorm2d, groups: int) -> None:
        super().__init__()
        if source.momentum is None:
            raise ValueError("a batch norm layer has momentum None; expected a number, such as 0.1: set its momentum")
        mean, variance = cast(Tensor, source.running_mean), cast(Tensor, source.running_var)
        self.group = 0
        self.momentum: float = source.momentum
        self.eps = source.eps
        self.weight: nn.Parameter | None = source.weight
        self.bias: nn.Parameter | None = source.bias
        self.register_buffer("running_mean", mean.detach().repeat(groups, 1))
        self.register_buffer("running_var", variance.detach().repeat(groups, 1))
        # timm's layer drops (where asked to) and activates after it has normalised.
        self.drop: nn.Module = getattr(source, "drop", nn.Identity())
        self.act: nn.Module = getattr(source, "act", nn.Identity())
        self.train(source.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map, (N, C, h, w), with the statistics of the batch (training) or of the selected group.

        Raises:
            ValueError: If there is only one value a channel in training, which has no variance.
        """
        if self.training and process_count() > 1:
            out = self._normalize_jointly(x)
        else:
            if self.training and x.numel() == x.shape[1]:
                raise ValueError(
                    f"batch norm got a map of shape {tuple(x.shape)} in training, one value a channel; expected two or "
                    "more, for a variance: use a batch of two or more images, or larger ones"
                )
            mean, variance = self.running_mean[self.group], self.running_var[self.group]
            out = F.batch_norm(x, mean, variance, self.weight, self.bias, self.training, self.momentum, self.eps)
        return cast(Tensor, self.act(self.drop(out)))

    def _normalize_jointly(self, x: Tensor) -> Tensor:
        """Normalise with the statistics of the batches of all processes, so that they act as one batch."""
        from torch.distributed.nn.functional import all_reduce

        values = x.to(torch.promote_types(x.dtype, torch.float32))
        local = values.new_full((1,), x.numel() // x.shape[1])
        totals: Tensor = all_reduce(torch.cat([values.sum((0, 2, 3)), local]))  # type: ignore[no-untyped-call]
        count = totals[-1].detach()
        mean = totals[:-1] / count
        centered = values - mean[:, None, None]
        variance: Tensor = all_reduce(centered.square().sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean[self.group].lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = variance * (count / (count - 1))
            self.running_var[self.group].lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None and self.bias is not None:
            out = centered * (scale * self.weight)[:, None, None] + self.bias[:, None, None]
        else:
            out = centered * scale[:, None, None]
        return out.to(x.dtype)

    def extra_repr(self) -> str:
        """Sizes and constants, for printing."""
        groups, channels = self.running_mean.shape
        return f"{channels}, groups={groups}, eps={self.eps}, momentum={self.momentum}"


def convert_batch_norm(module: nn.Module, groups: int) -> nn.Module:
    """Replace every two-dimensional batch norm inside a module, in place, by one with statistics of each group.

    Outputs stay the same until statistics move apart. Layers without running statistics stay as they are.

    Args:
        module: The network to change.
        groups: Number of groups.

    Returns:
        The same module, or its replacement if it is a batch norm itself.
    """
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        return DomainBatchNorm2d(module, groups)
    for name, child in list(module.named_children()):
        setattr(module, name, convert_batch_norm(child, groups))
    return module


def select_group(module: nn.Module, group: int) -> None:
    """Make every converted batch norm inside a module use the statistics of this group from now on."""
    for child in module.modules():
        if isinstance(child, DomainBatchNorm2d):
            child.group = group


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Normalise with the statistics of the batch, and leave running ones as they are, in every converted layer."""
    layers = [child for child in module.modules() if isinstance(child, DomainBatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
