"""Surface textures: colours as functions of the place on a surface, in metres."""

import functools
from collections.abc import Callable, Sequence
from typing import Concatenate, NamedTuple, ParamSpec

import numpy as np
import numpy.typing as npt

from semiverse.worlds.canvas import Array, Material

Color = tuple[float, float, float]
Palette = Sequence[Color]
Options = ParamSpec("Options")
_SIDE = 256


@functools.cache
def _tiles() -> tuple[Array, Array]:
    """Two tables: cloudy noise (seamless, alike at every scale, unit variance) and independent values in -1..1.

    They are the same for every image; images differ by where they look.
    """
    rng = np.random.default_rng(7)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIDE), np.fft.rfftfreq(_SIDE), indexing="ij"))
    frequency[0, 0] = np.inf
    cloudy = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE))) / frequency)
    cloudy = np.clip(cloudy / cloudy.std(), -2.5, 2.5)
    return cloudy.ravel().astype(np.float32), rng.uniform(-1, 1, _SIDE * _SIDE).astype(np.float32)


def _places(u: Array, v: Array) -> npt.NDArray[np.int64]:
    mask = _SIDE - 1
    return (v.astype(np.int64) & mask) * _SIDE + (u.astype(np.int64) & mask)


def cloudy(u: Array, v: Array, cell: float, start: float) -> Array:
    """Noise (n,) of unit variance whose finest grain is ``cell`` metres."""
    return _tiles()[0].take(_places(u / cell + start, v / cell + 1.7 * start))


def random_of_cell(u: Array, v: Array, start: float) -> Array:
    """A value (n,) in -1..1 for each cell with whole-numbered coordinates."""
    return _tiles()[1].take(_places(u + int(start), v + 3 * int(start)))


def tint(color: Color, tone: Array) -> Array:
    """A colour times tones (n,): (3, n)."""
    return np.multiply.outer(np.array(color, np.float32), tone)


def choose(where: Array, colors: Array, other: Color | Array) -> Array:
    """Colours (3, n), with others at some places (n,)."""
    return np.where(where, np.array(other, np.float32)[:, None] if isinstance(other, tuple) else other, colors)


def fraction(values: Array) -> Array:
    """Fractional part; much faster than the remainder of a division."""
    return values - np.floor(values)


def surface(colors: Callable[Concatenate[Array, Array, Options], Array]) -> Callable[Options, Material]:
    """Turn a function of a place and options into one of the options, which gives a material (or a shape)."""

    @functools.wraps(colors)
    def made(*args: Options.args, **options: Options.kwargs) -> Material:
        return lambda u, v: colors(u, v, *args, **options)

    return made


@surface
def rough(u: Array, v: Array, color: Color, start: float, grain: float = 0.08, cell: float = 0.04) -> Array:
    """One colour with noise: plaster, asphalt, carpet."""
    return tint(color, 1 + grain * cloudy(u, v, cell, start))


@surface
def bricks(
    u: Array, v: Array, color: Color, joint: Color, start: float, grain: float, cell: tuple[float, float]
) -> Array:
    """Bricks or slabs (width, height), every second row shifted by half."""
    row = np.floor(v / cell[1])
    across = u / cell[0] + 0.5 * (row % 2)
    column = np.floor(across)
    tone = 1 + grain * (2 * random_of_cell(column, row, start) + 0.6 * cloudy(u, v, 0.05, start))
    return choose((across - column < 0.07) | (v / cell[1] - row < 0.12), tint(color, tone), joint)


@surface
def tiles(u: Array, v: Array, color: Color, other: Color, start: float, grain: float, cell: float) -> Array:
    """Square tiles in one colour or, with another one, like a chessboard; dark joints."""
    column, row = np.floor(u / cell), np.floor(v / cell)
    tone = 1 + grain * (random_of_cell(column, row, start) + cloudy(u, v, 0.03, start))
    tone[(u / cell - column < 0.05) | (v / cell - row < 0.05)] *= 0.75
    return choose((column + row) % 2 == 1, tint(color, tone), tint(other, tone))


