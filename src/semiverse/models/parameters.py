"""Which parameters learn how fast."""

from typing import Any

from torch import nn

from semiverse.models.model import SegmentationModel


def parameter_groups(
    model: SegmentationModel, *heads: nn.Module, head_factor: float = 10.0, trunk_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for an optimiser: encoders with their decoders, and what stands behind them.

    Args:
        model: The model.
        heads: Further modules that learn as fast as heads, such as those that only training needs.
        head_factor: Factor on the learning rate of heads; 10 in the public code of the DeepLab family.
        trunk_factor: Factor on that of encoders and decoders. The public code lists most of their convolutions three
            times, which older versions of torch took as three updates; about 3.0 repeats that.

    Returns:
        Two groups, each with "params" and with its "factor" on the learning rate. Every parameter that learns is in
        one of them, once; frozen ones are in none.
    """
    trunk = set(model.networks.parameters())
    distinct = dict.fromkeys(p for module in (model, *heads) for p in module.parameters() if p.requires_grad)
    return [
        {"params": [p for p in distinct if p in trunk], "factor": trunk_factor},
        {"params": [p for p in distinct if p not in trunk], "factor": head_factor},
    ]
