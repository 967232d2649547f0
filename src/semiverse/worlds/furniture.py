"""Classes of the rooms; their surfaces, windows, doors and pictures; tables, chairs, lamps and plants."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from semiverse.worlds import materials
from semiverse.worlds.canvas import Array, Canvas, Frame, Material, Quad, Vector
from semiverse.worlds.materials import Color, Dice, choose, cloudy, fraction, rough, tint

Room = IntEnum("Room", ["WALL", "FLOOR", "CEILING", "WINDOW", "DOOR", "TABLE", "CHAIR", "LAMP", "PLANT"], start=0)
"""Train ids of the rooms."""


_GRAIN = 0.08


def covering(dice: Dice) -> Material:
    """Paint, wallpaper, bricks or panels of a wall."""
    color, start, kind = dice.color(materials.PAINTS), dice.start(), dice.between(0, 1)
    if kind < 0.2:
        return materials.stripes(color, dice.color(materials.PAINTS), start, 0.5 * _GRAIN, dice.between(0.08, 0.3))
    if kind < 0.3:
        return materials.bricks(color, dice.color(materials.STONES), start, _GRAIN, (0.3, 0.11))
    if kind < 0.36:
        return materials.planks(dice.color(materials.WOODS), start, _GRAIN, dice.between(0.12, 0.3))
    return rough(color, start, 0.5 * _GRAIN, 0.05)


def flooring(dice: Dice) -> Material:
    """Boards, tiles or carpet."""
    start, kind = dice.start(), dice.between(0, 1)
    if kind < 0.45:
        return materials.planks(dice.color(materials.WOODS), start, 1.3 * _GRAIN, dice.between(0.1, 0.25))
    if kind < 0.75:
        color = dice.color(materials.STONES)
        return materials.tiles(
            color, dice.color(materials.STONES) if dice.chance(0.5) else color, start, _GRAIN, dice.between(0.25, 0.6)
        )
    return rough(dice.color((*materials.FABRICS, *materials.PAINTS)), start, 1.6 * _GRAIN, 0.02)


def overhead(dice: Dice) -> Material:
    """Plaster, boards or panels of a ceiling."""
    start, kind = dice.start(), dice.between(0, 1)
    if kind < 0.2:
        return materials.planks(dice.color(materials.WOODS), start, _GRAIN, 0.2)
    color = dice.color(materials.PAINTS[:1] if dice.chance(0.6) else materials.PAINTS)
    return (
        materials.tiles(color, color, start, 0.5 * _GRAIN, 0.6)
        if kind < 0.4
        else rough(color, start, 0.4 * _GRAIN, 0.06)
    )


@materials.surface
def cornered(u: Array, v: Array, material: Material, width: float, height: float) -> Array:
    """A surface of this size that gets darker towards its edges, where little light arrives."""
    edge = np.minimum(np.minimum(u, width - u), np.minimum(v, height - v))
    return material(u, v) * (1 - 0.35 * np.exp(-3.5 * edge))


def window(dice: Dice, width: float, height: float, outside: float) -> Material:
    """A window of this size; ``outside`` is the brightness behind it."""
    frame, start, blue = dice.color((*materials.PAINTS[:1], *materials.WOODS)), dice.start(), dice.between(0.6, 1.0)
    sky = (outside * blue * 0.85, outside * (0.5 + 0.5 * blue) * 0.95, outside)
    green = materials.leaves(dice.color(materials.GREENS), start, 0.1, 0.05)
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
    color, frame = dice.color(materials.WOODS), dice.color((*materials.WOODS, *materials.PAINTS[:1]))
    wood = materials.planks(color, dice.start(), 0.7 * _GRAIN, 0.6)
    rows, columns = dice.count(1, 3), dice.count(1, 2)
    hinge = 0.85 if dice.chance(0.5) else 0.15

    def colors(u: Array, v: Array) -> Array:
        x, y = np.abs(fraction(u / width * columns) - 0.5), np.abs(fraction(v / height * rows) - 0.5)
        panel, inner = np.maximum(x * 1.1, y) < 0.4, np.maximum(x * 1.1, y) < 0.36
        result = wood(u, v) * (1 - 0.3 * (panel & ~inner) + 0.06 * inner).astype(np.float32)
        handle = (np.abs(u - hinge * width) < 0.07) & (np.abs(v - 1.0) < 0.03)
        rim = np.minimum(np.minimum(u, width - u), height - v) < 0.07
        return choose(rim, choose(handle, result, (0.75, 0.72, 0.6)), frame)

    return colors


def picture(dice: Dice, width: float, height: float) -> Material:
    """A framed painting or photograph of this size."""
    frame, upper, lower = (
        dice.color(materials.WOODS),
        dice.color((*materials.FABRICS, *materials.PAINTS)),
        dice.color((*materials.FABRICS, *materials.GREENS)),
    )
    start, line = dice.start(), dice.between(0.2, 0.8) * height

    def colors(u: Array, v: Array) -> Array:
        noise = cloudy(u, v, 0.015, start)
        ground = v < line + 0.08 * cloudy(u, 0 * v, 0.02, start)
        result = choose(ground, tint(upper, 1 + 0.2 * noise), tint(lower, 1 + 0.3 * noise))
        edge = np.minimum(np.minimum(u, width - u), np.minimum(v, height - v)) < 0.05
        return choose(edge, result, frame)

    return colors


def shadow(canvas: Canvas, frame: Frame, width: float, depth: float) -> None:
    """The soft shadow that furniture of this size leaves on the floor under it."""
    for grow, brightness in ((1.5, 0.85), (1.15, 0.7), (0.85, 0.55)):
        a, b = grow * width, grow * depth
        quad = Quad(frame.point(-a / 2, 0, -b / 2), frame.direction(a, 0, 0), frame.direction(0, 0, b))
        canvas.shade(quad, brightness, rounded(a, b))


@materials.surface
def rounded(u: Array, v: Array, width: float, height: float) -> Array:
    """The shape of a rectangle of this size with round corners."""
    x, y = (2 * u / width - 1) ** 2, (2 * v / height - 1) ** 2
    return x * x + y * y < 1


@materials.surface
def disc(u: Array, v: Array, width: float) -> Array:
    """The shape of a disc of this width."""
    x, y = 2 * u / width - 1, 2 * v / width - 1
    return x * x + y * y < 1


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
        wood = materials.planks(dice.color(materials.WOODS), dice.start(), 0.1, 0.25)
        plain = rough(dice.color((*materials.PAINTS, *materials.FABRICS)), dice.start(), 0.05)
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
        wood, fabric = (
            materials.planks(dice.color(materials.WOODS), dice.start(), 0.1, 0.12),
            rough(dice.color(materials.FABRICS), dice.start(), 0.1),
        )
        gap = dice.between(0.1, 0.16) if dice.chance(0.5) else 0.0
        return cls(dice.between(0.8, 1.05), gap, dice.chance(0.35), fabric if dice.chance(0.5) else wood, wood)

    def draw(self, canvas: Canvas, frame: Frame) -> None:
        """Draw it, the sitter looking along the frame's forward."""
        shadow(canvas, frame, 0.6, 0.6)
        if self.soft:
            for low, high in (
                ((-0.4, 0.0, -0.35), (0.4, 0.42, 0.4)), ((-0.4, 0.42, -0.4), (0.4, 0.9, -0.2)),
                ((-0.42, 0.0, -0.35), (-0.28, 0.6, 0.38)), ((0.28, 0.0, -0.35), (0.42, 0.6, 0.38)),
            ):  # fmt: skip
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
        return (np.abs(u - 0.22) > 0.17) | (fraction(v / self.gap) > 0.5)


