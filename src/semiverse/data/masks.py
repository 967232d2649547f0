"""Read one mask without changing what its values mean, however its owner coded it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.data.headers import STACKS, read_header, upright
from semiverse.data.images import color_codes, drawn_in_transparency, open_image, rgb_of
from semiverse.files import DataProblem, bearable, reading
from semiverse.labels import IGNORE, Color

MODES = {
    "L": "8-bit grey values",
    "P": "a palette image's indices",
    "1": "one bit a pixel",
    "I;16": "16-bit grey values",
}
"""Pillow's modes that can hold ids."""

Others = Literal["refuse", "ignore"]
"""What becomes of values that nobody named: the file is refused, or its pixels have no label."""


def read_indices(
    path: Path,
    raw_ids: Mapping[int, int],
    modes: Sequence[str] = tuple(MODES),
    others: Others = "refuse",
    image: Image.Image | None = None,
) -> Tensor:
    """A mask whose pixels hold raw ids: 8-bit or 16-bit grey, or the indices of a palette image.

    Like a photograph, the mask is turned upright if an EXIF tag of its own says so.

    Args:
        path: The file.
        raw_ids: Train id (or ``IGNORE``) of every raw id that may occur, in 0..65535.
        modes: Pillow modes in which ids are accepted.
        others: What becomes of further values.
        image: The opened file, for who had to look at it first.

    Returns:
        Train ids, (H, W) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a JPEG, holds colours or 32-bit values, or a value that ``raw_ids`` does not name.
    """
    image = image or _open_mask(path)
    mode = "I;16" if image.mode.startswith("I;16") else image.mode
    wide = mode in ("I", "F")
    if wide and "I;16" in modes:
        return _wide_indices(path, np.asarray(image), raw_ids, others)
    if mode not in modes:
        found = "values of 32 bits" if wide else MODES.get(mode, f"{mode} colours")
        wanted = " or ".join(MODES[mode] for mode in modes)
        remedy = "convert it" if wide else "say so (Folder: masks: palette, or rgb with a palette), or convert it"
        raise DataProblem(f"{path}: the mask holds {found}", f"class ids as {wanted}", remedy)
    count, kind = (65536, np.uint16) if mode == "I;16" else (256, np.uint8)
    raw = np.asarray(image).astype(kind)
    if image.format == "PNG" and image.mode == "L":
        with path.open("rb") as file:
            bits = file.read(25)[24]  # the bit depth in the header
        raw = raw // (255 // (2**bits - 1) if bits < 8 else 1)  # Pillow stretches values of 2 or 4 bits to 0..255
    known, table = np.zeros(count, dtype=bool), np.full(count, IGNORE, dtype=np.uint8)
    for value, train in raw_ids.items():
        if value < count:
            known[value], table[value] = True, train
    if others == "refuse" and not look_up(known, raw).all():
        raise _outside(path, raw, ~known[raw], raw_ids)
    return torch.from_numpy(look_up(table, raw))


def _wide_indices(path: Path, raw: np.ndarray, raw_ids: Mapping[int, int], others: Others) -> Tensor:
    """Ids that are stored as integers of 16 or 32 bits with a sign, or as floats, as programs for maps do.

    Raises:
        ValueError: If one is no whole number, or none that ``raw_ids`` names.
    """
    if raw.dtype.kind == "f" and (broken := ~np.isfinite(raw) | (raw != np.rint(raw))).any():
        row, column = (int(i) for i in np.argwhere(broken)[0])
        found = f"{path}: the mask holds {raw[row, column]} at pixel (x={column}, y={row})"
        raise DataProblem(found, "class ids, which are whole numbers", "export ids, not probabilities or heights")
    values = raw.astype(np.float64)  # whole numbers of 32 bits are exact
    known = np.array(sorted(raw_ids), dtype=np.float64)
    places = np.searchsorted(known, values).clip(max=len(known) - 1)
    strange = known[places] != values
    if others == "refuse" and strange.any():
        raise _outside(path, raw.astype(np.int64), strange, raw_ids)
    trained = np.array([raw_ids[int(value)] for value in known], dtype=np.uint8)
    return torch.from_numpy(np.where(strange, np.uint8(IGNORE), trained[places]))


