"""How the pixels of one's own masks mean classes: everything that only their owner can say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from semiverse.data.masks import Others, read_binary, read_colors, read_indices
from semiverse.labels import IGNORE, Color

Coding = Literal["index", "palette", "rgb", "binary", "none"]

HIGHEST = 65535
"""The highest raw id of a 16-bit mask."""


@dataclass(frozen=True)
class MaskCoding:
    """How masks are coded, and so how they are read.

    Args:
        coding: What pixels hold.
        classes: Class names.
        palette: A colour of each class, for ``rgb``.
        ids: Raw id or ids of each class, for ``index`` and ``palette``; None: 0, 1, 2 ... in the order of the classes.
        ignore: Raw id that means "no label"; None: no id does.
        ignore_color: Colour that means "no label"; None: no colour does.
        others: What becomes of values that nothing above names.

    Raises:
        ValueError: If these do not go together.
    """

    coding: Coding
    classes: Sequence[str]
    palette: Sequence[Color] = ()
    ids: Mapping[str, int | Sequence[int]] | None = None
    ignore: int | None = IGNORE
    ignore_color: Color | None = None
    others: Others = "refuse"

    def __post_init__(self) -> None:
        if self.coding not in get_args(Coding):
            raise ValueError(f"Folder: masks: {self.coding}; expected {', '.join(get_args(Coding))}: choose one")
        if self.others not in get_args(Others):
            raise ValueError(f"Folder: others: {self.others}; expected {' or '.join(get_args(Others))}: choose one")
        if self.ids is not None and self.coding not in ("index", "palette"):
            raise ValueError(
                f"Folder: ids beside masks: {self.coding}; expected them with index or palette, whose pixels hold ids: "
                "leave one out"
            )
        if self.coding == "rgb":
            self._check_colors()
        if self.coding == "binary" and len(self.classes) != 2:
            raise ValueError(
                f"Folder: masks: binary with {len(self.classes)} classes; expected two, for 0 and 255: name two"
            )
        if self.coding in ("index", "palette"):
            self._check_ids()

    def _check_colors(self) -> None:
        if not self.palette:
            raise ValueError("Folder: masks: rgb without a palette; expected one colour for each class: list them")
        colors = [tuple(color) for color in (*self.palette, self.ignore_color) if color is not None]
        if len(set(colors)) < len(colors):
            raise ValueError(
                "Folder: masks: rgb with a colour that stands twice in palette and ignore_color; expected a colour of "
                "its own for each class: to merge or ignore classes, use mapping"
            )

    def _check_ids(self) -> None:
        if self.ids is not None and set(self.ids) != set(self.classes):
            missing = [name for name in self.classes if name not in self.ids]
            unknown = [name for name in self.ids if name not in self.classes]
            raise ValueError(
                f"Folder: ids lack {missing} and name {unknown}, which are no classes; expected the raw ids of each of "
                f"{', '.join(self.classes)}: complete ids or classes"
            )
        owners: dict[int, str] = {}
        for name, value in self._listed_ids:
            if not 0 <= value <= HIGHEST:
                raise ValueError(f"Folder: the id of {name} is {value}; expected 0 to {HIGHEST}: correct ids")
            if value in owners:
                raise ValueError(
                    f"Folder: {value} is the id of {owners[value]} and of {name}; expected one class: to merge "
                    "classes, use mapping"
                )
            owners[value] = name
        if self.ignore is not None and (self.ignore in owners or not 0 <= self.ignore <= HIGHEST):
            owner = f", the id of {owners[self.ignore]}" if self.ignore in owners else ""
            raise ValueError(
                f"Folder: ignore is {self.ignore}{owner}; expected 0 to {HIGHEST} that is no class's id, or null if no "
                "id means 'no label': correct it; to ignore a class, give it null in mapping"
            )

    @cached_property
    def _listed_ids(self) -> list[tuple[str, int]]:
        """Every class with every raw id of it."""
        given = self.ids if self.ids is not None else {name: i for i, name in enumerate(self.classes)}
        pairs = ((name, [value] if isinstance(value, int) else value) for name, value in given.items())
        return [(name, value) for name, values in pairs for value in values]

    @cached_property
    def _raw_ids(self) -> dict[int, int]:
        positions = {name: i for i, name in enumerate(self.classes)}
        ignored = {} if self.ignore is None else {self.ignore: IGNORE}
        return {value: positions[name] for name, value in self._listed_ids} | ignored

    @cached_property
    def _colors(self) -> dict[Color, int]:
        ignored = {} if self.ignore_color is None else {self.ignore_color: IGNORE}
        colors = {**{color: i for i, color in enumerate(self.palette)}, **ignored}
        return {(red, green, blue): i for (red, green, blue), i in colors.items()}

    def read(self, path: Path) -> Tensor:
        """Positions in ``classes``, or ``IGNORE``; (H, W) uint8.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is coded otherwise, or holds a value that nothing names.
        """
        if self.coding == "rgb":
            return read_colors(path, self._colors, self.others)
        if self.coding == "binary":
            return read_binary(path, self.others)
        return read_indices(
            path, self._raw_ids, ("P",) if self.coding == "palette" else ("L", "1", "I;16"), self.others
        )