def lamp(canvas: Canvas, dice: Dice, foot: Vector, height: float, shade: Color) -> None:
    """A lamp of this height on a thin stem; a negative height hangs down from the point."""
    metal, wide, narrow = dice.color(materials.METALS, 0.02), dice.between(0.4, 0.65), dice.between(0.0, 0.8)
    tall, standing, total = 0.6 * wide, height > 0, abs(height)
    base = total - tall if standing else 0.0

    def cover(u: Array, v: Array) -> Array:
        rise = (v - base) / tall
        return (rise > 0) & (rise < 1) & (np.abs(u - wide / 2) < wide / 2 * (1 - narrow * rise * 0.7))

    def shape(u: Array, v: Array) -> Array:
        away = np.abs(u - wide / 2)
        return (away < 0.035) | ((v < 0.04) & (away < 0.14) & standing) | cover(u, v)

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
    crown, leaf = (
        materials.ragged(parts, start, 0.04),
        materials.leaves(dice.color(materials.GREENS[:3]), start, 0.12, 0.03),
    )
    clay = rough(dice.color((*materials.FABRICS, *materials.PAINTS, (0.6, 0.32, 0.2))), start, 0.08)

    def below(u: Array, v: Array) -> Array:
        return (v < pot) & (np.abs(u - 1.4 * radius) < 0.38 * pot + 0.15 * v)

    def shape(u: Array, v: Array) -> Array:
        return crown(u, v) | below(u, v) | ((np.abs(u - 1.4 * radius) < 0.02) & (v < middle))

    def material(u: Array, v: Array) -> Array:
        return choose(below(u, v) & ~crown(u, v), leaf(u, v), clay(u, v))

    shadow(canvas, Frame(foot), 1.2 * radius, 1.2 * radius)
    canvas.paint(canvas.upright(foot, 2.8 * radius, height * 1.05), Room.PLANT, material, shape)
