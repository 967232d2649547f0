"""Surface textures: colours as functions of the place on a surface, in metres."""

import functools

import numpy as np
import numpy.typing as npt

from semiverse.datasets.worlds.canvas import Array, Material, Shape

Color = tuple[float, float, float]
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


def rough(color: Color, start: float, grain: float = 0.08, cell: float = 0.04) -> Material:
    """One colour with noise: plaster, asphalt, carpet."""

    def colors(u: Array, v: Array) -> Array:
        return tint(color, 1 + grain * cloudy(u, v, cell, start))

    return colors


def bricks(color: Color, joint: Color, start: float, grain: float, cell: tuple[float, float]) -> Material:
    """Bricks or slabs (width, height), every second row shifted by half."""

    def colors(u: Array, v: Array) -> Array:
        row = np.floor(v / cell[1])
        across = u / cell[0] + 0.5 * (row % 2)
        column = np.floor(across)
        tone = 1 + grain * (2 * random_of_cell(column, row, start) + 0.6 * cloudy(u, v, 0.05, start))
        return choose((across - column < 0.07) | (v / cell[1] - row < 0.12), tint(color, tone), joint)

    return colors


def tiles(color: Color, other: Color, start: float, grain: float, cell: float) -> Material:
    """Square tiles in one colour or, with another one, like a chessboard; dark joints."""

    def colors(u: Array, v: Array) -> Array:
        column, row = np.floor(u / cell), np.floor(v / cell)
        tone = 1 + grain * (random_of_cell(column, row, start) + cloudy(u, v, 0.03, start))
        joint = (u / cell - column < 0.05) | (v / cell - row < 0.05)
        tone[joint] *= 0.75
        return choose((column + row) % 2 == 1, tint(color, tone), tint(other, tone))

    return colors


def planks(color: Color, start: float, grain: float, width: float = 0.18) -> Material:
    """Wooden boards along the second edge, with grain along them."""

    def colors(u: Array, v: Array) -> Array:
        board = np.floor(u / width)
        piece = np.floor(v / 1.3 + random_of_cell(board, board, start))
        tone = 1 + grain * (1.5 * random_of_cell(board, piece, start) + cloudy(u * 6, v * 0.5, 0.05, start))
        tone[u / width - board < 0.08] *= 0.7
        return tint(color, tone)

    return colors


def stripes(color: Color, other: Color, start: float, grain: float, width: float) -> Material:
    """Upright stripes: wallpaper, curtains, awnings."""

    def colors(u: Array, v: Array) -> Array:
        tone = 1 + grain * cloudy(u, v, 0.04, start)
        return choose(np.floor(u / width) % 2 == 1, tint(color, tone), tint(other, tone))

    return colors


def leaves(color: Color, start: float, grain: float, cell: float = 0.06) -> Material:
    """Foliage: dark gaps, bright leaves, brighter towards the light above."""

    def colors(u: Array, v: Array) -> Array:
        leaf = cloudy(u, v, cell, start) + 0.7 * random_of_cell(np.floor(u / cell), np.floor(v / cell), start)
        return tint(color, np.maximum(0.25, 0.75 + 0.12 * v + 2.2 * grain * leaf))

    return colors


def ragged(parts: list[tuple[float, float, float]], start: float, cell: float = 0.1) -> Shape:
    """The union of discs (centre u, centre v, radius) with a ragged outline."""

    def there(u: Array, v: Array) -> Array:
        edge = 1 + 0.22 * cloudy(u, v, cell, start)
        inside = np.zeros(len(u), bool)
        for x, y, radius in parts:
            inside |= (u - x) ** 2 + (v - y) ** 2 < (radius * edge) ** 2
        return inside

    return there
