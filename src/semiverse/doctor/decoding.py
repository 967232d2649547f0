"""Read masks that are coded otherwise than declared: what repairs are made of."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from semiverse.data.images import color_codes
from semiverse.doctor.findings import Coding, Decode
from semiverse.labels import Color

FAR = 60
"""A colour that differs by more than this in one channel is not taken for a smoothed one ..."""
FEW = 0.05
"""... and a mask with a larger share of those is not repaired."""


def by_values(values: Mapping[int, int], coding: Coding) -> Decode:
    """Decode by raw value: of grey values of any width, of palette indices, or of grey that is stored as colours.

    Args:
        values: Position in the classes, or ``IGNORE``, of every raw value.
        coding: Where the classes are.
    """
    known = np.array(sorted(values), dtype=np.int64)
    trained = coding.table[[values[value] for value in sorted(values)]]

    def decode(image: Image.Image) -> tuple[np.ndarray, int]:
        raw = np.asarray(image).astype(np.int64)
        raw = raw[..., 0] if raw.ndim == 3 else raw
        places = np.searchsorted(known, raw).clip(max=len(known) - 1)
        if (strange := raw[known[places] != raw]).size:
            raise ValueError(f"it holds the value {strange[0]}, which nothing explains")
        return trained[places], 0

    return decode


def by_threshold(coding: Coding) -> Decode:
    """Decode two classes by brightness; greys between black and white are guessed."""

    def decode(image: Image.Image) -> tuple[np.ndarray, int]:
        grey = np.asarray(image.convert("L"))
        return coding.table[(grey >= 128).astype(np.uint8)], int(((grey > 0) & (grey < 255)).sum())

    return decode


def by_nearest_color(coding: Coding) -> Decode:
    """Decode by the nearest declared colour; pixels of other colours are guessed.

    Where two declared colours are equally near, the one that more of the mask has is taken.
    """
    positions = np.array(list(coding.colors.values()), dtype=np.uint8)

    def decode(image: Image.Image) -> tuple[np.ndarray, int]:
        codes, places, counts = np.unique(color_codes(image), return_inverse=True, return_counts=True)
        distances = color_distances(codes, coding.colors)
        own = np.array([(counts * (distances[:, i] == 0)).sum() for i in range(len(positions))])
        by_size = np.argsort(-own, kind="stable")
        nearest = by_size[distances[:, by_size].argmin(axis=1)]
        smallest = distances.min(axis=1)
        if counts[smallest > FAR].sum() > FEW * counts.sum():
            raise ValueError(f"over {FEW:.0%} of its pixels are far from every declared colour")
        ids = coding.table[positions[nearest]][places].reshape(image.height, image.width)
        return ids, int(counts[smallest > 0].sum())

    return decode


def color_distances(codes: np.ndarray, colors: Mapping[Color, int]) -> np.ndarray:
    """The largest difference of a channel between each of K codes and each of some colours, (K, colours)."""
    rgb = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1).astype(np.int64)
    return np.asarray(np.abs(rgb[:, None] - np.array(list(colors), dtype=np.int64)[None]).max(axis=2))
