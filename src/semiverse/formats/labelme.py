"""Labelme's JSON files: shapes, and the pixels that they cover."""

import base64
import binascii
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from semiverse.files import DataProblem, read_json, value_of

LINE_WIDTH = 10
POINT_RADIUS = 5
"""In pixels, as in Labelme's ``shape_to_mask``."""

Point = tuple[float, float]

LEAST_POINTS = {"polygon": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 2, "point": 1, "mask": 1}
"""Points that a shape needs, by its type."""


@dataclass(frozen=True)
class Shape:
    """A shape that somebody drew.

    Args:
        label: Its label.
        kind: Its type, one of ``LEAST_POINTS``.
        points: (x, y) in pixels.
        brushed: The pixels of a ``mask``, (h, w) bool, the upper left of which is its first point.
    """

    label: str
    kind: str
    points: list[Point]
    brushed: np.ndarray | None = None


def read_shapes(path: Path) -> tuple[tuple[int, int], list[Shape]]:
    """(height, width) of the image, and its shapes in the order in which they were drawn.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file.
    """
    content = read_json(path, "Labelme's 'shapes', 'imageHeight' and 'imageWidth'")
    size = value_of(content, "imageHeight", int, str(path)), value_of(content, "imageWidth", int, str(path))
    shapes = value_of(content, "shapes", list, str(path))
    return size, [_shape(entry, f"{path}: shape {number}") for number, entry in enumerate(shapes)]


def _shape(entry: object, where: str) -> Shape:
    label = value_of(entry, "label", str, where)
    where = f"{where} ({label})"
    kind = "polygon"  # old files say no type, or null, for polygons
    if isinstance(entry, dict) and entry.get("shape_type") is not None:
        kind = value_of(entry, "shape_type", str, where)
    if kind not in LEAST_POINTS:
        raise DataProblem(
            f"{where} has the type {kind!r}", f"one of {', '.join(LEAST_POINTS)}", "draw it again as one of these"
        )
    points = [_point(point, where) for point in value_of(entry, "points", list, where)]
    if len(points) < LEAST_POINTS[kind]:
        raise DataProblem(
            f"{where} is a {kind} of {len(points)} points", f"at least {LEAST_POINTS[kind]}", "redraw or remove it"
        )
    return Shape(label, kind, points, _brushed(entry, where) if kind == "mask" else None)


def _point(point: object, where: str) -> Point:
    if isinstance(point, list) and len(point) == 2 and all(isinstance(part, int | float) for part in point):
        return float(point[0]), float(point[1])
    raise DataProblem(f"{where} has the point {point}", "[x, y] in pixels", "correct the file, or redraw the shape")


def _brushed(entry: object, where: str) -> np.ndarray:
    """The pixels of a ``mask`` shape: a PNG, as text in base 64."""
    text = value_of(entry, "mask", str, where)
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError) as error:
        raise DataProblem(
            f"{where} has a mask that cannot be decoded ({error})", "a PNG in base 64", "redraw the shape"
        ) from error


def pixels_of(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    """The pixels that a shape covers, (H, W) bool, drawn as Labelme does.

    Args:
        shape: The shape; parts outside the image are cut off.
        size: (height, width) of the image.
    """
    if shape.brushed is not None:
        return _placed(shape.brushed, shape.points[0], size)
    image = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(image)
    match shape.kind:
        case "polygon":
            pen.polygon(shape.points, fill=1)
        case "rectangle":  # two opposite corners, or all four
            columns, rows = zip(*shape.points, strict=True)
            pen.rectangle((min(columns), min(rows), max(columns), max(rows)), fill=1)
        case "circle":
            pen.ellipse(_around(shape.points[0], math.dist(shape.points[0], shape.points[1])), fill=1)
        case "point":
            pen.ellipse(_around(shape.points[0], POINT_RADIUS), fill=1)
        case _:
            pen.line(shape.points, fill=1, width=LINE_WIDTH)
    return np.array(image)


def _around(centre: Point, radius: float) -> tuple[float, float, float, float]:
    return centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius


def _placed(brushed: np.ndarray, corner: Point, size: tuple[int, int]) -> np.ndarray:
    """A brushed mask at its place in the image."""
    image = Image.new("1", (size[1], size[0]))
    image.paste(Image.fromarray(brushed), (int(corner[0]), int(corner[1])))  # cuts off what lies outside
    return np.array(image)
