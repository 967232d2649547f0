"""Classes of the streets; their surfaces, cars, and things that are drawn as upright pictures."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from semiverse.worlds import materials
from semiverse.worlds.canvas import Array, Canvas, Frame, Material, Quad, Shape, Vector
from semiverse.worlds.materials import Color, Dice, choose, cloudy, fraction, rough, tint

Street = IntEnum("Street", ["SKY", "BUILDING", "ROAD", "SIDEWALK", "VEGETATION", "CAR", "PERSON", "POLE"], start=0)
"""Train ids of the streets."""


def facade(dice: Dice, lit: float, grain: float) -> Material:
    """A wall with windows, of which a share is ``lit``, and doors on the ground floor."""
    wide, tall = dice.between(1.8, 3.4), dice.between(2.7, 3.3)  # of the cell that holds one window
    share, height = dice.between(0.35, 0.8), dice.between(0.4, 0.75)  # of the window in its cell
    glass, frame, wood, start = (
        dice.color(materials.GLASSES),
        dice.color(materials.STONES),
        dice.color(materials.FACADES),
        dice.start(),
    )
    behind = wall(dice, grain)

    def colors(u: Array, v: Array) -> Array:
        column, row = np.floor(u / wide), np.floor(v / tall)
        x, y = np.abs(u / wide - column - 0.5) * 2, np.abs(v / tall - row - 0.5) * 2
        fortune = materials.random_of_cell(column, row, start)
        door = (row == 0) & (fortune > 0.3)
        high = np.where(door, np.float32(1), np.float32(height))
        inner = (x < share) & (y < high) & ((x > 0.05) | door)
        result = choose((x < share + 0.12) & (y < high + 0.1), behind(u, v), frame)
        result = choose(inner, result, tint(glass, 0.65 + 0.3 * fortune + 0.12 * cloudy(u, v, 0.08, start)))
        result = choose(inner & door, result, tint(wood, 0.8 + 0.1 * y))
        shining = inner & ~door & (materials.random_of_cell(row, column, start + 9) > 1 - 2 * lit)
        return choose(shining, result, (2.6, 2.1, 1.1))

    return colors


def wall(dice: Dice, grain: float) -> Material:
    """Plaster, bricks or panels."""
    color, start, kind = dice.color(materials.FACADES), dice.start(), dice.between(0, 1)
    if kind < 0.35:
        return materials.bricks(color, dice.color(materials.STONES), start, grain, (0.6, 0.25))
    if kind < 0.5:
        return materials.stripes(color, dice.color(materials.FACADES), start, grain, dice.between(0.3, 0.8))
    return rough(color, start, grain, 0.1)


def paving(dice: Dice, grain: float, stone: float) -> Material:
    """Ground for feet and wheels: slabs or bricks with some probability, otherwise asphalt."""
    color, start = dice.color(materials.STONES if dice.chance(stone) else materials.ASPHALTS, 0.015), dice.start()
    if not dice.chance(stone):
        return rough(color, start, 1.3 * grain)
    if dice.chance(0.6):
        return materials.tiles(color, color, start, grain, dice.between(0.4, 0.9))
    return materials.bricks(color, (0.6 * color[0], 0.6 * color[1], 0.6 * color[2]), start, grain, (0.5, 0.25))


def marked(ground: Material, width: float, dice: Dice) -> Material:
    """A road of some width with lane markings, perhaps a crossing, patches and cracks."""
    white: Color = (0.85, 0.85, 0.8) if dice.chance(0.8) else (0.8, 0.65, 0.15)
    dash, solid, crossing = dice.between(1.5, 3.5), dice.chance(0.5), dice.between(3, 40)
    start, worn = dice.start(), dice.between(0.5, 1.6)

    def colors(u: Array, v: Array) -> Array:
        result = ground(u, v) * (1 + 0.09 * cloudy(u, v, 0.3, start))
        line = (np.abs(u - width / 2) < 0.09) & (fraction(v / (2 * dash)) < 0.5)
        if solid:
            line |= np.abs(np.abs(u - width / 2) - width / 2 + 0.4) < 0.07
        line |= (np.abs(v - crossing) < 1.5) & (fraction(u) < 0.5)
        return choose(line & (cloudy(u, v, 0.05, start) < worn), result, white)

    return colors


class Car(NamedTuple):
    """Measures (in metres) and colours of a car; the two lights are those at its back and at its front."""

    length: float
    width: float
    belt: float
    roof: float
    boot: float
    bonnet: float
    paint: Color
    lights: tuple[Color, Color]
    start: float

    @classmethod
    def drawn(cls, dice: Dice, lit: float) -> "Car":
        """A random one, from a limousine to a van; with some probability its lights are on."""
        shining = dice.chance(lit)
        back: Color = (2.2, 0.3, 0.2) if shining else (0.5, 0.06, 0.06)
        front: Color = (2.6, 2.5, 2.2) if shining else (0.75, 0.75, 0.7)
        belt, paint = dice.between(0.85, 1.1), dice.color(materials.CARS)
        return cls(length=dice.between(3.6, 4.7), width=1.8, belt=belt, roof=belt + dice.between(0.5, 0.8),
            boot=dice.between(0.05, 0.8), bonnet=dice.between(0.5, 1.1), paint=paint, lights=(back, front),
            start=dice.start())  # fmt: skip

    def draw(self, canvas: Canvas, frame: Frame) -> None:
        """Draw it around a frame whose forward is the driver's."""
        half, width = self.length / 2, self.width
        slope = 0.35 * (self.roof - self.belt) + 0.15
        faces = frame.faces((-width / 2, 0, -half), (width / 2, self.belt, half), canvas.camera.position)
        for name, face in faces.items():
            if name in ("left", "right"):
                canvas.paint(face._replace(up=(0.0, self.roof, 0.0)), Street.CAR, self._side, self._outline)
            elif name in ("back", "front"):
                end = materials.surface(self._end)(self.lights[name == "front"])
                canvas.paint(
                    face, Street.CAR, end, lambda u, v: (v > 0.25) | (np.abs(u - width / 2) > width / 2 - 0.25)
                )
            else:
                canvas.paint(face, Street.CAR, self._sheet)
        back, front = self.boot - half, half - self.bonnet
        across, rise = frame.direction(width, 0, 0), self.roof - self.belt
        start, lean = (front, -slope) if "front" in faces else (back, slope)
        pane = Quad(frame.point(-width / 2, self.belt, start), across, frame.direction(0, rise, lean))
        canvas.paint(pane, Street.CAR, self._pane)
        if canvas.camera.position[1] > self.roof:
            along = frame.direction(0, 0, front - back - 2 * slope)
            roof = Quad(frame.point(-width / 2, self.roof, back + slope), across, along)
            canvas.paint(roof, Street.CAR, self._sheet)

    def _cabin(self, u: Array, v: Array, inset: float) -> Array:
        lean = 0.35 * (v - self.belt) + inset
        pane = (v > self.belt + inset) & (v < self.roof - inset)
        return pane & (u > self.boot + lean) & (u < self.length - self.bonnet - lean)

    def _wheels(self, u: Array, v: Array, radius: float) -> Array:
        x = np.minimum(np.abs(u - 0.2 * self.length), np.abs(u - 0.8 * self.length))
        return x * x + (v - 0.33) ** 2 < radius * radius

    def _outline(self, u: Array, v: Array) -> Array:
        return ((v > 0.22) & (v < self.belt)) | self._cabin(u, v, 0.0) | self._wheels(u, v, 0.34)

    def _sheet(self, u: Array, v: Array) -> Array:
        return tint(self.paint, 1.05 + 0.05 * cloudy(u, v, 0.1, self.start))

    def _pane(self, u: Array, v: Array) -> Array:
        glass = tint((0.25, 0.3, 0.36), 0.7 + 0.5 * v + 0.25 * cloudy(u, v, 0.08, self.start))
        return choose(np.abs(u - self.width / 2) > self.width / 2 - 0.1, glass, self.paint)

    def _side(self, u: Array, v: Array) -> Array:
        result = tint(self.paint, 0.7 + 0.4 * v + 0.05 * cloudy(u, v, 0.1, self.start))
        doors = fraction(np.abs(u - 0.5 * self.length))
        result = choose((doors < 0.04) & (v > 0.3), result, (0.1, 0.1, 0.1))
        glass = self._cabin(u, v, 0.09) & (doors > 0.08)
        result = choose(glass, result, tint((0.25, 0.3, 0.36), 0.6 + 0.25 * cloudy(u, v, 0.08, self.start)))
        result = choose(self._wheels(u, v, 0.36), result, (0.05, 0.05, 0.06))
        return choose(self._wheels(u, v, 0.17), result, (0.5, 0.5, 0.52))

    def _end(self, u: Array, v: Array, light: Color) -> Array:
        away = np.abs(u - self.width / 2)
        result = tint(self.paint, 0.75 + 0.3 * v + 0.05 * cloudy(u, v, 0.1, self.start))
        result = choose((away < 0.26) & (np.abs(v - 0.55) < 0.07), result, (0.8, 0.8, 0.75))
        result = choose((away > self.width / 2 - 0.35) & (np.abs(v - self.belt + 0.22) < 0.1), result, light)
        return choose(v < 0.38, result, (0.07, 0.07, 0.08))


class Sprite(NamedTuple):
    """Something that looks alike from everywhere: an upright picture that turns to the camera."""

    width: float
    height: float
    material: Material
    shape: Shape

    def shadow(self, canvas: Canvas, foot: Vector, reach: Vector, brightness: float) -> None:
        """Throw its shadow on the ground; ``reach`` is where the shadow of something one metre high ends."""
        far = max((reach[0] ** 2 + reach[2] ** 2) ** 0.5, 1e-3)
        across = (reach[2] / far * self.width, 0.0, -reach[0] / far * self.width)
        origin = (foot[0] - across[0] / 2, foot[1], foot[2] - across[2] / 2)
        ground = Quad(origin, across, (reach[0] * self.height, 0.0, reach[2] * self.height))
        canvas.shade(ground, brightness, lambda u, v: self.shape(u, v / far))


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
    crown, leaf, bark = (
        materials.ragged(parts, start),
        materials.leaves(foliage, start, grain),
        rough((0.3, 0.22, 0.16), start, 0.2),
    )
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
