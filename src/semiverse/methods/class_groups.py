"""Super-classes by hand, for the ablation in which they replace latent ones.

The paper's assignment for Pascal VOC stands in a supplement that was not published with it: this one is the library's
own. That of Cityscapes is its owners' division into categories.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import SegmentationModel

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "pascal voc": {
        "background": ("background",),
        "person": ("person",),
        "bird": ("bird",),
        "pet": ("cat", "dog"),
        "farm animal": ("cow", "horse", "sheep"),
        "two-wheeler": ("bicycle", "motorbike"),
        "road and rail vehicle": ("bus", "car", "train"),
        "craft": ("aeroplane", "boat"),
        "furniture": ("chair", "sofa", "diningtable"),
        "household object": ("bottle", "pottedplant", "tvmonitor"),
    },
    "cityscapes": {
        "flat": ("road", "sidewalk"),
        "construction": ("building", "wall", "fence"),
        "object": ("pole", "traffic light", "traffic sign"),
        "nature": ("vegetation", "terrain"),
        "sky": ("sky",),
        "human": ("person", "rider"),
        "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
    },
}
"""Groups of classes by name of the grouping; it fits every label space that has just these classes."""


def group_tables(model: SegmentationModel, groups: Mapping[str, Mapping[str, str]] | None) -> dict[str, list[int]]:
    """``group_table`` of every label space of a model, by the key of its head; groups are given by domain."""
    own = {model.space_key(domain): dict(table) for domain, table in (groups or {}).items()}
    given_first = sorted(model.heads, key=lambda key: key not in own)
    return {key: group_table(model.label_spaces[key], own.get(key)) for key in given_first}


def grouped(mask: Tensor, table: list[int]) -> Tensor:
    """Train ids or ``IGNORE``, (N, H, W) → numbers of their groups or ``IGNORE``, (N, H, W) uint8."""
    numbers = torch.full((IGNORE + 1,), IGNORE, dtype=torch.uint8, device=mask.device)
    numbers[: len(table)] = torch.tensor(table, dtype=torch.uint8)
    return numbers[mask.long()]


def group_table(space: LabelSpace, groups: Mapping[str, str] | None = None) -> list[int]:
    """Number of the group of every class.

    Args:
        space: The label space.
        groups: Name of each class's group; None: the grouping of this library that fits.

    Returns:
        Group numbers from 0, by train id, in the order in which the groups first occur.

    Raises:
        ValueError: If a class has no group, or a group is given for a class that there is not.
    """
    if groups is None:
        own = [{title: name for name, titles in one.items() for title in titles} for one in GROUPS.values()]
        groups = next((one for one in own if set(space.classes) == set(one)), None)
    if groups is None:
        raise ValueError(
            f"this library has no grouping of label space {space.name}; expected one of the method's own: set groups "
            "to the name of each class's group"
        )
    missing = [title for title in space.classes if title not in groups]
    strange = sorted(set(groups) - set(space.classes))
    if missing or strange:
        raise ValueError(
            f"groups of label space {space.name}: no group for {', '.join(missing) or 'none'}, groups for unknown "
            f"classes {', '.join(strange) or 'none'}; expected a group for each class: correct the method's groups"
        )
    numbers = {name: i for i, name in enumerate(dict.fromkeys(groups[title] for title in space.classes))}
    return [numbers[groups[title]] for title in space.classes]
