"""What a pixel's label is: an id in a label space, or ``IGNORE``."""

import colorsys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

IGNORE = 255
"""The only "no label" value, in every mask of the library. An image without labels has it everywhere."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """Ordered class names; the position of a name is its train id.

    Two spaces are equal if names and classes are, whatever their colours; domains with equal spaces share a head.

    Args:
        name: Short name, for tables.
        classes: Class names in the order of their train ids 0..C-1; at most 255 of them.
        palette: One colour (red, green, blue in 0..255) a class; distinct colours are made up when it is empty.

    Raises:
        ValueError: If a class is named twice, there is no class or more than 255, or the palette does not fit.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "palette", tuple(tuple(color) for color in self.palette))
        space, has = f"label space {self.name!r}", f"label space {self.name!r} has {len(self.classes)} classes"
        if not 1 <= len(self.classes) <= IGNORE:
            raise ValueError(f"{has}; expected 1 to {IGNORE}, because {IGNORE} means 'no label': merge or drop classes")
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"{space} names {twice} more than once; every class needs its own name")
        if not self.palette:
            object.__setattr__(self, "palette", distinct_colors(len(self.classes)))
        if len(self.palette) != len(self.classes):
            raise ValueError(f"{has} but {len(self.palette)} colours; give one colour a class, or none at all")
        wrong = [color for color in self.palette if len(color) != 3 or not all(0 <= part <= 255 for part in color)]
        if wrong:
            raise ValueError(f"{space} has the colour {wrong[0]}; expected red, green, blue in 0..255: correct it")

    def __len__(self) -> int:
        return len(self.classes)

    def id_of(self, name: str) -> int:
        """Train id of a class.

        Raises:
            ValueError: If the space has no such class; the message lists those it has.
        """
        if name not in self.classes:
            raise ValueError(f"label space {self.name!r} has no class {name!r}; it has {', '.join(self.classes)}")
        return self.classes.index(name)

    def only(self, mask: Tensor, names: Iterable[str]) -> Tensor:
        """A mask, (H, W) uint8, with every class but these as ``IGNORE``.

        Raises:
            ValueError: If the space has no such class.
        """
        table = bytearray([IGNORE] * (IGNORE + 1))
        for name in names:
            table[self.id_of(name)] = self.id_of(name)
        # By bytes, as an index in a tensor would be eight times as large as the mask.
        kept = bytearray(mask.numpy().tobytes().translate(table))
        return torch.frombuffer(kept, dtype=torch.uint8).reshape(mask.shape) if kept else mask.clone()

    def colorize(self, mask: Tensor) -> Tensor:
        """Colours of a mask, (H, W) train ids or ``IGNORE`` (black) → (H, W, 3) uint8."""
        table = torch.zeros(IGNORE + 1, 3, dtype=torch.uint8)
        table[: len(self)] = torch.tensor(self.palette, dtype=torch.uint8)
        return table[mask.long().cpu()]


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Colours that are easy to tell apart: hues a golden angle apart, in three brightness steps."""
    hsv = [((0.02 + i * 0.618034) % 1.0, 0.55 + 0.35 * (i % 2), 0.95 - 0.22 * (i % 3)) for i in range(count)]
    rgb = (colorsys.hsv_to_rgb(*color) for color in hsv)
    return tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in rgb)


def lookup_table(mapping: Mapping[int, int]) -> np.ndarray:
    """256-entry uint8 table of a raw id → train id mapping; raw ids that are not named become ``IGNORE``."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[list(mapping)] = list(mapping.values())
    return table


def transfer_table(source: LabelSpace, target: LabelSpace, mapping: Mapping[str, str | None]) -> np.ndarray:
    """256-entry uint8 table that projects train ids of one label space into another.

    Args:
        source: Label space of the ids that come in.
        target: Label space of the ids that go out.
        mapping: Target class of each source class, by name; None ignores the class. Classes that are not named keep
            their name where the target has it and are ignored otherwise.

    Returns:
        The table, (256,) uint8; ``IGNORE`` stays ``IGNORE``.

    Raises:
        ValueError: If the mapping names a class that the source or target space lacks.
    """
    for name, goal in mapping.items():
        source.id_of(name)
        if goal is not None:
            target.id_of(goal)
    goals = [mapping.get(name, name if name in target.classes else None) for name in source.classes]
    return lookup_table({i: target.id_of(goal) for i, goal in enumerate(goals) if goal is not None})


def merge(labels: LabelSpace, mapping: Mapping[str, str | None]) -> LabelSpace:
    """The label space that is left when classes take new names; colours are those of the first of each name.

    Args:
        labels: The space to change.
        mapping: New name by class, equal names merge; None drops the class; classes that are not named stay.

    Raises:
        ValueError: If a class is unknown, or none is left.
    """
    for name in mapping:
        labels.id_of(name)
    renamed: dict[str, Color] = {}
    for name, color in zip(labels.classes, labels.palette, strict=True):
        goal = mapping.get(name, name)
        if goal is not None:
            renamed.setdefault(goal, color)
    return LabelSpace(labels.name, tuple(renamed), tuple(renamed.values()))
