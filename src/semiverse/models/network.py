"""What to build, and the part that is built from it: an encoder and its decoder."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn

from semiverse.models.batch_norm import convert_batch_norm
from semiverse.models.checkpoints import load_weights
from semiverse.models.decoder import build_decoder
from semiverse.models.encoder import build_encoder

log = logging.getLogger(__name__)

Statistics = Literal["per_domain", "shared"]
DecoderName = Literal["linear", "aspp", "fpn"]
Stride = Literal[8, 16, 32]


@dataclass(frozen=True)
class ModelConfig:
    """Which network to build; plain values that are saved next to the weights.

    Args:
        encoder: A dilated residual network (drn_d_22, drn_c_26, ...) or any network of timm.
        decoder: Between encoder and heads: "linear" (nothing), "aspp" or "fpn".
        output_stride: Pixels per cell of the encoder's coarsest map, along an edge.
        width: Factor on the encoder's channels (drn_* only); 0.5 makes a network for the CPU.
        pretrained: Start the encoder from the weights that timm publishes for it.
        weights: Start from these weights: a published file for the encoder, or the folder of a saved model or run, of
            which everything that fits is taken.
        batch_norm: "per_domain" keeps running statistics of each domain, "shared" one for all; scale and shift are
            shared in both.
        separate: One encoder and decoder for each domain, which share nothing (the baseline without transfer).
        normalize_images: Subtract the mean and divide by the deviation that the encoder was made for; False: only scale
            images to [0, 1], as the public code of Kalluri et al. does.
        none_class: Give every head a further channel that is never a target, as that code does; pixels for which it is
            the largest have no prediction.

    Raises:
        ValueError: If a value is none of those listed.
    """

    encoder: str = "drn_d_22"
    decoder: DecoderName = "linear"
    output_stride: Stride = 8
    width: float = 1.0
    pretrained: bool = False
    weights: Path | None = None
    batch_norm: Statistics = "per_domain"
    separate: bool = False
    normalize_images: bool = True
    none_class: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", None if self.weights is None else Path(self.weights))
        choices = {"decoder": DecoderName, "output_stride": Stride, "batch_norm": Statistics}
        for name, kind in choices.items():
            value = getattr(self, name)
            if value not in get_args(kind):
                listed = ", ".join(map(str, get_args(kind)))
                raise ValueError(f"model has {name} {value!r}; expected one of {listed}: choose one of them")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """A configuration from the plain values that were saved; what an older version did not save has its default.

        Raises:
            ValueError: If entries are unknown.
        """
        names = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - names)
        if unknown:
            raise ValueError(
                f"a saved configuration has the entries {', '.join(unknown)}; known are {', '.join(sorted(names))}: "
                "use the version of this library that saved the model"
            )
        return cls(**values)


class Network(nn.Module):
    """An encoder and its decoder.

    Args:
        config: What to build; published weights that it names are loaded.
        groups: Number of domains that keep batch-norm statistics of their own.
    """

    def __init__(self, config: ModelConfig, groups: int) -> None:
        super().__init__()
        self.encoder = build_encoder(config.encoder, config.output_stride, config.width, config.pretrained)
        if config.weights is not None and not config.weights.is_dir():
            log.info("%s", load_weights(self.encoder.trunk, config.weights))
        self.decoder = build_decoder(config.decoder, self.encoder.channels, self.encoder.strides)
        convert_batch_norm(self, groups)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, (N, 3, H, W) → features, (N, D, h, w)."""
        return cast(Tensor, self.decoder(self.encoder(images)))

    def start_from(self, other: "Network", group: int) -> None:
        """Copy the weights of a network alike; the running statistics of one of its groups become those of every group.

        Args:
            other: The network to copy from.
            group: Whose statistics to take.

        Raises:
            ValueError: If the networks are not alike.
        """
        source, own = other.state_dict(), self.state_dict()
        statistics = {name for name in source if name.endswith(("running_mean", "running_var"))}
        for name in statistics:
            source[name] = source[name][group]
        shapes = {name: value.shape[1:] if name in statistics else value.shape for name, value in own.items()}
        if shapes != {name: value.shape for name, value in source.items()}:
            raise ValueError(
                f"a network cannot start from one of other names or shapes ({len(source)} and {len(own)} tensors); "
                "expected the same encoder, width and decoder: change one of the configurations"
            )
        with torch.no_grad():
            for name, value in source.items():
                own[name].copy_(value)


def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A linear map of every cell, as heads and projections are; weights start at N(0, sqrt(2 / outputs)), bias at 0."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / outputs))
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer
