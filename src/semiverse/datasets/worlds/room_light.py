"""Light inside a room: lamps, windows and the sun that shines through them."""

from collections.abc import Sequence

import numpy as np

from semiverse.datasets.worlds.canvas import Array, Canvas
from semiverse.datasets.worlds.dice import Dice
from semiverse.datasets.worlds.geometry import Quad, Vector, add, dot, scale, unit


def illumination(canvas: Canvas, dice: Dice, lamps: Sequence[Vector], windows: Sequence[Quad]) -> Array:
    """Light (3, H, W) that falls on what each pixel shows.

    Args:
        canvas: What has been drawn.
        dice: Where every choice comes from.
        lamps: Places of the lamps that are on.
        windows: Windows that the day comes in through.
    """
    x, y, z = canvas.positions()
    light = np.full((3, *x.shape), dice.between(0.5, 0.9), np.float32)
    for lamp in lamps:
        light += np.array((0.9, 0.75, 0.5), np.float32)[:, None, None] / (1 + _square_distance((x, y, z), lamp))
    sun = unit((dice.between(-1, 1), dice.between(0.4, 0.9), dice.between(0.2, 1)))
    for quad in windows:
        middle = add(quad.origin, scale(add(quad.across, quad.up), 0.5))
        light += np.float32(0.6) / (1 + 0.5 * _square_distance((x, y, z), middle))
        light += np.float32(0.5) * _sunny(quad, sun, (x, y, z))
    # A camera exposes for the light there is, so a dark room is hardly darker in a photograph than a bright one.
    return light * np.float32(dice.between(0.85, 1.15) / light.mean())


def _square_distance(place: tuple[Array, Array, Array], point: Vector) -> Array:
    x, y, z = (p - q for p, q in zip(place, point, strict=True))
    return x * x + y * y + z * z


def _sunny(window: Quad, sun: Vector, place: tuple[Array, Array, Array]) -> Array:
    """Truth values (H, W): where the sun shines, because the way from there to the sun passes through the window."""
    across, up, normal = window.across, window.up, window.normal((0.0, 0.0, 0.0))
    facing = -dot(normal, sun)
    x, y, z = (p - q for p, q in zip(place, window.origin, strict=True))
    if facing < 0.1:  # the sun is on another side of the house
        return np.zeros(x.shape, bool)
    distance = (x * normal[0] + y * normal[1] + z * normal[2]) / facing
    x, y, z = x + distance * sun[0], y + distance * sun[1], z + distance * sun[2]
    u = (x * across[0] + y * across[1] + z * across[2]) / dot(across, across)
    v = (x * up[0] + y * up[1] + z * up[2]) / dot(up, up)
    return (distance > 0.05) & (u > 0) & (u < 1) & (v > 0) & (v < 1)
