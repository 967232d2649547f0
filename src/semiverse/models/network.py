"""The parts of a model: an encoder with its decoder, and heads."""

import logging
import math
from typing import Self, cast

import torch
from torch import Tensor, nn

from semiverse.models.batch_norm import convert_batch_norm
from semiverse.models.config import ModelConfig
from semiverse.models.decoder import build_decoder
from semiverse.models.deeplab import SummedAspp
from semiverse.models.dense import convert_dense
from semiverse.models.encoder import Encoder, build_encoder
from semiverse.models.published import load_weights

log = logging.getLogger(__name__)


class Network(nn.Module):
    """An encoder and its decoder.

    Args:
        config: What to build; published weights that it names are loaded.
        groups: Number of domains that keep batch-norm statistics of their own.
    """

    def __init__(self, config: ModelConfig, groups: int) -> None:
        super().__init__()
        self.encoder = build_encoder(config.encoder, config.chosen_stride, config.width, config.starts_pretrained)
        if config.weights is not None and not config.weights.is_dir():
            log.info("%s", load_weights(self.encoder.trunk, config.weights))
        channels, strides = self.encoder.channels, self.encoder.strides
        self.decoder = build_decoder(config.chosen_decoder, channels, strides, config.decoder_norm)
        convert_batch_norm(self, groups)
        convert_dense(self)
        self._standing = _freeze(self.encoder, config.frozen) if config.frozen else []

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; frozen stages stay in the latter, with the statistics that they have."""
        super().train(mode)
        for module in self._standing:
            module.training = False
        return self

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


def _freeze(encoder: nn.Module, stages: int) -> list[nn.Module]:
    """Let the stem and the first stages of an encoder, or all of it if these are all, learn no more.

    Returns:
        Their modules, now in evaluation mode.

    Raises:
        ValueError: If it has fewer stages.
    """
    known = cast(Encoder, encoder).stages
    if stages > len(known):
        raise ValueError(
            f"model has frozen {stages}, and its encoder {len(known)} stages that can be frozen; expected at most as "
            "many: lower it"
        )
    modules = list(encoder.named_modules())  # in the order in which images pass them
    end = f"{known[stages - 1]}."
    places = [place for place, (name, _) in enumerate(modules) if f"{name}.".startswith(end) or stages == len(known)]
    standing = [module for _, module in modules[: places[-1] + 1]]
    for module in standing:
        # Its own alone, as what holds the end holds more; what is its own, such as position embeddings, stands first.
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
        module.training = False
    return standing


def build_head(config: ModelConfig, inputs: int, outputs: int) -> nn.Module:
    """A head of the kind that a configuration's decoder goes with.

    Args:
        config: Of the model.
        inputs: Channels of the features.
        outputs: Channels of the logits.

    Returns:
        A module (N, inputs, h, w) → (N, outputs, h, w).
    """
    if config.decoder == "aspp_sum":
        return SummedAspp(inputs, outputs, config.aspp_branches)
    return pointwise(inputs, outputs, config.head_deviation)


def pointwise(inputs: int, outputs: int, deviation: float | None = None) -> nn.Conv2d:
    """A linear map of every cell, as heads and projections are; weights start at N(0, deviation), bias at 0.

    None is the deviation that dilated residual networks were published with, sqrt(2 / outputs).
    """
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / outputs) if deviation is None else deviation)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer
