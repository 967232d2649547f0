"""Points, directions and the camera of a rendered world: x to the right, y up, z forward, in metres."""

import math
from typing import NamedTuple

Vector = tuple[float, float, float]


def add(a: Vector, b: Vector) -> Vector:
    """Sum of two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def subtract(a: Vector, b: Vector) -> Vector:
    """Difference of two vectors."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


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
        return normal if dot(normal, subtract(seen_from, self.origin)) > 0 else scale(normal, -1.0)


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
        corner, away = self.point(x0, y0, z0), subtract(eye, self.origin)
        x, y, z = dot(away, self.direction(1, 0, 0)), away[1], dot(away, self.direction(0, 0, 1))
        faces = {}
        if z < z0:
            faces["back"] = Quad(corner, right, up)
        elif z > z1:
            faces["front"] = Quad(add(corner, forward), right, up)
        if x < x0:
            faces["left"] = Quad(corner, forward, up)
        elif x > x1:
            faces["right"] = Quad(add(corner, right), forward, up)
        if y > y1:
            faces["top"] = Quad(add(corner, up), right, forward)
        elif y < y0:
            faces["bottom"] = Quad(corner, right, forward)
        return faces


class Wall(NamedTuple):
    """An upright surface: its left lower corner, the unit directions along it and out of it, its length."""

    corner: Vector
    along: Vector
    normal: Vector
    length: float

    def patch(self, left: float, bottom: float, width: float, height: float) -> Quad:
        """A rectangle that lies on it, hardly in front of it."""
        start = add(add(self.corner, scale(self.along, left)), scale(self.normal, 0.02))
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
        right = add(scale(level, c), scale(down, s))
        return cls(position, (right, add(scale(down, c), scale(level, -s)), forward), focal)

    def direction(self, vector: Vector) -> Vector:
        """A world direction in the camera's own axes."""
        right, down, forward = self.axes
        return dot(right, vector), dot(down, vector), dot(forward, vector)

    def point(self, point: Vector) -> Vector:
        """A world point in the camera's own axes."""
        return self.direction(subtract(point, self.position))

    def facing(self, point: Vector, width: float) -> Vector:
        """A horizontal edge of this width that is seen from the front at a point."""
        x, _, z = subtract(point, self.position)
        distance = math.hypot(x, z)
        return width * z / distance, 0.0, -width * x / distance