@surface
def planks(u: Array, v: Array, color: Color, start: float, grain: float, width: float) -> Array:
    """Wooden boards along the second edge, with grain along them."""
    board = np.floor(u / width)
    piece = np.floor(v / 1.3 + random_of_cell(board, board, start))
    tone = 1 + grain * (1.5 * random_of_cell(board, piece, start) + cloudy(u * 6, v * 0.5, 0.05, start))
    tone[u / width - board < 0.08] *= 0.7
    return tint(color, tone)


@surface
def stripes(u: Array, v: Array, color: Color, other: Color, start: float, grain: float, width: float) -> Array:
    """Upright stripes: wallpaper, curtains, awnings."""
    tone = 1 + grain * cloudy(u, v, 0.04, start)
    return choose(np.floor(u / width) % 2 == 1, tint(color, tone), tint(other, tone))


@surface
def leaves(u: Array, v: Array, color: Color, start: float, grain: float, cell: float = 0.06) -> Array:
    """Foliage: dark gaps, bright leaves, brighter towards the light above."""
    leaf = cloudy(u, v, cell, start) + 0.7 * random_of_cell(np.floor(u / cell), np.floor(v / cell), start)
    return tint(color, np.maximum(0.25, 0.75 + 0.12 * v + 2.2 * grain * leaf))


@surface
def ragged(u: Array, v: Array, parts: list[tuple[float, float, float]], start: float, cell: float = 0.1) -> Array:
    """The union of discs (centre u, centre v, radius) with a ragged outline, as a shape."""
    edge = 1 + 0.22 * cloudy(u, v, cell, start)
    inside = np.zeros(len(u), bool)
    for x, y, radius in parts:
        inside |= (u - x) ** 2 + (v - y) ** 2 < (radius * edge) ** 2
    return inside


FACADES: Palette = ((0.55, 0.3, 0.24), (0.72, 0.66, 0.55), (0.5, 0.5, 0.52), (0.8, 0.78, 0.74),
    (0.62, 0.5, 0.36), (0.45, 0.52, 0.42), (0.5, 0.58, 0.66), (0.75, 0.55, 0.45), (0.36, 0.34, 0.36))  # fmt: skip
STONES: Palette = ((0.62, 0.6, 0.56), (0.5, 0.5, 0.5), (0.56, 0.46, 0.38), (0.4, 0.4, 0.42), (0.74, 0.71, 0.67))
ASPHALTS: Palette = ((0.36, 0.36, 0.38), (0.45, 0.43, 0.4), (0.28, 0.28, 0.3), (0.5, 0.48, 0.46))
GLASSES: Palette = ((0.3, 0.38, 0.48), (0.2, 0.22, 0.26), (0.42, 0.5, 0.56))
CARS: Palette = ((0.75, 0.75, 0.77), (0.85, 0.85, 0.83), (0.12, 0.12, 0.13), (0.35, 0.36, 0.38),
    (0.6, 0.12, 0.1), (0.12, 0.2, 0.45), (0.2, 0.34, 0.22), (0.55, 0.45, 0.3), (0.75, 0.55, 0.12))  # fmt: skip
CLOTHES: Palette = ((0.12, 0.13, 0.2), (0.5, 0.12, 0.12), (0.3, 0.32, 0.34), (0.75, 0.72, 0.68),
    (0.2, 0.3, 0.5), (0.25, 0.38, 0.22), (0.7, 0.55, 0.15), (0.4, 0.28, 0.2))  # fmt: skip
