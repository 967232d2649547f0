"""What masks of colours, palettes and JPEGs look like, if not like what was declared."""

from collections.abc import Sequence

import numpy as np

from semiverse.data.images import MaskFacts
from semiverse.doctor.decoding import FAR, FEW, by_nearest_color, by_threshold, by_values, color_distances
from semiverse.doctor.findings import Coding, listed
from semiverse.doctor.values import FIX, Guess

MANY = 3
"""From so many undeclared colours on they are taken for smoothed edges and not for a class that was forgotten."""


def guess_jpeg(masks: Sequence[MaskFacts], coding: Coding | None) -> Guess:
    """Masks that a lossy format changed."""
    words = "are JPEGs, which change values near every edge, where a lossless format was expected"
    remedy = "export them as PNG"
    if coding is not None and coding.kind == "binary":
        return Guess("jpeg-mask", words, remedy + FIX, by_threshold(coding))
    if coding is not None and coding.colors and all(_near(mask, coding) for mask in masks):
        return Guess("jpeg-mask", words, remedy + FIX, by_nearest_color(coding))
    reason = "ids next to each other cannot be told apart after a lossy format"
    if coding is None or coding.colors:
        reason = "their colours are too far from those of the classes"
    return Guess("jpeg-mask", words, remedy, unfixable=reason)


def guess_palette(masks: Sequence[MaskFacts], coding: Coding) -> Guess:
    """Palette images where grey ids were declared."""
    words, remedy = f"are palette images, where {coding.kind} was declared", "say so (Folder: masks: palette)"
    if all(set(mask.values) <= set(coding.ids) for mask in masks):
        return Guess("palette", words, remedy + FIX, by_values(coding.ids, coding))
    if coding.colors and all(_known(mask, coding) for mask in masks):
        return Guess("palette", words, "say so (Folder: masks: rgb)" + FIX, by_nearest_color(coding))
    values = sorted({value for mask in masks for value in mask.values} - set(coding.ids))
    return Guess("palette", words, remedy, unfixable=f"their indices {listed(values)} are no ids of classes")


def guess_colors(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    """Colours: where ids were declared, or others than declared."""
    grey = all(_is_grey(color) for mask in masks for color in mask.colors)
    values = {color & 255 for mask in masks for color in mask.colors}
    if coding.kind != "rgb" and grey and values <= set(coding.ids):
        words, remedy = "hold ids three times, as grey stored in colours", "export them with one channel"
        return Guess("grey-as-colours", words, remedy + FIX, by_values(coding.ids, coding))
    if coding.kind == "binary" and grey and len(values) > 2:
        words = "hold greys between black and white, as smoothed edges do"
        return Guess("smoothed-edges", words, "export them without smoothing" + FIX, by_threshold(coding))
    if coding.colors and coding.kind != "rgb" and all(_known(mask, coding) for mask in masks):
        words = f"hold the declared colours, where {coding.kind} was declared"
        return Guess("colours", words, "say so (Folder: masks: rgb)" + FIX, by_nearest_color(coding))
    if coding.colors and all(_near(mask, coding) for mask in masks):
        return _smoothed(masks, coding)
    if coding.kind != "rgb":
        found = sorted({color for mask in masks for color in list(mask.colors)[:20]})
        rgb = [[color >> 16, color >> 8 & 255, color & 255] for color in found]
        words = f"hold {len(found)} or more colours, where {coding.kind} was declared: {listed(rgb, 20)}"
        remedy = "say so, and which colour is which class (Folder: masks: rgb, palette: [[red, green, blue], ...])"
        return Guess("colours", words, remedy, unfixable="which colour is which class only the owner knows")
    return None


def guess_grey_for_colors(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    """Grey ids where colours were declared."""
    ids = {i: i for i in range(len(coding.classes))} | ({255: 255} if len(coding.classes) < 255 else {})
    if any(set(mask.values) - {255} for mask in masks) and all(set(mask.values) <= set(ids) for mask in masks):
        words = f"hold grey values up to {max(max(mask.values) for mask in masks)}, ids, where colours were declared"
        return Guess("ids", words, "say so (Folder: masks: index)" + FIX, by_values(ids, coding))
    return None


def _smoothed(masks: Sequence[MaskFacts], coding: Coding) -> Guess | None:
    strange = {color for mask in masks for color in mask.colors if not _declared(color, coding)}
    if len(strange) < MANY:
        return None
    pixels = sum(n for mask in masks for color, n in mask.colors.items() if color in strange)
    share = pixels / sum(mask.pixels for mask in masks)
    words = f"hold {len(strange)} colours beside the declared ones, in {share:.1%} of their pixels: smoothed edges"
    return Guess("smoothed-edges", words, "export them without smoothing" + FIX, by_nearest_color(coding))


def _is_grey(color: int) -> bool:
    return color >> 16 == color >> 8 & 255 == color & 255


def _declared(color: int, coding: Coding) -> bool:
    return (color >> 16, color >> 8 & 255, color & 255) in coding.colors


def _known(mask: MaskFacts, coding: Coding) -> bool:
    """Whether a mask holds declared colours only."""
    return all(_declared(color, coding) for color in mask.colors)


def _near(mask: MaskFacts, coding: Coding) -> bool:
    """Whether nearly all pixels are near a declared colour, and most of them have one, as far as a JPEG keeps it."""
    if not mask.colors:
        return False
    counts = np.array(list(mask.colors.values()))
    distances = color_distances(np.array(list(mask.colors)), coding.colors).min(axis=1)
    close = 16 if mask.header.format in ("JPEG", "MPO") else 0
    far, exact = counts[distances > FAR].sum(), counts[distances <= close].sum()
    return bool(far <= FEW * mask.pixels and exact >= mask.pixels / 2)
