"""Furnished rooms, seen from their doorstep."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from semiverse.labels import IGNORE
from semiverse.worlds import furniture, materials
from semiverse.worlds.canvas import Array, Camera, Canvas, Frame, Quad, Vector, Wall, add, dot, scale, unit
from semiverse.worlds.furniture import Chair, Room, Table
from semiverse.worlds.materials import Color, Dice, Photo, rough


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
    for place in lamps:
        light += np.array((0.9, 0.75, 0.5), np.float32)[:, None, None] / (1 + _square_distance((x, y, z), place))
    sun = unit((dice.between(-1, 1), dice.between(0.4, 0.9), dice.between(0.2, 1)))
    for quad in windows:
        middle = add(quad.origin, add(quad.across, quad.up), 0.5)
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


_PHOTO = Photo(exposure=(0.85, 1.15), cast=0.08, saturation=(0.75, 1.2), uneven=0.1, blur=0.18, noise=0.03)


class RoomScene:
    """One room: draws its surfaces, then what hangs and stands in it, then its light.

    Args:
        rng: Where every choice comes from.
        size: Height and width in pixels.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        dice = self.dice = Dice(rng)
        width, self.depth, self.height = dice.between(3.0, 4.6), dice.between(3.6, 5.4), dice.between(2.3, 2.8)
        self.side = width / 2
        position = (dice.between(-0.25, 0.25) * width, dice.between(1.2, 1.8), 0.3)
        turn, tilt, roll = dice.between(-0.35, 0.35), dice.between(0.05, 0.32), 0.02 * float(rng.standard_normal())
        camera = Camera.looking(position, turn, tilt, roll, dice.between(0.6, 0.85))
        bright = unit((dice.between(-1, 1), dice.between(0.2, 1), dice.between(-1, 0)))

        def light(normal: Vector) -> Vector:
            level = 0.85 + 0.15 * dot(normal, bright)
            return level, level, level

        self.canvas = Canvas(size, camera, light, Room.WALL)
        self.walls = (
            Wall((-self.side, 0, self.depth), (1, 0, 0), (0, 0, -1), width),
            Wall((-self.side, 0, 0), (0, 0, 1), (1, 0, 0), self.depth),
            Wall((self.side, 0, 0), (0, 0, 1), (-1, 0, 0), self.depth),
        )
        self.outside = dice.between(1.0, 1.5) if dice.chance(0.8) else dice.between(0.08, 0.25)
        self.lamps: list[Vector] = []
        self.openings: list[Quad] = []
        self.taken: list[tuple[float, float, float]] = []

    def surfaces(self) -> None:
        """Floor, ceiling, walls and a rug."""
        dice, canvas, width = self.dice, self.canvas, 2 * self.side
        floor = Quad((-self.side, 0, 0), (width, 0, 0), (0, 0, self.depth))
        above = floor._replace(origin=(-self.side, self.height, 0))
        canvas.paint(floor, Room.FLOOR, furniture.cornered(furniture.flooring(dice), width, self.depth))
        canvas.paint(above, Room.CEILING, furniture.cornered(furniture.overhead(dice), width, self.depth))
        usual, special = furniture.covering(dice), dice.count(0, 5)
        for i, wall in enumerate(self.walls):
            material = furniture.covering(dice) if i == special else usual
            quad = Quad(wall.corner, scale(wall.along, wall.length), (0.0, self.height, 0.0))
            canvas.paint(quad, Room.WALL, furniture.cornered(material, wall.length, self.height))
            board = wall.patch(0, 0, wall.length, dice.between(0.06, 0.14))
            canvas.paint(board, Room.WALL, rough(dice.color(materials.WOODS), dice.start()))
        if dice.chance(0.5):
            x, z = dice.between(-0.5, 0.3) * self.side, dice.between(0.3, 0.5) * self.depth
            rug = Quad((x, 0.002, z), (dice.between(1, 2.2), 0, 0), (0, 0, dice.between(0.8, 1.8)))
            canvas.paint(rug, Room.FLOOR, furniture.covering(dice) if dice.chance(0.5) else furniture.flooring(dice))

    def hangings(self) -> None:
        """Windows, doors and pictures, which belong to the wall, side by side where they fit."""
        dice = self.dice
        for i, wall in enumerate(self.walls):
            at = dice.between(0.1, 0.5) if i == 0 else dice.between(0.3, 0.45) * wall.length
            while at < wall.length:
                kind, label, material = dice.between(0, 1), Room.WALL, furniture.picture
                if kind < 0.4:
                    label, material = Room.WINDOW, partial(furniture.window, outside=self.outside)
                    wide, tall, bottom = dice.between(0.8, 1.9), dice.between(0.9, 1.4), dice.between(0.7, 0.95)
                elif kind < 0.7:
                    label, material = Room.DOOR, furniture.door
                    wide, tall, bottom = dice.between(0.8, 1.0), dice.between(1.95, 2.1), 0.0
                else:
                    wide, tall, bottom = dice.between(0.4, 1.0), dice.between(0.4, 0.8), dice.between(1.1, 1.4)
                if at + wide <= wall.length - 0.1:
                    patch = wall.patch(at, bottom, wide, tall)
                    self.canvas.paint(patch, label, material(dice, wide, tall))
                    if label == Room.WINDOW and self.outside > 0.5:
                        self.openings.append(patch)
                at += wide + dice.between(0.15, 1.2)

    def spot(self, radius: float, near: float = 1.8) -> Vector | None:
        """A free place on the floor for something of this radius, which is taken from then on."""
        dice = self.dice
        for _ in range(6):
            x, z = dice.between(-1, 1) * (self.side - radius), dice.between(near, self.depth - radius)
            if all(math.hypot(x - other_x, z - other_z) > radius + other for other_x, other_z, other in self.taken):
                self.taken.append((x, z, radius))
                return x, 0.0, z
        return None

    def furniture(self) -> None:
        """Tables with chairs around, lamps, plants and boxes."""
        dice, chair = self.dice, Chair.drawn(self.dice)
        for _ in range(1 if dice.chance(0.75) else dice.count(0, 2)):
            self.dinner(chair)
        for _ in range(dice.count(0, 2)):
            if (place := self.spot(0.4)) is not None:
                chair.draw(self.canvas, Frame(place, dice.between(0, 6.28)))
        self.lights()
        for _ in range(dice.count(1, 2)):
            if (place := self.spot(0.35, near=2.2)) is not None:
                furniture.plant(self.canvas, dice, place, dice.between(0.7, 1.6))
        if dice.chance(0.4) and (place := self.spot(0.35)) is not None:
            self.clutter(place, dice.between(0.15, 0.35))

    def dinner(self, chair: Chair) -> None:
        """A table with chairs on some of its sides and something on it."""
        dice, table = self.dice, Table.drawn(self.dice)
        place = self.spot(max(table.width, table.depth) / 2 + 0.2, near=2.2)
        if place is None:
            return
        frame = Frame(place, dice.between(-0.5, 0.5))
        table.draw(self.canvas, frame)
        x, z = table.width / 2 + 0.1, (table.width if table.round else table.depth) / 2 + 0.1
        for quarter, (right, forward) in enumerate(((0.0, -z), (-x, 0.0), (0.0, z), (x, 0.0))):
            if dice.chance(0.45):
                seat, turn = frame.point(right, 0, forward), frame.angle + quarter * math.pi / 2
                chair.draw(self.canvas, Frame(seat, turn + dice.between(-0.2, 0.2)))
                self.taken.append((seat[0], seat[2], 0.35))
        on = frame.point(dice.between(-0.25, 0.25), table.height, dice.between(-0.15, 0.15))
        kind = dice.between(0, 1)
        if kind < 0.3:
            self.light(on, dice.between(0.35, 0.6))
        elif kind < 0.5:
            furniture.plant(self.canvas, dice, on, dice.between(0.3, 0.6))
        elif kind < 0.75:
            self.clutter(on, dice.between(0.08, 0.18))

    def clutter(self, place: Vector, size: float) -> None:
        """A box, of no class."""
        frame, half = Frame(place, self.dice.between(0, 1.5)), size * self.dice.between(0.6, 1.2)
        furniture.shadow(self.canvas, frame, 2 * size, 2 * half)
        material = rough(
            self.dice.color((*materials.WOODS, *materials.FABRICS, *materials.PAINTS)), self.dice.start(), 0.08
        )
        self.canvas.box(frame, (-size, 0, -half), (size, size * self.dice.between(0.8, 2), half), IGNORE, material)

    def lights(self) -> None:
        """Lamps on the floor and from the ceiling."""
        dice = self.dice
        if dice.chance(0.6) and (place := self.spot(0.25)) is not None:
            self.light(place, dice.between(1.2, 1.8))
        if dice.chance(0.7):
            x, z = dice.between(-0.5, 0.5) * self.side, dice.between(0.4, 0.8) * self.depth
            self.light((x, self.height, z), -dice.between(0.4, 1.0))

    def light(self, foot: Vector, height: float) -> None:
        """A lamp, more often on when it is dark outside."""
        on = self.dice.chance(0.9 if self.outside < 0.5 else 0.3)
        shade: Color = (1.7, 1.45, 1.05) if on else self.dice.color(materials.PAINTS[:2])
        furniture.lamp(self.canvas, self.dice, foot, height, shade)
        if on:
            self.lamps.append((foot[0], foot[1] + height, foot[2]))


def render_room(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, Array]:
    """Image (3, H, W) and mask (H, W) of one room."""
    scene = RoomScene(rng, size)
    scene.surfaces()
    scene.hangings()
    scene.furniture()
    color, mask, _ = scene.canvas.finish()
    return _PHOTO.take(color * illumination(scene.canvas, scene.dice, scene.lamps, scene.openings), rng), mask
