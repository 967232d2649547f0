"""Classes of the rooms; tables, chairs, lamps and plants."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from semiverse.worlds.canvas import Array, Canvas, Frame, Material, Quad, Shape, Vector
from semiverse.worlds.materials import (
    FABRICS,
    GREENS,
    METALS,
    PAINTS,
    WOODS,
    Color,
    Dice,
    choose,
    fraction,
    leaves,
    planks,
    ragged,
    rough,
    tint,
)


class Room(IntEnum):
    """Train ids of the rooms."""

    WALL = 0
    FLOOR = 1
    CEILING = 2
    WINDOW = 3
    DOOR = 4
    TABLE = 5
    CHAIR = 6
    LAMP = 7
    PLANT = 8


def shadow(canvas: Canvas, frame: Frame, width: float, depth: float) -> None:
    """The soft shadow that furniture of this size leaves on the floor under it."""
    for grow, brightness in ((1.5, 0.85), (1.15, 0.7), (0.85, 0.55)):
        a, b = grow * width, grow * depth
        quad = Quad(frame.point(-a / 2, 0, -b / 2), frame.direction(a, 0, 0), frame.direction(0, 0, b))
        canvas.shade(quad, brightness, rounded(a, b))


def rounded(width: float, height: float) -> Shape:
    """A rectangle of this size with round corners."""

    def shape(u: Array, v: Array) -> Array:
        x, y = (2 * u / width - 1) ** 2, (2 * v / height - 1) ** 2
        return x * x + y * y < 1

    return shape


def disc(width: float) -> Shape:
    """A disc of this width."""

    def shape(u: Array, v: Array) -> Array:
        x, y = 2 * u / width - 1, 2 * v / width - 1
        return x * x + y * y < 1

    return shape


class Table(NamedTuple):
    """A table: its size in metres, whether it is round, what it is made of."""

    width: float
    depth: float
    height: float
    round: bool
    top: Material
    legs: Material

    @classmethod
    def drawn(cls, dice: Dice) -> "Table":
        """A random one."""
        wood = planks(dice.color(WOODS), dice.start(), 0.1, 0.25)
        plain = rough(dice.color((*PAINTS, *FABRICS)), dice.start(), 0.05)
        top = wood if dice.chance(0.85) else plain
        width, low = dice.between(0.8, 1.7), dice.chance(0.25)
        height = dice.between(0.4, 0.5) if low else dice.between(0.7, 0.8)
        return cls(width, dice.between(0.65, 1.0), height, dice.chance(0.3), top, top if dice.chance(0.6) else plain)

    def draw(self, canvas: Canvas, frame: Frame) -> None:
        """Draw it on its place."""
        shadow(canvas, frame, self.width, self.width if self.round else self.depth)
        if self.round:
            corner = frame.point(-self.width / 2, self.height, -self.width / 2)
            plate = Quad(corner, frame.direction(self.width, 0, 0), frame.direction(0, 0, self.width))
            below = plate._replace(origin=(corner[0], self.height - 0.05, corner[2]))
            for quad, material in ((plate, self.top), (below, self.legs)):
                canvas.paint(quad, Room.TABLE, material, disc(self.width))
            canvas.paint(canvas.upright(frame.origin, 0.12, self.height), Room.TABLE, self.legs)
            canvas.paint(canvas.upright(frame.origin, 0.5, 0.05), Room.TABLE, self.legs)
            return
        x, z = self.width / 2, self.depth / 2
        canvas.box(frame, (-x, self.height - 0.07, -z), (x, self.height, z), Room.TABLE, self.top)
        legs(canvas, frame, (x - 0.06, z - 0.06), self.height - 0.06, Room.TABLE, self.legs)


def legs(
    canvas: Canvas, frame: Frame, away: tuple[float, float], height: float, label: int, material: Material
) -> None:
    """Four legs at the corners of a rectangle."""
    for x in (-away[0], away[0]):
        for z in (-away[1], away[1]):
            canvas.paint(canvas.upright(frame.point(x, 0, z), 0.075, height), label, material)


class Chair(NamedTuple):
    """A chair: height of its back, gap between the slats (0: a closed back), armchair or not, what it is made of."""

    back: float
    gap: float
    soft: bool
    seat: Material
    legs: Material

    @classmethod
    def drawn(cls, dice: Dice) -> "Chair":
        """A random one."""
        wood, fabric = planks(dice.color(WOODS), dice.start(), 0.1, 0.12), rough(dice.color(FABRICS), dice.start(), 0.1)
        gap = dice.between(0.1, 0.16) if dice.chance(0.5) else 0.0
        return cls(dice.between(0.8, 1.05), gap, dice.chance(0.35), fabric if dice.chance(0.5) else wood, wood)

    def draw(self, canvas: Canvas, frame: Frame) -> None:
        """Draw it, the sitter looking along the frame's forward."""
        shadow(canvas, frame, 0.6, 0.6)
        if self.soft:
            for low, high in (
                ((-0.4, 0.0, -0.35), (0.4, 0.42, 0.4)),
                ((-0.4, 0.42, -0.4), (0.4, 0.9, -0.2)),
                ((-0.42, 0.0, -0.35), (-0.28, 0.6, 0.38)),
                ((0.28, 0.0, -0.35), (0.42, 0.6, 0.38)),
            ):
                canvas.box(frame, low, high, Room.CHAIR, self.seat)
            return
        canvas.box(frame, (-0.22, 0.42, -0.22), (0.22, 0.48, 0.22), Room.CHAIR, self.seat)
        legs(canvas, frame, (0.19, 0.19), 0.44, Room.CHAIR, self.legs)
        lean = frame.direction(0, self.back - 0.44, -0.06)
        rest = Quad(frame.point(-0.22, 0.44, -0.2), frame.direction(0.44, 0, 0), lean)
        canvas.paint(rest, Room.CHAIR, self.legs if self.gap else self.seat, self._slats)

    def _slats(self, u: Array, v: Array) -> Array:
        if not self.gap:
            return v > 0.1
        post = np.abs(u - 0.22) > 0.17
        return post | (fraction(v / self.gap) > 0.5)


