"""Draws parallelograms in perspective, with exact occlusion, into an image and a mask."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Vector = tuple[float, float, float]


def add(a: Vector, b: Vector, factor: float = 1.0) -> Vector:
    """A vector plus a multiple of another one."""
    return a[0] + b[0] * factor, a[1] + b[1] * factor, a[2] + b[2] * factor


def scale(a: Vector, factor: float) -> Vector:
    """A vector times a number."""
    return a[0] * factor, a[1] * factor, a[2] * factor


def dot(a: Vector, b: Vector) -> float:
    """Inner product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def length(a: Vector) -> float:
    """Euclidean length."""
    return math.sqrt(dot(a, a))


def unit(a: Vector) -> Vector:
    """The direction of a vector, with length one."""
    return scale(a, 1.0 / max(length(a), 1e-12))


class Quad(NamedTuple):
    """A parallelogram in space: one corner and its two edges."""

    origin: Vector
    across: Vector
    up: Vector

    def normal(self, seen_from: Vector) -> Vector:
        """Unit normal on the side of a point."""
        normal = unit(cross(self.across, self.up))
        return normal if dot(normal, add(seen_from, self.origin, -1)) > 0 else scale(normal, -1.0)


class Frame(NamedTuple):
    """Where an object stands: a point on the ground, turned about the vertical by an angle in radians."""

    origin: Vector
    angle: float = 0.0

    def direction(self, right: float, up: float, forward: float) -> Vector:
        """World direction of an object's own direction."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return c * right + s * forward, up, c * forward - s * right

    def point(self, right: float, up: float, forward: float) -> Vector:
        """World coordinates of a point given in the object's own ones."""
        return add(self.origin, self.direction(right, up, forward))

    def faces(self, low: Vector, high: Vector, eye: Vector) -> dict[str, Quad]:
        """Faces of a box between two corners (in the object's own coordinates) that are seen from a point."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        right, up, forward = self.direction(x1 - x0, 0, 0), (0.0, y1 - y0, 0.0), self.direction(0, 0, z1 - z0)
        corner, away = self.point(x0, y0, z0), add(eye, self.origin, -1)
        x, y, z = dot(away, self.direction(1, 0, 0)), away[1], dot(away, self.direction(0, 0, 1))
        sides = {
            "back": (z < z0, corner, right, up),
            "front": (z > z1, add(corner, forward), right, up),
            "left": (x < x0, corner, forward, up),
            "right": (x > x1, add(corner, right), forward, up),
            "top": (y > y1, add(corner, up), right, forward),
            "bottom": (y < y0, corner, right, forward),
        }
        return {name: Quad(*edges) for name, (seen, *edges) in sides.items() if seen}


class Wall(NamedTuple):
    """An upright surface: its left lower corner, the unit directions along it and out of it, its length."""

    corner: Vector
    along: Vector
    normal: Vector
    length: float

    def patch(self, left: float, bottom: float, width: float, height: float) -> Quad:
        """A rectangle that lies on it, hardly in front of it."""
        start = add(add(self.corner, self.along, left), self.normal, 0.02)
        return Quad(add(start, (0.0, bottom, 0.0)), scale(self.along, width), (0.0, height, 0.0))


class Camera(NamedTuple):
    """A pinhole camera.

    Args:
        position: Its centre.
        axes: Unit vectors to the right, downwards and forward, in world coordinates.
        focal: Focal length in multiples of the longer image side.
    """

    position: Vector
    axes: tuple[Vector, Vector, Vector]
    focal: float

    @classmethod
    def looking(cls, position: Vector, turn: float, tilt: float, roll: float, focal: float) -> "Camera":
        """A camera turned to the right, tilted downwards and rolled, by angles in radians."""
        forward = (math.sin(turn) * math.cos(tilt), -math.sin(tilt), math.cos(turn) * math.cos(tilt))
        level = (math.cos(turn), 0.0, -math.sin(turn))
        down = cross(level, forward)
        c, s = math.cos(roll), math.sin(roll)
        right = add(scale(level, c), down, s)
        return cls(position, (right, add(scale(down, c), level, -s), forward), focal)

    def direction(self, vector: Vector) -> Vector:
        """A world direction in the camera's own axes."""
        right, down, forward = self.axes
        return dot(right, vector), dot(down, vector), dot(forward, vector)


Array = npt.NDArray[Any]
"""Numbers (float32; labels and photographs uint8) or truth values."""
Material = Callable[[Array, Array], Array]
"""Colours (3, n), 1 is white, at n places of a surface: metres along its two edges."""
Shape = Callable[[Array, Array], Array]
"""Which of n places of a surface are there at all; the others are holes."""


