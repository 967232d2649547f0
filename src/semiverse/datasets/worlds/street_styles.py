"""Weather, time of day and camera of the streets."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semiverse.datasets.worlds.canvas import Array
from semiverse.datasets.worlds.dice import Dice
from semiverse.datasets.worlds.materials import Color, cloudy
from semiverse.datasets.worlds.photo import Photo
from semiverse.datasets.worlds.street_objects import Street


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
