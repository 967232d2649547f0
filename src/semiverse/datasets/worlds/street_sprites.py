"""People, trees and poles of the streets, drawn as upright pictures."""

import numpy as np

from semiverse.datasets.worlds.canvas import Array
from semiverse.datasets.worlds.materials import Color, choose, cloudy, leaves, ragged, rough, tint
from semiverse.datasets.worlds.street_objects import Sprite


def person(height: float, clothes: tuple[Color, Color, Color], stride: float, start: float) -> Sprite:
    """Somebody walking or standing.

    Args:
        height: In metres.
        clothes: Colours of skin, upper and lower body.
        stride: How far the legs are apart, relative to the height.
        start: Where in the noise tables to look.
    """
    skin, upper, lower = clothes
    width = 0.5 * height

    def parts(u: Array, v: Array) -> tuple[Array, Array, Array]:
        x, y = (u - width / 2) / height, v / height
        away = np.abs(x)
        head = (x / 0.065) ** 2 + ((y - 0.92) / 0.08) ** 2 < 1
        torso = (away < 0.10 + 0.05 * (y - 0.5)) & (y > 0.45) & (y < 0.85)
        arms = (np.abs(away - 0.15 - 0.4 * stride * (0.8 - y)) < 0.03) & (y > 0.46) & (y < 0.83)
        legs = (np.abs(away - 0.05 - stride * (0.48 - y)) < 0.055) & (y < 0.5)
        return head, torso | arms, legs

    def shape(u: Array, v: Array) -> Array:
        head, body, legs = parts(u, v)
        return head | body | legs

    def material(u: Array, v: Array) -> Array:
        head, body, _ = parts(u, v)
        tone = 0.9 + 0.6 * (u / width - 0.5) + 0.1 * cloudy(u, v, 0.04, start)
        result = choose(body, tint(lower, tone), tint(upper, tone))
        result = choose(head, result, tint(skin, tone))
        return choose(head & (v > 0.94 * height), result, (0.15, 0.1, 0.07))

    return Sprite(width, height, material, shape)


def tree(height: float, radius: float, foliage: Color, grain: float, rng: np.random.Generator) -> Sprite:
    """A trunk under a crown of a few ragged discs; a bush if it is hardly higher than its crown."""
    start = float(rng.uniform(0, 200))
    middle = max(radius, height - radius)
    parts = [(1.3 * radius, middle, 0.75 * radius)]
    for angle in rng.uniform(0, 6.28, 4):
        x, y = 1.3 * radius + 0.5 * radius * np.cos(angle), middle + 0.45 * radius * np.sin(angle)
        parts.append((float(x), float(y), 0.5 * radius))
    crown, leaf, bark = ragged(parts, start), leaves(foliage, start, grain), rough((0.3, 0.22, 0.16), start, 0.2)
    thick = 0.05 + 0.03 * height

    def shape(u: Array, v: Array) -> Array:
        return crown(u, v) | ((np.abs(u - 1.3 * radius) < thick) & (v < middle))

    def material(u: Array, v: Array) -> Array:
        return choose(~crown(u, v), leaf(u, v - middle + 0.5), bark(u, v))

    return Sprite(2.6 * radius, height + 0.4 * radius, material, shape)


def pole(kind: int, height: float, color: Color, sign: Color) -> Sprite:
    """A street lamp (kind 0), a round (1) or square (2) sign, or a traffic light (3) on a post."""
    width = 1.8

    def board(u: Array, v: Array) -> Array:
        x, y = u - width / 2, v - height
        if kind == 0:
            return (x > -0.1) & (x < 0.85) & (np.abs(y + 0.1 - 0.1 * x) < 0.09)
        if kind == 1:
            return x * x + (y + 0.4) ** 2 < 0.16
        if kind == 2:
            return (np.abs(x) < 0.38) & (np.abs(y + 0.4) < 0.38)
        return (np.abs(x) < 0.22) & (np.abs(y + 0.55) < 0.55)

    def shape(u: Array, v: Array) -> Array:
        return (np.abs(u - width / 2) < 0.13) | board(u, v)

    def material(u: Array, v: Array) -> Array:
        x, y = u - width / 2, v - height
        result = tint(color, 0.9 + 2.0 * x * (np.abs(x) < 0.13))
        if kind == 0:
            return choose(board(u, v) & (x > 0.45), result, sign)
        result = choose(board(u, v), result, sign if kind < 3 else (0.08, 0.08, 0.09))
        if kind == 3:
            return choose(x * x + (y + 0.3) ** 2 < 0.03, result, sign)
        return choose(board(u, v) & (np.abs(y + 0.4) < 0.1), result, (0.85, 0.85, 0.85))

    return Sprite(width, height + 0.15, material, shape)
