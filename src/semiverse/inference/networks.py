"""The networks of a model as prediction computes them."""

import copy
from typing import Literal, cast

import torch
from torch import Tensor, nn

from semiverse.models import SegmentationModel, fold_batch_norm, select_group, warn_of_slow_halves

Precision = Literal["exact", "float32", "bf16"]


class FastNetworks:
    """Copies of a model's networks, one for each domain whose statistics differ, made when they are first needed.

    Args:
        model: In evaluation mode, on its device; it is left as it is.
        precision: ``float32``: batch norm folded into convolutions, channels last; features differ from the model's by
            rounding alone. ``bf16``: weights and maps in bfloat16 as well, faster where ``computes_in`` says so; labels
            at borders of classes may change. ``exact``: the model itself, bit for bit.
    """

    def __init__(self, model: SegmentationModel, precision: Precision) -> None:
        if precision not in ("exact", "float32", "bf16"):
            raise ValueError(f"precision is {precision!r}; expected exact, float32 or bf16: choose one of them")
        if precision == "bf16":
            warn_of_slow_halves(torch.bfloat16, torch.device(model.mean.device.type))
        self.model, self.precision = model, precision
        self._ready: dict[tuple[int, int], nn.Module] = {}

    def features(self, images: Tensor, domain: str) -> Tensor:
        """Images, (N, 3, H, W) uint8, as of a domain → decoded features in full precision, (N, D, h, w)."""
        if self.precision == "exact":
            return self.model.features(images, domain)
        network = self._network(domain)
        seen = self.model.normalized(images)
        seen = seen.to(dtype=self._type, memory_format=torch.channels_last)
        return cast(Tensor, network(seen)).to(self.model.mean.dtype)

    @property
    def _type(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else self.model.mean.dtype

    def _network(self, domain: str) -> nn.Module:
        own, group = self.model.network(domain), self.model.group(domain)
        key = id(own), group
        if key not in self._ready:
            network = copy.deepcopy(own).eval()
            select_group(network, group)
            fold_batch_norm(network, self.model.mean.new_zeros(1, 3, 64, 64))
            self._ready[key] = network.to(self._type).to(memory_format=torch.channels_last).requires_grad_(False)
        return self._ready[key]
