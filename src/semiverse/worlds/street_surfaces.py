"""Colours and surfaces of the streets: walls, paving, road markings and the sky."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semiverse.worlds.canvas import Array, Material
from semiverse.worlds.materials import (
    ASPHALTS,
    FACADES,
    GLASSES,
    STONES,
    Color,
    Dice,
    Photo,
    bricks,
    choose,
    cloudy,
    fraction,
    random_of_cell,
    rough,
    stripes,
    tiles,
    tint,
)
from semiverse.worlds.street_objects import Street


class Style(NamedTuple):
    """Weather, time of day and camera of the streets; pairs are ranges that each image draws from.

    Args:
        sun: Strength of direct light; without it there are no shadows.
        height: Height of the sun, as the tangent of its angle.
        ambient: Light from everywhere.
        warm: Colour of the direct light.
        zenith: Colour of the sky above.
        horizon: Colour of the sky low down, and of the fog.
        clouds: Share of the sky under clouds.
        fog: Density of the fog, one over metres.
        wet: How much the ground reflects.
        rain: How visible falling rain is.
        lit: Share of windows, lamps and car lights that are on.
        grain: Strength of all textures.
        vivid: Factor on how colourful things are.
        photo: The camera.
    """

    sun: tuple[float, float]
    height: tuple[float, float]
    ambient: tuple[float, float]
    warm: Color
    zenith: Color
    horizon: Color
    clouds: tuple[float, float]
    fog: tuple[float, float]
    wet: tuple[float, float]
    rain: float
    lit: float
    grain: float
    vivid: float
    photo: Photo


STYLES = {
    "day": Style(
        sun=(0.25, 0.75), height=(0.6, 2.5), ambient=(0.6, 0.85), warm=(1.0, 0.95, 0.85), zenith=(0.35, 0.55, 0.9),
        horizon=(0.8, 0.87, 0.95), clouds=(0.0, 0.9), fog=(0.0, 0.008), wet=(0.0, 0.0), rain=0.0, lit=0.02, grain=0.1,
        vivid=1.0, photo=Photo(),
    ),
    "dusk": Style(
        sun=(0.0, 0.3), height=(0.25, 0.6), ambient=(0.33, 0.5), warm=(1.0, 0.55, 0.3), zenith=(0.3, 0.32, 0.62),
        horizon=(1.5, 0.95, 0.7), clouds=(0.1, 0.8), fog=(0.0, 0.01), wet=(0.0, 0.15), rain=0.0, lit=0.4, grain=0.1,
        vivid=0.9, photo=Photo(exposure=(0.85, 1.25), cast=0.12, noise=0.06),
    ),
    "rain": Style(
        sun=(0.0, 0.0), height=(1.0, 2.0), ambient=(0.65, 0.85), warm=(1.0, 1.0, 1.0), zenith=(0.6, 0.64, 0.7),
        horizon=(0.8, 0.83, 0.87), clouds=(0.6, 1.0), fog=(0.01, 0.035), wet=(0.25, 0.55), rain=0.16, lit=0.15,
        grain=0.1, vivid=0.6, photo=Photo(exposure=(0.85, 1.1), saturation=(0.6, 0.9), blur=0.25, noise=0.045),
    ),
    "game": Style(
        sun=(0.55, 0.8), height=(0.8, 2.0), ambient=(0.5, 0.6), warm=(1.0, 0.95, 0.8), zenith=(0.2, 0.5, 1.0),
        horizon=(0.65, 0.85, 1.0), clouds=(0.0, 0.4), fog=(0.0, 0.0), wet=(0.0, 0.0), rain=0.0, lit=0.0, grain=0.04,
        vivid=1.5, photo=Photo((0.95, 1.1), cast=0.02, saturation=(1.1, 1.4), uneven=0.03, blur=0.0, noise=0.004),
    ),
}  # fmt: skip


def weather(color: Array, mask: npt.NDArray[np.uint8], nearness: Array, style: Style, dice: Dice) -> Array:
    """Add fog, reflections on the wet ground and falling rain to an image (3, H, W).

    Args:
        color: The image, 1 is white.
        mask: Train ids (H, W).
        nearness: One over the depth in metres (H, W); 0 is the sky.
        style: How strong the effects are.
        dice: Where every choice comes from.
    """
    height, width = mask.shape
    fog = 1 - np.exp(-dice.between(*style.fog) / np.maximum(nearness, 1 / 150))
    fog[mask == Street.SKY] *= 0.5
    color = color + fog * (np.array(style.horizon, np.float32)[:, None, None] - color)
    wet = dice.between(*style.wet)
    if wet > 0:
        ground = (mask == Street.ROAD) | (mask == Street.SIDEWALK)
        rows = np.clip(2 * np.argmax(ground, axis=0) - np.arange(height)[:, None], 0, height - 1)
        color = np.where(ground, (1 - wet) * color + wet * color[:, rows, np.arange(width)], color)
    if style.rain:
        y, x = np.mgrid[:height, :width].astype(np.float32) * (100 / height)
        streaks = cloudy(x.ravel() + 0.15 * y.ravel(), 0.12 * y.ravel(), 0.5, dice.start()).reshape(height, width)
        color = color + np.float32(style.rain) * (streaks > 1.2)
    return color


_LIT: Color = (2.6, 2.1, 1.1)


class Facade(NamedTuple):
    """How the windows of a building look.

    Args:
        pitch: Width and height in metres of the cell that holds one window.
        share: Width and height of the window as fractions of its cell.
        glass: What the glass reflects.
        frame: Colour around the glass.
        door: Colour of the doors on the ground floor.
        lit: Share of the windows with light behind them.
        start: Where in the noise tables to look.
    """

    pitch: tuple[float, float]
    share: tuple[float, float]
    glass: Color
    frame: Color
    door: Color
    lit: float
    start: float

    @classmethod
    def drawn(cls, dice: Dice, lit: float) -> "Facade":
        """A random one."""
        pitch, share = (
            (dice.between(1.8, 3.4), dice.between(2.7, 3.3)),
            (dice.between(0.35, 0.8), dice.between(0.4, 0.75)),
        )
        return cls(pitch, share, dice.color(GLASSES), dice.color(STONES), dice.color(FACADES), lit, dice.start())

    def on(self, wall: Material) -> Material:
        """A wall with these windows."""

        def colors(u: Array, v: Array) -> Array:
            column, row = np.floor(u / self.pitch[0]), np.floor(v / self.pitch[1])
            x, y = np.abs(u / self.pitch[0] - column - 0.5) * 2, np.abs(v / self.pitch[1] - row - 0.5) * 2
            fortune = random_of_cell(column, row, self.start)
            door = (row == 0) & (fortune > 0.3)
            high = np.where(door, np.float32(1), np.float32(self.share[1]))
            surround = (x < self.share[0] + 0.12) & (y < high + 0.1)
            inner = (x < self.share[0]) & (y < high) & ((x > 0.05) | door)
            result = choose(surround, wall(u, v), self.frame)
            shine = 0.65 + 0.3 * fortune + 0.12 * cloudy(u, v, 0.08, self.start)
            result = choose(inner, result, tint(self.glass, shine))
            result = choose(inner & door, result, tint(self.door, 0.8 + 0.1 * y))
            lit = inner & ~door & (random_of_cell(row, column, self.start + 9) > 1 - 2 * self.lit)
            return choose(lit, result, _LIT)

        return colors


def wall(dice: Dice, grain: float) -> Material:
    """Plaster, bricks or panels."""
    color, start = dice.color(FACADES), dice.start()
    kind = dice.between(0, 1)
    if kind < 0.35:
        return bricks(color, dice.color(STONES), start, grain, (0.6, 0.25))
    if kind < 0.5:
        return stripes(color, dice.color(FACADES), start, grain, dice.between(0.3, 0.8))
    return rough(color, start, grain, 0.1)


def paving(dice: Dice, grain: float, stone: float) -> Material:
    """Ground for feet and wheels: slabs or bricks with some probability, otherwise asphalt."""
    color, start = dice.color(STONES if dice.chance(stone) else ASPHALTS, 0.015), dice.start()
    if not dice.chance(stone):
        return rough(color, start, 1.3 * grain)
    if dice.chance(0.6):
        return tiles(color, color, start, grain, dice.between(0.4, 0.9))
    return bricks(color, (0.6 * color[0], 0.6 * color[1], 0.6 * color[2]), start, grain, (0.5, 0.25))


def marked(ground: Material, width: float, dice: Dice) -> Material:
    """A road of some width with lane markings, perhaps a crossing, patches and cracks."""
    white: Color = (0.85, 0.85, 0.8) if dice.chance(0.8) else (0.8, 0.65, 0.15)
    dash, solid, crossing = dice.between(1.5, 3.5), dice.chance(0.5), dice.between(3, 40)
    start, worn = dice.start(), dice.between(0.5, 1.6)

    def colors(u: Array, v: Array) -> Array:
        patch = 0.09 * cloudy(u, v, 0.3, start)
        result = ground(u, v) * (1 + patch)
        line = (np.abs(u - width / 2) < 0.09) & (fraction(v / (2 * dash)) < 0.5)
        if solid:
            line |= np.abs(np.abs(u - width / 2) - width / 2 + 0.4) < 0.07
        line |= (np.abs(v - crossing) < 1.5) & (fraction(u) < 0.5)
        return choose(line & (cloudy(u, v, 0.05, start) < worn), result, white)

    return colors


def sky(style: Style, dice: Dice) -> Callable[[Array, Array, Array], Array]:
    """A gradient with clouds, by direction."""
    start, cover = dice.start(), dice.between(*style.clouds)
    gray = sum(style.horizon) / 3
    zenith, horizon = (np.array(color, np.float32)[:, None] for color in (style.zenith, style.horizon))

    def colors(x: Array, y: Array, z: Array) -> Array:
        rise = np.clip(y / np.hypot(x, z), 0, 1)
        blue = horizon + np.sqrt(rise) * (zenith - horizon)
        thick = np.clip(0.5 * cloudy(x / z + 4, 3 * rise, 0.02, start) + 1.6 * cover - 0.8, 0, 1)
        result: Array = blue + 0.7 * thick * (np.float32(gray) - blue)
        return result

    return colors
