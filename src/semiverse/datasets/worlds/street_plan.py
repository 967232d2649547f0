"""The plan of one street: its measures, its light, and how things are put on its ground."""

import math

import numpy as np

from semiverse.datasets.worlds.canvas import Canvas
from semiverse.datasets.worlds.dice import Dice
from semiverse.datasets.worlds.geometry import Camera, Frame, Quad, Vector, dot, unit
from semiverse.datasets.worlds.palettes import GREENS
from semiverse.datasets.worlds.street_objects import Car, Sprite, Street
from semiverse.datasets.worlds.street_sprites import tree
from semiverse.datasets.worlds.street_styles import Style

CURB = 0.14
"""Height of the sidewalks over the road in metres."""


class StreetPlan:
    """A straight street ahead of the camera, its middle at x = 0.

    Args:
        style: Weather, time of day and camera.
        rng: Where every choice comes from.
        size: Height and width in pixels.
    """

    def __init__(self, style: Style, rng: np.random.Generator, size: tuple[int, int]) -> None:
        dice = self.dice = Dice(rng, style.vivid)
        self.style = style
        self.road = dice.between(2.8, 5.0)  # half its width
        self.walk = self.road + dice.between(1.6, 3.2)  # where the sidewalk ends
        self.lot = self.walk + max(0.0, dice.between(-2, 2.5))  # where the buildings begin
        position = (dice.between(-0.5, 0.5) * self.road, dice.between(1.3, 2.4), 0.0)
        turn, roll = 0.09 * float(rng.standard_normal()), 0.025 * float(rng.standard_normal())
        camera = Camera.looking(position, turn, dice.between(-0.08, 0.1), roll, dice.between(0.68, 1.0))
        strength, around, height = (dice.between(*span) for span in (style.sun, style.ambient, style.height))
        azimuth = dice.between(0, 2 * math.pi)
        toward = unit((math.cos(azimuth), height, math.sin(azimuth)))
        self.reach: Vector = (-math.cos(azimuth) / height, 0.0, -math.sin(azimuth) / height)
        self.in_shadow = around / (around + strength * toward[1])

        def light(normal: Vector) -> Vector:
            direct, above = strength * max(0.0, dot(normal, toward)), around * (0.85 + 0.15 * normal[1])
            red, green, blue = (above + direct * part for part in style.warm)
            return red, green, blue

        self.canvas = Canvas(size, camera, light, Street.SKY)

    @property
    def sunny(self) -> bool:
        """Whether things throw shadows that can be seen."""
        return self.in_shadow < 0.95

    def place(self, sprite: Sprite, x: float, z: float, label: int) -> None:
        """Put a sprite on the ground, with its shadow."""
        foot = (x, CURB if abs(x) > self.road else 0.0, z)
        if self.sunny and z < 30:
            sprite.shadow(self.canvas, foot, self.reach, self.in_shadow)
        sprite.draw(self.canvas, foot, label)

    def plant(self, x: float, z: float) -> None:
        """Put a tree or a bush on the ground."""
        dice = self.dice
        height = dice.between(3.5, 8) if dice.chance(0.8) else dice.between(0.8, 1.6)
        radius = dice.between(0.25, 0.4) * height + 0.3
        self.place(tree(height, radius, dice.color(GREENS), self.style.grain, dice.rng), x, z, Street.VEGETATION)

    def park(self, frame: Frame) -> None:
        """Put a car on the road, with its shadow and the darkness under it."""
        car = Car.drawn(self.dice, self.style.lit)
        corner = frame.point(-0.95, 0, -car.length / 2 - 0.05)
        under = Quad(corner, frame.direction(1.9, 0, 0), frame.direction(0, 0, car.length + 0.1))
        if self.sunny:
            reach = (corner[0] + 0.7 * self.reach[0], 0.0, corner[2] + 0.7 * self.reach[2])
            self.canvas.shade(under._replace(origin=reach), self.in_shadow)
        self.canvas.shade(under, 0.45)
        car.draw(self.canvas, frame)
