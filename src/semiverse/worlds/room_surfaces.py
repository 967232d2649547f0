"""Colours and surfaces of the rooms: walls, floors, ceilings, windows, doors and pictures."""

import numpy as np

from semiverse.worlds.canvas import Array, Material
from semiverse.worlds.materials import (
    FABRICS,
    GREENS,
    PAINTS,
    STONES,
    WOODS,
    Dice,
    bricks,
    choose,
    cloudy,
    fraction,
    leaves,
    planks,
    rough,
    stripes,
    tiles,
    tint,
)

_GRAIN = 0.08


def covering(dice: Dice) -> Material:
    """Paint, wallpaper, bricks or panels of a wall."""
    color, start, kind = dice.color(PAINTS), dice.start(), dice.between(0, 1)
    if kind < 0.2:
        return stripes(color, dice.color(PAINTS), start, 0.5 * _GRAIN, dice.between(0.08, 0.3))
    if kind < 0.3:
        return bricks(color, dice.color(STONES), start, _GRAIN, (0.3, 0.11))
    if kind < 0.36:
        return planks(dice.color(WOODS), start, _GRAIN, dice.between(0.12, 0.3))
    return rough(color, start, 0.5 * _GRAIN, 0.05)


def flooring(dice: Dice) -> Material:
    """Boards, tiles or carpet."""
    start, kind = dice.start(), dice.between(0, 1)
    if kind < 0.45:
        return planks(dice.color(WOODS), start, 1.3 * _GRAIN, dice.between(0.1, 0.25))
    if kind < 0.75:
        color = dice.color(STONES)
        return tiles(color, dice.color(STONES) if dice.chance(0.5) else color, start, _GRAIN, dice.between(0.25, 0.6))
    return rough(dice.color((*FABRICS, *PAINTS)), start, 1.6 * _GRAIN, 0.02)


def overhead(dice: Dice) -> Material:
    """Plaster, boards or panels of a ceiling."""
    start, kind = dice.start(), dice.between(0, 1)
    if kind < 0.2:
        return planks(dice.color(WOODS), start, _GRAIN, 0.2)
    color = dice.color(PAINTS[:1] if dice.chance(0.6) else PAINTS)
    return tiles(color, color, start, 0.5 * _GRAIN, 0.6) if kind < 0.4 else rough(color, start, 0.4 * _GRAIN, 0.06)


def cornered(material: Material, width: float, height: float) -> Material:
    """A surface of this size that gets darker towards its edges, where little light arrives."""

    def colors(u: Array, v: Array) -> Array:
        edge = np.minimum(np.minimum(u, width - u), np.minimum(v, height - v))
        return material(u, v) * (1 - 0.35 * np.exp(-3.5 * edge))

    return colors


def window(dice: Dice, width: float, height: float, outside: float) -> Material:
    """A window of this size; ``outside`` is the brightness behind it."""
    frame, start = dice.color((*PAINTS[:1], *WOODS)), dice.start()
    blue = dice.between(0.6, 1.0)
    sky = (outside * blue * 0.85, outside * (0.5 + 0.5 * blue) * 0.95, outside)
    green = leaves(dice.color(GREENS), start, 0.1, 0.05)
    columns, rows, skyline = dice.count(1, 3), dice.count(1, 2), dice.between(0, 0.7) * height
    blind = height * (1 - max(0.0, dice.between(-0.6, 0.6)))

    def colors(u: Array, v: Array) -> Array:
        x, y = fraction(u / width * columns), fraction(v / height * rows)
        bar = np.minimum(np.minimum(x, 1 - x) * width / columns, np.minimum(y, 1 - y) * height / rows) < 0.045
        result = tint(sky, 0.75 + 0.3 * v / height + 0.06 * cloudy(u, v, 0.02, start))
        trees = v < skyline + 0.1 * cloudy(u, 0 * v, 0.03, start)
        result = choose(trees, result, green(u, v) * np.float32(outside))
        result = choose(v > blind, result, tint((0.8, 0.77, 0.7), 0.75 + 0.25 * (fraction(v / 0.09) < 0.7)))
        return choose(bar, result, frame)

    return colors


def door(dice: Dice, width: float, height: float) -> Material:
    """A door of this size with panels, a handle and a frame."""
    color, frame = dice.color(WOODS), dice.color((*WOODS, *PAINTS[:1]))
    wood = planks(color, dice.start(), 0.7 * _GRAIN, 0.6)
    rows, columns = dice.count(1, 3), dice.count(1, 2)
    hinge = 0.85 if dice.chance(0.5) else 0.15

    def colors(u: Array, v: Array) -> Array:
        x, y = np.abs(fraction(u / width * columns) - 0.5), np.abs(fraction(v / height * rows) - 0.5)
        panel, inner = np.maximum(x * 1.1, y) < 0.4, np.maximum(x * 1.1, y) < 0.36
        result = wood(u, v) * (1 - 0.3 * (panel & ~inner) + 0.06 * inner).astype(np.float32)
        handle = (np.abs(u - hinge * width) < 0.07) & (np.abs(v - 1.0) < 0.03)
        result = choose(handle, result, (0.75, 0.72, 0.6))
        rim = np.minimum(np.minimum(u, width - u), height - v) < 0.07
        return choose(rim, result, frame)

    return colors


def picture(dice: Dice, width: float, height: float) -> Material:
    """A framed painting or photograph of this size."""
    frame, upper, lower = dice.color(WOODS), dice.color((*FABRICS, *PAINTS)), dice.color((*FABRICS, *GREENS))
    start, line = dice.start(), dice.between(0.2, 0.8) * height

    def colors(u: Array, v: Array) -> Array:
        noise = cloudy(u, v, 0.015, start)
        ground = v < line + 0.08 * cloudy(u, 0 * v, 0.02, start)
        result = choose(ground, tint(upper, 1 + 0.2 * noise), tint(lower, 1 + 0.3 * noise))
        edge = np.minimum(np.minimum(u, width - u), np.minimum(v, height - v)) < 0.05
        return choose(edge, result, frame)

    return colors
