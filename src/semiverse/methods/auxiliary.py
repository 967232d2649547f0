"""A head on the encoder's last map but one, which only training needs."""

import logging
from pathlib import Path
from typing import cast

from torch import nn

from semiverse.models import Network, SegmentationModel, SummedAspp, build_head, load_weights
from semiverse.models.storage import find_model
from semiverse.run import Run

log = logging.getLogger(__name__)


def auxiliary_head(model: SegmentationModel) -> nn.Module:
    """A further head for the classes of a model whose domains share them, of the kind that its heads are.

    It takes what fits from the weights that the model starts from.

    Raises:
        ValueError: If the encoder has only one map.
    """
    network = cast(Network, next(iter(model.networks.values())))
    channels = network.encoder.channels
    if len(channels) < 2:
        raise ValueError(
            f"encoder {model.config.encoder!r} has one map; expected two or more, for a head on the last but one: use "
            "another encoder, or auxiliary_weight: 0 and auxiliary_adversary: 0"
        )
    classes = len(next(iter(model.label_spaces.values())))
    head = build_head(model.config, channels[-2], classes)
    _start(head, model.config.weights)
    return head


def _start(head: nn.Module, weights: Path | None) -> None:
    """Take what fits from weights.

    Args:
        head: The head; changed in place.
        weights: A published file, whose ``layer5`` it is where there are two heads; or a run, whose last checkpoint has
            it under the name that it has in ``Adaptation``; None: it starts at random.
    """
    if weights is None:
        return
    if weights.is_dir():
        checkpoint = Run(find_model(weights).parent).last
        if checkpoint.is_file():
            log.info("auxiliary head: %s", load_weights(head, checkpoint, part="auxiliary.", required=None))
    elif isinstance(head, SummedAspp):
        log.info("auxiliary head: %s", load_weights(head, weights, part="layer5.", required=None))
