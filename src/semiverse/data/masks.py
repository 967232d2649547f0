"""Read one mask without changing what its values mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semiverse.data.images import open_image
from semiverse.labels import Color, lookup_table


MODES = {"L": "8-bit grey values", "P": "a palette image's indices", "1": "one bit a pixel"}


def read_indices(path: Path, raw_ids: Mapping[int, int], modes: Sequence[str] = tuple(MODES)) -> Tensor:
    """A mask whose pixels hold raw ids: 8-bit grey, or the indices of a palette image.

    Args:
        path: The file.
        raw_ids: Train id (or ``IGNORE``) of every raw id that may occur.
        modes: Pillow modes in which ids are accepted.

    Returns:
        Train ids, (H, W) uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds colours or 16-bit values, or a value that ``raw_ids`` does not name.
    """
    image = open_image(path)
    if image.mode not in modes:
        wide = "16-bit or 32-bit values" if image.mode.startswith(("I", "F")) else f"{image.mode} colours"
        raise ValueError(
            f"{path}: the mask holds {MODES.get(image.mode, wide)}; expected class ids as "
            f"{' or '.join(MODES[mode] for mode in modes)}: say how it is coded (Folder: masks: palette, or masks: rgb "
            "with a palette), or convert it to ids"
        )
    raw = np.asarray(image).astype(np.uint8)
    known = np.zeros(256, dtype=bool)
    known[list(raw_ids)] = True
    if not known[raw].all():
        row, column = (int(i) for i in np.argwhere(~known[raw])[0])
        strange = sorted(set(np.unique(raw).tolist()) - set(raw_ids))
        raise ValueError(
            f"{path}: mask value {raw[row, column]} at pixel (x={column}, y={row}) is outside the label space; "
            f"values found: {_listed(np.unique(raw).tolist())}, not expected: {_listed(strange)}, "
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
        ValueError: If the file holds a colour that ``colors`` does not name.
    """
    rgb = np.asarray(open_image(path).convert("RGB")).astype(np.int32)
    codes = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    known = np.array(sorted((r << 16) | (g << 8) | b for r, g, b in colors), dtype=np.int32)
    ids = np.array([colors[code >> 16, (code >> 8) & 255, code & 255] for code in known.tolist()], dtype=np.uint8)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    strange = known[places] != codes
    if strange.any():
        row, column = (int(i) for i in np.argwhere(strange)[0])
        raise ValueError(
            f"{path}: colour {tuple(rgb[row, column].tolist())} at pixel (x={column}, y={row}) is not in the palette "
            f"of {len(known)} colours ({strange.mean():.1%} of the pixels are not); JPEG masks and smoothed edges do "
            "this: export the mask as PNG without smoothing, or add the colour to the palette"
        )
    return torch.from_numpy(ids[places])


def _listed(values: list[int]) -> str:
    """Values as text, the middle of long lists left out."""
    texts = [str(value) for value in values]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]])
