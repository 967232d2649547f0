"""Read one mask without changing what its values mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.data.images import open_image
from semiverse.labels import Color, lookup_table

MODES = {"L": "8-bit grey values", "P": "a palette image's indices", "1": "one bit a pixel"}
"""Pillow's modes that can hold ids."""


def read_indices(path: Path, raw_ids: Mapping[int, int], modes: Sequence[str] = tuple(MODES)) -> Tensor:
    """A mask whose pixels hold raw ids: 8-bit grey, or the indices of a palette image.

    Args:
        path: The file.
        raw_ids: Train id (or ``IGNORE``) of every raw id that may occur, in 0..255.
        modes: Pillow modes in which ids are accepted.

    Returns:
        Train ids, (H, W) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a JPEG, holds colours or 16-bit values, or a value that ``raw_ids`` does not name.
    """
    image = _open_mask(path)
    if image.mode not in modes:
        wide = image.mode.startswith(("I", "F"))
        found = "values of 16 or 32 bits" if wide else MODES.get(image.mode, f"{image.mode} colours")
        wanted = " or ".join(MODES[mode] for mode in modes)
        remedy = "convert it" if wide else "say so (Folder: masks: palette, or rgb with a palette), or convert it"
        raise ValueError(f"{path}: the mask holds {found}; expected class ids as {wanted}: {remedy}")
    raw = np.asarray(image).astype(np.uint8) // _stretch(path, image)
    known = np.zeros(256, dtype=bool)
    known[list(raw_ids)] = True
    if not known[raw].all():
        row, column = (int(i) for i in np.argwhere(~known[raw])[0])
        values = np.unique(raw).tolist()
        raise ValueError(
            f"{path}: mask value {raw[row, column]} at pixel (x={column}, y={row}) is outside the label space; "
            f"values found: {_listed(values)}, not expected: {_listed(sorted(set(values) - set(raw_ids)))}, "
            f"expected: {_listed(sorted(raw_ids))}; map it to a class or to ignore, or correct the file"
        )
    return torch.from_numpy(lookup_table(raw_ids)[raw])


def read_colors(path: Path, colors: Mapping[Color, int]) -> Tensor:
    """A mask whose pixels hold class colours; alpha is dropped.

    Args:
        path: The file.
        colors: Train id (or ``IGNORE``) of every colour that may occur.

    Returns:
        Train ids, (H, W) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is a JPEG, or holds a colour that ``colors`` does not name.
    """
    image = _open_mask(path)
    rgb = np.asarray(image.convert("RGB")).astype(np.int32)
    codes = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    known = np.array(sorted((r << 16) | (g << 8) | b for r, g, b in colors), dtype=np.int32)
    ids = np.array([colors[code >> 16, (code >> 8) & 255, code & 255] for code in known.tolist()], dtype=np.uint8)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    strange = known[places] != codes
    if strange.any():
        row, column = (int(i) for i in np.argwhere(strange)[0])
        cause = "smoothed edges do this: export it without smoothing, or add the colour to the palette"
        if image.mode not in ("RGB", "RGBA", "P"):
            cause = "the file is grey, does it hold ids (Folder: masks: index)? Say so, or export it in colours"
        raise ValueError(
            f"{path}: colour {tuple(rgb[row, column].tolist())} at pixel (x={column}, y={row}) is not in the palette; "
            f"expected one of its {len(known)} colours, {strange.mean():.1%} of the pixels have others; {cause}"
        )
    return torch.from_numpy(ids[places])


def _open_mask(path: Path) -> Image.Image:
    image = open_image(path)
    if image.format in ("JPEG", "MPO"):
        raise ValueError(f"{path}: the mask is a JPEG, which changes values; expected a PNG: export it again as PNG")
    return image


def _stretch(path: Path, image: Image.Image) -> int:
    """The factor by which Pillow stretches grey values of 2 or 4 bits to 0..255 when it reads a PNG."""
    if image.format != "PNG" or image.mode != "L":
        return 1
    with path.open("rb") as file:
        bits = file.read(25)[24]  # the bit depth in the header
    return 255 // (2**bits - 1) if bits < 8 else 1


def _listed(values: list[int]) -> str:
    """Values as text, the middle of long lists left out."""
    texts = [str(value) for value in values]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]])
