"""Reading published weights into networks of this library."""

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from semiverse.files import reading

PREFIXES = ("module.", "Scale.")
HEADS = ("layer6.", "layer5.", "seg.")
"""How names of heads begin in published files: of DeepLab-v2 on the last stage, where there are two and where there is
one, and of the segmentation code for dilated residual networks."""


@dataclass(frozen=True)
class KeyReport:
    """What became of the tensors of a file.

    Args:
        path: The file.
        copied: Names that were copied into the network.
        skipped: Names in the file that the network lacks or has in another shape.
        missing: Names of the network that keep their values.
    """

    path: Path
    copied: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"weights from {self.path}: {len(self.copied)} tensors copied, {len(self.skipped)} of the file skipped"
            f"{_listed(self.skipped)}, {len(self.missing)} of the network left as they were{_listed(self.missing)}"
        )


def load_weights(
    module: nn.Module,
    path: Path,
    prefixes: Sequence[str] = PREFIXES,
    required: str | None = "",
    part: str = "",
) -> KeyReport:
    """Copy the tensors of a file into a network wherever name and shape match.

    Prefixes of other programs are taken off. ``base.3.`` in front (the sequence of children in which the public
    segmentation code for dilated residual networks wraps them) becomes the name of the network's own child number 3,
    and names that the authors of a transformer gave become those of timm.

    Args:
        module: The network; changed in place.
        path: A ``.safetensors`` file or one of ``torch.save`` (a dictionary of tensors, or one under "state_dict").
        prefixes: Fronts of names to take off, as often as they occur.
        required: How the name of at least one copied tensor must begin; any one will do when empty, and none need be
            copied when None.
        part: Only tensors whose names begin so are looked at, without this front.

    Returns:
        What was copied, skipped and missing. Counters of batches (``num_batches_tracked``) are never missed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything but tensors, or nothing (nothing required) in it fits.
    """
    own = module.state_dict()
    children = [name for name, _ in module.named_children()]
    named = {_published_name(name, prefixes, children): value for name, value in read_tensors(path).items()}
    found = _part(_timm_names(named, module), part)
    copied = [name for name, value in found.items() if name in own and own[name].shape == value.shape]
    if required is not None and not any(name.startswith(required) for name in copied):
        raise ValueError(
            f"no tensor {required}* of {path} fits the network; found {_shapes(found)}; expected {_shapes(own)}: "
            "use weights of the same architecture"
        )
    return _copied(own, found, copied, path)


def load_head(head: nn.Module, path: Path) -> KeyReport:
    """Copy a published head if all of it fits; a head of other classes, or on other features, keeps its values.

    Args:
        head: The head; changed in place.
        path: A published file. Of its heads the first of ``HEADS`` that fits is taken.

    Returns:
        What was copied, skipped and missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything but tensors.
    """
    own = head.state_dict()
    named = {_published_name(name, PREFIXES, ()): value for name, value in read_tensors(path).items()}
    heads = [_part(named, part) for part in HEADS]
    shapes = {name: value.shape for name, value in own.items()}
    for found in heads:
        if {name: value.shape for name, value in found.items()} == shapes:
            return _copied(own, found, list(found), path)
    return _copied(own, next(filter(None, heads), {}), [], path)


def _part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """Those whose names begin with ``part``, without it."""
    return {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}


def _copied(own: dict[str, Tensor], found: dict[str, Tensor], names: Sequence[str], path: Path) -> KeyReport:
    """Copy the named tensors of a file into a network's own, and report."""
    with torch.no_grad():
        for name in names:
            own[name].copy_(found[name])
    missing = [name for name in own if name not in names and not name.endswith("num_batches_tracked")]
    skipped = [name for name in found if name not in names]
    return KeyReport(path, tuple(names), tuple(skipped), tuple(missing))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a file, without running code from it.

    Args:
        path: A ``.safetensors`` file or one of ``torch.save``.

    Returns:
        The tensors, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds anything but tensors.
    """
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}; expected .pth or .safetensors: check the path")
    found = "it is damaged or holds more than tensors, which could run code and is refused"
    with reading(path, "named tensors", "save the state dictionary alone, or as .safetensors", found):
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise ValueError(f"{path} holds no named tensors but a {type(content).__name__}; expected a state dictionary")
    return tensors


def _published_name(name: str, prefixes: Sequence[str], children: Sequence[str]) -> str:
    while front := next((prefix for prefix in prefixes if name.startswith(prefix)), None):
        name = name.removeprefix(front)
    wrapped = re.fullmatch(r"base\.(\d+)\.(.+)", name)
    if wrapped and int(wrapped[1]) < len(children):
        return f"{children[int(wrapped[1])]}.{wrapped[2]}"
    flat = name.replace(".", "_", 1)  # timm puts the children of sequences in the place of these
    return flat if flat.partition(".")[0] in children else name


def _timm_names(tensors: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Tensors by the names, and of the shapes, that timm has for them, where the module is one of its networks."""
    rename = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return tensors
    with redirect_stdout(io.StringIO()):  # it prints what it leaves out, and so does the report
        return dict(rename(tensors, module))


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def _shapes(tensors: dict[str, Tensor]) -> str:
    first = [f"{name} {tuple(value.shape)}" for name, value in list(tensors.items())[:5]]
    return ", ".join(first) + (f" and {len(tensors) - 5} more" if len(tensors) > 5 else "")
