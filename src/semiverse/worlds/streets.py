"""Streets seen from a driving car."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from semiverse.labels import IGNORE
from semiverse.worlds import materials
from semiverse.worlds.canvas import Array, Camera, Canvas, Frame, Quad, Vector, dot, unit
from semiverse.worlds.materials import Color, Dice, Photo, cloudy, rough
from semiverse.worlds.street_objects import Car, Sprite, Street, facade, marked, paving, person, pole, tree


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
        lit: Share of windows, lamps and car lights that are on.
        rain: How visible falling rain is.
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
    lit: float
    rain: float = 0.0
    grain: float = 0.1
    vivid: float = 1.0
    photo: Photo = Photo()


STYLES = {
    "day": Style(sun=(0.25, 0.75), height=(0.6, 2.5), ambient=(0.6, 0.85), warm=(1.0, 0.95, 0.85), lit=0.02,
        zenith=(0.35, 0.55, 0.9), horizon=(0.8, 0.87, 0.95), clouds=(0.0, 0.9), fog=(0.0, 0.008), wet=(0.0, 0.0)),
    "dusk": Style(sun=(0.0, 0.3), height=(0.25, 0.6), ambient=(0.33, 0.5), warm=(1.0, 0.55, 0.3), lit=0.4,
        zenith=(0.3, 0.32, 0.62), horizon=(1.5, 0.95, 0.7), clouds=(0.1, 0.8), fog=(0.0, 0.01), wet=(0.0, 0.15),
        vivid=0.9, photo=Photo(exposure=(0.85, 1.25), cast=0.12, noise=0.06)),
    "rain": Style(sun=(0.0, 0.0), height=(1.0, 2.0), ambient=(0.65, 0.85), warm=(1.0, 1.0, 1.0), lit=0.15, rain=0.16,
        zenith=(0.6, 0.64, 0.7), horizon=(0.8, 0.83, 0.87), clouds=(0.6, 1.0), fog=(0.01, 0.035), wet=(0.25, 0.55),
        vivid=0.6, photo=Photo(exposure=(0.85, 1.1), saturation=(0.6, 0.9), blur=0.25, noise=0.045)),
    "game": Style(sun=(0.55, 0.8), height=(0.8, 2.0), ambient=(0.5, 0.6), warm=(1.0, 0.95, 0.8), lit=0.0, grain=0.04,
        zenith=(0.2, 0.5, 1.0), horizon=(0.65, 0.85, 1.0), clouds=(0.0, 0.4), fog=(0.0, 0.0), wet=(0.0, 0.0),
        vivid=1.5, photo=Photo((0.95, 1.1), cast=0.02, saturation=(1.1, 1.4), uneven=0.03, blur=0.0, noise=0.004)),
}  # fmt: skip


def weather(color: Array, mask: Array, nearness: Array, style: Style, dice: Dice) -> Array:
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


def sky(style: Style, dice: Dice) -> Callable[[Array, Array, Array], Array]:
    """A gradient with clouds, by direction."""
    start, cover = dice.start(), dice.between(*style.clouds)
    gray = sum(style.horizon) / 3
    zenith, horizon = (np.array(color, np.float32)[:, None] for color in (style.zenith, style.horizon))

    def colors(x: Array, y: Array, z: Array) -> Array:
        rise = np.clip(y / np.hypot(x, z), 0, 1)
        blue = horizon + np.sqrt(rise) * (zenith - horizon)
        thick = np.clip(0.5 * cloudy(x / z + 4, 3 * rise, 0.02, start) + 1.6 * cover - 0.8, 0, 1)
        return np.asarray(blue + 0.7 * thick * (np.float32(gray) - blue))

    return colors


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
        self.canvas.paint(self.canvas.upright(foot, sprite.width, sprite.height), label, sprite.material, sprite.shape)

    def plant(self, x: float, z: float) -> None:
        """Put a tree or a bush on the ground."""
        dice = self.dice
        height = dice.between(3.5, 8) if dice.chance(0.8) else dice.between(0.8, 1.6)
        radius = dice.between(0.25, 0.4) * height + 0.3
        self.place(
            tree(height, radius, dice.color(materials.GREENS), self.style.grain, dice.rng), x, z, Street.VEGETATION
        )

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


def render_street(style: str, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, Array]:
    """Image (3, H, W) and mask (H, W) of one street.

    Args:
        style: One of ``STYLES``.
        rng: Where every choice comes from.
        size: Height and width in pixels.
    """
    plan = StreetPlan(STYLES[style], rng, size)
    _ground(plan)  # first, because shadows fall on it
    _traffic(plan)
    _people(plan)
    for side in (-1, 1):
        _curbside(plan, side)
        _buildings(plan, side)
    _horizon(plan)
    plan.canvas.fill(sky(plan.style, plan.dice))
    color, mask, nearness = plan.canvas.finish()
    return plan.style.photo.take(weather(color, mask, nearness, plan.style, plan.dice), rng), mask


def _ground(plan: StreetPlan) -> None:
    """Road, curbs, sidewalks, and lawns or squares beyond them."""
    dice, canvas, grain, far = plan.dice, plan.canvas, plan.style.grain, (0.0, 0.0, 120.0)

    def strip(start: float, end: float, height: float) -> Quad:
        return Quad((min(start, end), height, 0.6), (abs(end - start), 0.0, 0.0), far)

    road = marked(paving(dice, grain, 0.15), 2 * plan.road, dice)
    canvas.paint(strip(-plan.road, plan.road, 0), Street.ROAD, road)
    walk, edge = paving(dice, grain, 0.7), rough((0.6, 0.6, 0.58), dice.start(), grain)
    lawn = materials.leaves(dice.color(materials.GREENS), dice.start(), 0.6 * grain)
    for side in (-1, 1):
        canvas.paint(Quad((side * plan.road, 0, 0.6), far, (0.0, CURB, 0.0)), Street.SIDEWALK, edge)
        canvas.paint(strip(side * plan.road, side * plan.walk, CURB), Street.SIDEWALK, walk)
        label, material = (Street.VEGETATION, lawn) if dice.chance(0.5) else (Street.SIDEWALK, walk)
        canvas.paint(strip(side * plan.walk, side * 40, CURB), label, material)


def _traffic(plan: StreetPlan) -> None:
    """Parked cars on both sides, cars in both lanes, sometimes one that crosses."""
    dice = plan.dice
    for side in (-1, 1):
        ahead, z = 0.0 if side > 0 else math.pi, dice.between(4, 12)
        while plan.road > 3.6 and z < 32:
            if dice.chance(0.55):
                plan.park(Frame((side * (plan.road - 1.1), 0, z), ahead))
            z += dice.between(5.2, 9)
        if dice.chance(0.6):
            lane = side * (plan.road - 2.4 if plan.road > 3.6 else plan.road / 2)
            plan.park(Frame((lane, 0, dice.between(8, 32)), ahead + dice.between(-0.06, 0.06)))
    if dice.chance(0.15):
        plan.park(Frame((dice.between(-2, 2), 0, dice.between(9, 22)), math.pi / 2 * dice.between(0.8, 1.2)))


def _people(plan: StreetPlan) -> None:
    """Some on the sidewalks, some on the road."""
    dice = plan.dice
    for _ in range(dice.count(1, 6)):
        z, side = dice.between(3.5, 20), -1 if dice.chance(0.5) else 1
        x = side * dice.between(plan.road + 0.3, plan.walk) if dice.chance(0.75) else dice.between(-1, 1) * plan.road
        clothes = dice.color(materials.SKINS, 0.02), dice.color(materials.CLOTHES), dice.color(materials.CLOTHES)
        sprite = person(dice.between(1.5, 1.95), clothes, dice.between(0, 0.35), dice.start())
        plan.place(sprite, x, z, Street.PERSON)


def _curbside(plan: StreetPlan, side: int) -> None:
    """Poles and trees in rows; sometimes a bin or a box, which is of no class."""
    dice, lit = plan.dice, plan.style.lit
    metal, z = dice.color(materials.METALS, 0.02), dice.between(5, 14)
    while z < 40:
        kind = dice.count(0, 3)
        height = dice.between(4.5, 6) if kind == 0 else dice.between(2.4, 3.4)
        sign: Color = (3.0, 2.6, 1.8) if kind == 0 and dice.chance(2 * lit) else dice.color(materials.SIGNS)
        plan.place(pole(kind, height, metal, sign), side * (plan.road + 0.35), z, Street.POLE)
        z += dice.between(6, 18)
    trees, z = dice.chance(0.6), dice.between(6, 18)
    while trees and z < 45:
        plan.plant(side * (plan.road + 0.8 if plan.lot - plan.walk < 1 else plan.walk + 0.5), z)
        z += dice.between(7, 16)
    if dice.chance(0.4):
        place = (side * dice.between(plan.road + 0.5, plan.walk), CURB, dice.between(5, 15))
        wide, tall = dice.between(0.25, 0.5), dice.between(0.5, 1.2)
        material = rough(dice.color(materials.FACADES), dice.start(), plan.style.grain)
        plan.canvas.box(Frame(place, dice.between(0, 1.5)), (-wide, 0, -wide), (wide, tall, wide), IGNORE, material)


def _buildings(plan: StreetPlan, side: int) -> None:
    """A row of houses with gaps, where trees grow."""
    dice, z, dense = plan.dice, plan.dice.between(-2, 12), plan.dice.between(0.6, 1.0)
    while z < 60:
        long, tall, deep = dice.between(8, 18), dice.between(4, 15), 12.0
        if dice.chance(dense):
            front = facade(dice, plan.style.lit, plan.style.grain)
            frame = Frame((side * (plan.lot + deep / 2), 0, z))
            plan.canvas.box(frame, (-deep / 2, 0, 0), (deep / 2, tall, long), Street.BUILDING, front)
            if plan.sunny and plan.reach[0] * side < 0 and z < 30:
                reach = (plan.reach[0] * tall, 0.0, plan.reach[2] * tall)
                for ground in (0.0, CURB):
                    plan.canvas.shade(Quad((side * plan.lot, ground, z), (0.0, 0.0, long), reach), plan.in_shadow)
        else:
            plan.plant(side * (plan.lot + dice.between(1, 4)), z + long / 2)
        z += long + max(0.0, dice.between(-4, 3))


def _horizon(plan: StreetPlan) -> None:
    """Woods or houses where the street ends, or nothing."""
    dice, grain, kind, height = plan.dice, plan.style.grain, plan.dice.between(0, 1), plan.dice.between(3, 12)
    end = Quad((-90, -1, 80), (180.0, 0.0, 0.0), (0.0, height, 0.0))
    if kind < 0.5:
        start = dice.start()

        def treetops(u: Array, v: Array) -> Array:
            return v < height * (0.7 + 0.12 * cloudy(u, 0 * v, 0.8, start))

        plan.canvas.paint(
            end, Street.VEGETATION, materials.leaves(dice.color(materials.GREENS), start, grain, 0.3), treetops
        )
    elif kind < 0.8:
        plan.canvas.paint(end, Street.BUILDING, facade(dice, plan.style.lit, grain))