class Canvas:
    """An image, a mask and a depth map that surfaces are drawn into.

    Samples are half a pixel apart: a pixel's label is that of the sample in its centre, and its colour is the
    average of the nine samples in and around it. So edges are smooth in the image and exact in the mask.

    Args:
        size: Height and width in pixels.
        camera: Where from.
        light: Light (red, green, blue) that reaches a surface with a given unit normal.
        background: Label of what no surface covers.
    """

    def __init__(
        self, size: tuple[int, int], camera: Camera, light: Callable[[Vector], Vector], background: int
    ) -> None:
        self.size, self.camera, self.light = size, camera, light
        height, width = size
        self.focal = camera.focal * max(size)
        rows, columns = 2 * height + 1, 2 * width + 1
        self.x = ((np.arange(columns, dtype=np.float32) - width) / (2 * self.focal))[None, :]
        self.y = ((np.arange(rows, dtype=np.float32) - height) / (2 * self.focal))[:, None]
        self.color = np.zeros((3, rows, columns), np.float32)
        self.labels = np.full((rows, columns), background, np.uint8)
        self.nearness = np.zeros((rows, columns), np.float32)  # one over the depth, because that is linear in the image
        self.brightness = np.ones((rows, columns), np.float32)

    def paint(self, quad: Quad, label: int, material: Material, shape: Shape | None = None) -> None:
        """Draw a surface where nothing nearer has been drawn."""
        found = self._cover(quad, np.greater, shape)
        if found is None:
            return
        window, inside, u, v, w = found
        light = self.light(quad.normal(self.camera.position))
        for plane, values, bright in zip(self.color, material(u, v), light, strict=True):
            plane[window][inside] = values * np.float32(bright)
        self.labels[window][inside] = label
        self.nearness[window][inside] = w

    def shade(self, quad: Quad, brightness: float, shape: Shape | None = None) -> None:
        """Darken what has been drawn in the plane of a surface, to a brightness in 0..1; shadows do not add up."""
        found = self._cover(quad, lambda w, nearness: np.abs(w - nearness) < 2e-3 * w, shape)
        if found is not None:
            window, inside, *_ = found
            part = self.brightness[window]
            part[inside] = np.minimum(part[inside], brightness)

    def box(self, frame: Frame, low: Vector, high: Vector, label: int, material: Material) -> None:
        """Draw a box between two corners given in the coordinates of a frame."""
        for face in frame.faces(low, high, self.camera.position).values():
            self.paint(face, label, material)

    def upright(self, foot: Vector, width: float, height: float) -> Quad:
        """An upright rectangle with its middle above a point, turned to the camera."""
        x, _, z = add(foot, self.camera.position, -1)
        distance = math.hypot(x, z)
        across = (width * z / distance, 0.0, -width * x / distance)
        return Quad(add(foot, across, -0.5), across, (0.0, height, 0.0))

    def fill(self, colors: Callable[[Array, Array, Array], Array]) -> None:
        """Colour what is still empty, by world directions (n,) three times (x, y, z)."""
        empty = self.nearness == 0
        y, x = np.nonzero(empty)
        if len(y):
            for plane, values in zip(self.color, colors(*self._world(self.x[0, x], self.y[y, 0])), strict=True):
                plane[empty] = values

    def _world(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        right, down, forward = self.camera.axes
        return tuple(x * right[i] + y * down[i] + forward[i] for i in range(3))  # type: ignore[return-value]

    def finish(self) -> tuple[Array, Array, Array]:
        """Image (3, H, W), mask (H, W) and one over the depth (H, W), at pixel size."""
        color = self.color * self.brightness
        color = color[:, :-2:2] + 2 * color[:, 1::2] + color[:, 2::2]
        color = color[:, :, :-2:2] + 2 * color[:, :, 1::2] + color[:, :, 2::2]
        return color / 16, self.labels[1::2, 1::2].copy(), self.nearness[1::2, 1::2]

    def positions(self) -> tuple[Array, Array, Array]:
        """World coordinates (H, W) of what each pixel shows; only where something was drawn."""
        depth = 1 / np.maximum(self.nearness[1::2, 1::2], 1e-6)
        rays = self._world(self.x[:, 1::2], self.y[1::2])
        return tuple(ray * depth + start for ray, start in zip(rays, self.camera.position, strict=True))  # type: ignore[return-value]

    def _cover(
        self, quad: Quad, seen: Callable[[Array, Array], Array], shape: Shape | None
    ) -> tuple[tuple[slice, slice], Array, Array, Array, Array] | None:
        """Samples of a quad that are ``seen``, by nearness here and so far: window, which in it, metres u and v, w."""
        o, a, b = (self.camera.direction(v) for v in (add(quad.origin, self.camera.position, -1), quad.across, quad.up))
        window = self._window((o, add(o, a), add(o, b), add(add(o, a), b)))
        normal = cross(a, b)
        volume = dot(normal, o)
        if window is None or abs(volume) < 1e-6 * length(normal):
            return None
        # A ray (x, y, 1) meets the plane where o + u a + v b = depth (x, y, 1): a linear system for (u, v, 1) / depth.
        rows = np.array((cross(b, o), cross(o, a), normal), np.float32) / np.float32(volume)
        per_x, per_y, constant = rows.T[:, :, None, None]
        places = per_x * self.x[:, window[1]] + (per_y * self.y[window[0]] + constant)
        between = (places[:2] >= 0) & (places[:2] <= places[2])
        inside = between[0] & between[1] & seen(places[2], self.nearness[window])
        if not inside.any():
            return None
        u, v, w = (values[inside] for values in places)
        u, v = u / w * length(quad.across), v / w * length(quad.up)
        if shape is not None:
            there = shape(u, v)
            inside[inside] = there
            u, v, w = u[there], v[there], w[there]
        return window, inside, u, v, w

    def _window(self, corners: tuple[Vector, ...]) -> tuple[slice, slice] | None:
        """Rows and columns around projected corners; the whole image if one lies behind the camera."""
        rows, columns = self.labels.shape
        if max(corner[2] for corner in corners) < 0.05:
            return None
        if min(corner[2] for corner in corners) < 0.05:
            return slice(0, rows), slice(0, columns)
        height, width = self.size
        xs = [2 * self.focal * x / z + width for x, _, z in corners]
        ys = [2 * self.focal * y / z + height for _, y, z in corners]
        left, right = max(0, int(min(xs))), min(columns, int(max(xs)) + 2)
        top, bottom = max(0, int(min(ys))), min(rows, int(max(ys)) + 2)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None
