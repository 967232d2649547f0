"""What a new model takes over from weights on disk."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import nn

from semiverse.labels import LabelSpace
from semiverse.models.checkpoints import load_weights
from semiverse.models.config import ModelConfig
from semiverse.models.conventions import Convention
from semiverse.models.deeplab import SummedAspp, load_head
from semiverse.models.storage import WEIGHTS, find_model, read_config, read_model

log = logging.getLogger(__name__)


def start_from_weights(
    model: nn.Module, weights: Path, label_spaces: Mapping[str, LabelSpace], config: ModelConfig, own: Convention
) -> None:
    """Take what fits from a saved model; or heads from a published file, whose trunk the networks already have.

    Args:
        model: The model, whose ``heads`` have the names of domains; changed in place.
        weights: A saved model or a run, or a published file.
        label_spaces: Label space of each domain.
        config: The model's configuration.
        own: How its encoder wants images, where the configuration does not say otherwise.

    Raises:
        ValueError: If the saved model takes colour channels in another order.
    """
    heads = cast(nn.ModuleDict, model.heads)
    if not weights.is_dir():
        for name, head in heads.items():
            if isinstance(head, SummedAspp):
                log.info("head of %s: %s", name, load_head(head, weights))
        return
    folder = find_model(weights)
    saved = ModelConfig.from_values(read_config(folder))
    if saved.convention(own).bgr != config.convention(own).bgr:
        raise ValueError(
            f"the model in {weights} has input {saved.input!r}, the new one {config.input!r}, with channels "
            "in another order; expected the same: set input to that of the saved model"
        )
    log.info("%s", load_weights(model, folder / WEIGHTS, required="networks."))
    spaces = read_model(folder).label_spaces
    for name, head in heads.items():
        # The saved head of these classes may have the name of another domain.
        same = next((key for key, space in spaces.items() if space == label_spaces[name]), name)
        if same != name:
            taken = load_weights(head, folder / WEIGHTS, part=f"heads.{same}.", required=None)
            log.info("head of %s: %s", name, taken)