def lamp(canvas: Canvas, dice: Dice, foot: Vector, height: float, shade: Color) -> None:
    """A lamp of this height on a thin stem; a negative height hangs down from the point."""
    metal, size = dice.color(METALS, 0.02), dice.between(0.4, 0.65)
    wide, tall, narrow = size, 0.6 * size, dice.between(0.0, 0.8)
    standing, total = height > 0, abs(height)
    base = total - tall if standing else 0.0

    def cover(u: Array, v: Array) -> Array:
        rise = (v - base) / tall
        return (rise > 0) & (rise < 1) & (np.abs(u - wide / 2) < wide / 2 * (1 - narrow * rise * 0.7))

    def shape(u: Array, v: Array) -> Array:
        stem = np.abs(u - wide / 2) < 0.035
        plate = (v < 0.04) & (np.abs(u - wide / 2) < 0.14) & standing
        return stem | plate | cover(u, v)

    def material(u: Array, v: Array) -> Array:
        tone = 1.05 - 0.7 * np.abs(u / wide - 0.5)
        return choose(cover(u, v), tint(metal, tone), tint(shade, tone))

    start = foot if standing else (foot[0], foot[1] - total, foot[2])
    canvas.paint(canvas.upright(start, wide, total), Room.LAMP, material, shape)


def plant(canvas: Canvas, dice: Dice, foot: Vector, height: float) -> None:
    """A plant of this height in a pot."""
    start, radius, pot = dice.start(), 0.3 * height, 0.3 * height
    middle = height - radius
    parts = [(1.4 * radius, middle, 0.7 * radius)]
    for _ in range(5):
        x, y, size = dice.between(0.5, 2.3), dice.between(-0.8, 0.7), dice.between(0.25, 0.45)
        parts.append((x * radius, middle + y * radius, size * radius))
    crown, leaf = ragged(parts, start, 0.04), leaves(dice.color(GREENS[:3]), start, 0.12, 0.03)
    clay = rough(dice.color((*FABRICS, *PAINTS, (0.6, 0.32, 0.2))), start, 0.08)

    def below(u: Array, v: Array) -> Array:
        return (v < pot) & (np.abs(u - 1.4 * radius) < 0.38 * pot + 0.15 * v)

    def shape(u: Array, v: Array) -> Array:
        return crown(u, v) | below(u, v) | ((np.abs(u - 1.4 * radius) < 0.02) & (v < middle))

    def material(u: Array, v: Array) -> Array:
        return choose(below(u, v) & ~crown(u, v), leaf(u, v), clay(u, v))

    shadow(canvas, Frame(foot), 1.2 * radius, 1.2 * radius)
    canvas.paint(canvas.upright(foot, 2.8 * radius, height * 1.05), Room.PLANT, material, shape)