def _outside(path: Path, raw: np.ndarray, strange: np.ndarray, raw_ids: Mapping[int, int]) -> DataProblem:
    """What to say of values (H, W) that no class has; ``strange``, (H, W) bool, says where they are."""
    row, column = (int(i) for i in np.argwhere(strange)[0])
    values = np.unique(raw).tolist()
    found = f"{path}: mask value {raw[row, column]} at pixel (x={column}, y={row}) is outside the label space"
    listed = f"values found: {_listed(values)}, not expected: {_listed(sorted(set(values) - set(raw_ids)))}"
    remedy = "map it to a class or to ignore, or correct the file"
    return DataProblem(f"{found}; {listed}", _listed(sorted(raw_ids)), remedy)


def read_colors(
    path: Path, colors: Mapping[Color, int], others: Others = "refuse", image: Image.Image | None = None
) -> Tensor:
    """A mask whose pixels hold class colours; alpha is dropped.

    Like a photograph, the mask is turned upright if an EXIF tag of its own says so.

    Args:
        path: The file.
        colors: Train id (or ``IGNORE``) of every colour that may occur.
        others: What becomes of further colours.
        image: The opened file, for who had to look at it first.

    Returns:
        Train ids, (H, W) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a JPEG, or holds a colour that ``colors`` does not name.
    """
    image = image or _open_mask(path)
    codes = color_codes(image)
    known = np.array(sorted((r << 16) | (g << 8) | b for r, g, b in colors), dtype=np.int32)
    ids = np.array([colors[rgb_of(code)] for code in known.tolist()], dtype=np.uint8)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    found, strange = ids[places], known[places] != codes
    if others == "ignore":
        found[strange] = IGNORE
    elif strange.any():
        row, column = (int(i) for i in np.argwhere(strange)[0])
        color = rgb_of(int(codes[row, column]))
        cause = "smoothed edges do this: export it without smoothing, or add the colour to the palette"
        if image.mode not in ("RGB", "RGBA", "P"):
            cause = "the file is grey, does it hold ids (Folder: masks: index)? Say so, or export it in colours"
        expected = f"one of its {len(known)} colours, {strange.mean():.1%} of the pixels have others"
        raise DataProblem(
            f"{path}: colour {color} at pixel (x={column}, y={row}) is not in the palette", expected, cause
        )
    return torch.from_numpy(found)


def read_binary(path: Path, others: Others = "refuse") -> Tensor:
    """A mask of two classes: black is the first, white (or the value 1) the second, in grey, palette or colours.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a JPEG, or holds another value, or 1 beside 255, which then means something else.
    """
    image, one, white = _open_mask(path), 1, 2
    if image.mode in ("L", "1", "I", "F") or image.mode.startswith("I;16"):
        found = read_indices(path, {0: 0, 1: one, 255: white, 65535: white}, ("L", "1", "I;16"), others, image)
    else:  # by colour: the entries of a palette may stand in any order
        found = read_colors(path, {(0, 0, 0): 0, (1, 1, 1): one, (255, 255, 255): white}, others, image)
    if (found == one).any() and (found == white).any():
        remedy = "if 255 means 'no label', say masks: index"
        raise DataProblem(f"{path}: the mask holds 1 and 255", "only one of them beside 0 (masks: binary)", remedy)
    found[found == white] = one
    return found


def _open_mask(path: Path) -> Image.Image:
    """Open and decode a mask completely, upright; what may mean two things is refused."""
    image = open_image(path)
    with reading(path, "a complete mask", "export it again as PNG", "its pixels cannot be used"):
        if image.format in ("JPEG", "MPO"):
            raise DataProblem(f"{path}: the mask is a JPEG, which changes values", "a PNG", "export it again as PNG")
        if image.format in STACKS and (pages := read_header(path).pages) > 1:
            remedy = "save the one that is meant as a file of its own"
            raise DataProblem(f"{path}: the file holds {pages} pictures", "one mask", remedy)
        if image.format == "PPM" and (top := _top_value(path)) not in (1, 255, 65535):
            found = f"{path}: the file says that {top} is white, so that its values are stretched on reading"
            raise DataProblem(found, "255 or 65535 as the largest value", "convert it to PNG with its own ids")
        if drawn_in_transparency(image):
            found = f"{path}: pixels of one colour differ in their transparency, so the drawing seems to lie there"
            remedy = "export the transparency as a mask of its own (black and white: masks: binary)"
            raise DataProblem(found, "colours or ids that say the class", remedy)
        return upright(image)


def _top_value(path: Path) -> int:
    """The value that stands for white in a PGM or PPM file: 1 for one of bits, which stores no ids."""
    with path.open("rb") as file:
        words = re.sub(rb"#[^\n]*", b"", file.read(1024)).split()
    if words[0] in (b"P1", b"P4"):
        return 1
    top = int(words[3])
    return 0 if top == 1 else top  # greys of one bit are stretched, bits are not