SKINS: Palette = ((0.85, 0.65, 0.53), (0.7, 0.5, 0.38), (0.5, 0.34, 0.24), (0.32, 0.21, 0.15))
GREENS: Palette = ((0.22, 0.36, 0.12), (0.3, 0.4, 0.16), (0.14, 0.28, 0.14), (0.45, 0.36, 0.12), (0.4, 0.42, 0.2))
METALS: Palette = ((0.35, 0.36, 0.37), (0.2, 0.2, 0.21), (0.6, 0.6, 0.6), (0.6, 0.55, 0.45), (0.3, 0.24, 0.18))
SIGNS: Palette = ((0.75, 0.1, 0.1), (0.1, 0.25, 0.65), (0.85, 0.7, 0.1), (0.1, 0.45, 0.2))
WOODS: Palette = ((0.55, 0.38, 0.22), (0.4, 0.26, 0.15), (0.7, 0.55, 0.36), (0.3, 0.2, 0.14), (0.78, 0.74, 0.68))
PAINTS: Palette = ((0.82, 0.8, 0.75), (0.75, 0.68, 0.55), (0.55, 0.62, 0.66), (0.58, 0.64, 0.5),
    (0.72, 0.55, 0.48), (0.5, 0.48, 0.5), (0.66, 0.6, 0.68))  # fmt: skip
FABRICS: Palette = ((0.5, 0.15, 0.14), (0.2, 0.28, 0.42), (0.45, 0.42, 0.38), (0.25, 0.36, 0.24),
    (0.65, 0.55, 0.4), (0.16, 0.16, 0.18))  # fmt: skip


class Photo(NamedTuple):
    """How strong the effects of a camera are; each image draws its own values.

    Args:
        exposure: Range of the factor on brightness.
        cast: Largest relative change of a colour channel.
        saturation: Range of the factor on saturation.
        uneven: Largest relative change of brightness towards a side of the image.
        blur: Largest weight of each neighbour in a three-tap blur, in 0..0.25.
        noise: Largest standard deviation of the sensor noise.
    """

    exposure: tuple[float, float] = (0.85, 1.2)
    cast: float = 0.08
    saturation: tuple[float, float] = (0.8, 1.15)
    uneven: float = 0.15
    blur: float = 0.18
    noise: float = 0.035

    def take(self, image: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Turn light (3, H, W), 1 is white, into a photograph of the same shape."""
        _, height, width = image.shape
        gain = rng.uniform(*self.exposure) * (1 + self.cast * rng.uniform(-1, 1, 3))
        image = image * gain[:, None, None].astype(np.float32)
        gray = image.mean(axis=0)
        image = gray + np.float32(rng.uniform(*self.saturation)) * (image - gray)
        x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        slope = (self.uneven * rng.uniform(-1, 1, 2)).astype(np.float32)
        image *= 1 + slope[0] * x + slope[1] * y - np.float32(0.4 * self.uneven) * (x * x + y * y)
        weight = float(rng.uniform(0, self.blur))
        image = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
        image = (1 - 2 * weight) * image[:, 1:-1] + weight * (image[:, :-2] + image[:, 2:])
        image = (1 - 2 * weight) * image[:, :, 1:-1] + weight * (image[:, :, :-2] + image[:, :, 2:])
        image += np.float32(rng.uniform(0.3, 1) * self.noise) * rng.standard_normal(image.shape, np.float32)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


class Dice:
    """Draws what a scene leaves to chance.

    Args:
        rng: Where every choice comes from.
        vivid: Factor on how colourful colours are.
    """

    def __init__(self, rng: np.random.Generator, vivid: float = 1.0) -> None:
        self.rng, self.vivid = rng, vivid

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A number between two others."""
        return low + (high - low) * float(self.rng.random())

    def count(self, low: int, high: int) -> int:
        """A whole number from one to another, both included."""
        return int(self.rng.integers(low, high + 1))

    def start(self) -> float:
        """Where a texture begins in the noise tables."""
        return self.between(0, 200)

    def color(self, choices: Palette, spread: float = 0.05) -> Color:
        """One of some colours, varied."""
        color = choices[int(self.rng.integers(len(choices)))]
        brightness = self.between(0.75, 1.25)
        change = self.rng.standard_normal(3).tolist()
        red, green, blue = (brightness * part + spread * step for part, step in zip(color, change, strict=True))
        gray = (red + green + blue) / 3
        vivid = [min(max(gray + self.vivid * (part - gray), 0.03), 0.95) for part in (red, green, blue)]
        return vivid[0], vivid[1], vivid[2]