def _listed(values: list[int]) -> str:
    """Values as text, the middle of long lists left out."""
    texts = [str(value) for value in values]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]])


Coding = Literal["index", "palette", "rgb", "binary", "none"]


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
        if self.coding in ("index", "palette"):
            self._check_ids()
        elif self.ids is not None:
            expected = "them with index or palette, whose pixels hold ids: leave one out"
            raise ValueError(f"Folder: ids beside masks: {self.coding}; expected {expected}")
        if self.coding == "binary" and len(self.classes) != 2:
            found = f"Folder: masks: binary with {len(self.classes)} classes"
            raise ValueError(f"{found}; expected two, for 0 and 255: name two")
        if self.coding == "rgb" and not self.palette:
            raise ValueError("Folder: masks: rgb without a palette; expected one colour for each class: list them")
        colors = [tuple(color) for color in (*self.palette, self.ignore_color) if color is not None]
        if self.coding == "rgb" and len(set(colors)) < len(colors):
            found = "Folder: masks: rgb with a colour that stands twice in palette and ignore_color"
            remedy = "to merge or ignore classes, use mapping"
            raise ValueError(f"{found}; expected a colour of its own for each class: {remedy}")

    def _check_ids(self) -> None:
        if self.ids is not None and set(self.ids) != set(self.classes):
            missing = [name for name in self.classes if name not in self.ids]
            strange = [name for name in self.ids if name not in self.classes]
            found = f"Folder: ids lack {bearable(str(missing))} and name {bearable(str(strange))}"
            expected = f"the raw ids of each of {bearable(', '.join(self.classes))}: complete ids or classes"
            raise ValueError(f"{found}, which are no classes; expected {expected}")
        owners: dict[int, str] = {}
        for name, value in self._listed_ids:
            if not 0 <= value <= 65535:
                raise ValueError(f"Folder: the id of {name} is {value}; expected 0 to 65535: correct ids")
            if value in owners:
                found = f"Folder: {value} is the id of {owners[value]} and of {name}"
                raise ValueError(f"{found}; expected one class: to merge classes, use mapping")
            owners[value] = name
        if self.ignore is not None and (self.ignore in owners or not 0 <= self.ignore <= 65535):
            owner = f", the id of {owners[self.ignore]}" if self.ignore in owners else ""
            expected = "0 to 65535 that is no class's id, or null if no id means 'no label'"
            remedy = "correct it; to ignore a class, give it null in mapping"
            raise ValueError(f"Folder: ignore is {self.ignore}{owner}; expected {expected}: {remedy}")

    @cached_property
    def _listed_ids(self) -> list[tuple[str, int]]:
        """Every class with every raw id of it."""
        given = self.ids if self.ids is not None else {name: i for i, name in enumerate(self.classes)}
        pairs = ((name, [value] if isinstance(value, int) else value) for name, value in given.items())
        return [(name, value) for name, values in pairs for value in values]

    @cached_property
    def raw_ids(self) -> dict[int, int]:
        """Position in ``classes``, or ``IGNORE``, of every raw id."""
        ignored = {} if self.ignore is None else {self.ignore: IGNORE}
        return {value: self.classes.index(name) for name, value in self._listed_ids} | ignored

    @cached_property
    def colors(self) -> dict[Color, int]:
        """Position in ``classes``, or ``IGNORE``, of every colour."""
        ignored = {} if self.ignore_color is None else {self.ignore_color: IGNORE}
        return {color: i for i, color in enumerate(self.palette)} | ignored

    def read(self, path: Path) -> Tensor:
        """Positions in ``classes``, or ``IGNORE``; (H, W) uint8.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is coded otherwise, or holds a value that nothing names.
        """
        if self.coding == "rgb":
            return read_colors(path, self.colors, self.others)
        if self.coding == "binary":
            return read_binary(path, self.others)
        return read_indices(path, self.raw_ids, ("P",) if self.coding == "palette" else ("L", "1", "I;16"), self.others)


def look_up(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """``table[ids]``, of a uint8 table for every possible id, uint8 or uint16; for bytes several times faster."""
    if ids.dtype != np.uint8:
        return np.asarray(table[ids])
    mapped = bytearray(np.ascontiguousarray(ids)).translate(table[:256].tobytes())
    return np.frombuffer(mapped, dtype=np.uint8).reshape(ids.shape)
