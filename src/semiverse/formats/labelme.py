"""Labelme's JSON files: shapes, and the pixels that they cover."""

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from semiverse.data.headers import opened
from semiverse.files import DataProblem, read_json, reading, value_of
from semiverse.formats.regions import REACH, Patch, checked_points, checked_size

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
    points: list[tuple[float, float]]
    brushed: np.ndarray | None = None


def read_shapes(path: Path) -> tuple[tuple[int, int] | None, list[Shape]]:
    """(height, width) of the image, None where the file does not say it, and its shapes in their order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file.
    """
    content = read_json(path, "Labelme's 'shapes'")
    with reading(path, "Labelme's 'shapes'", "correct the file, or export it again"):
        sides = content.get("imageHeight"), content.get("imageWidth")
        size = None if sides == (None, None) else checked_size(*sides, str(path))
        shapes = value_of(content, "shapes", list, str(path))
        return size, [_shape(entry, f"{path}: shape {number}") for number, entry in enumerate(shapes)]


def image_of(path: Path) -> str:
    """The name of the image file that a file of shapes is about, without folders; empty where it does not say."""
    try:
        named = read_json(path, "Labelme's 'imagePath'").get("imagePath")
    except ValueError:
        return ""
    return named.replace("\\", "/").rpartition("/")[2] if isinstance(named, str) else ""


def has_shapes(path: Path) -> bool:
    """Whether a JSON file is one of shapes, or damaged, so that it may have been one."""
    try:
        return "shapes" in read_json(path, "Labelme's 'shapes'")
    except ValueError:
        return True


def _shape(entry: object, where: str) -> Shape:
    label = value_of(entry, "label", str, where)
    where = f"{where} ({label})"
    kind = "polygon"  # old files say no type, or null, for polygons
    if isinstance(entry, dict) and entry.get("shape_type") is not None:
        kind = value_of(entry, "shape_type", str, where)
    if kind == "rotation":  # a turned box, which says its corners
        kind = "polygon"
    if kind not in LEAST_POINTS:
        expected = f"one of {', '.join(LEAST_POINTS)}"
        raise DataProblem(f"{where} has the type {kind!r}", expected, "draw it again as one of these")
    points = value_of(entry, "points", list, where)
    for point in points:
        if not (isinstance(point, list) and len(point) == 2 and all(type(part) in (int, float) for part in point)):
            remedy = "correct the file, or redraw the shape"
            raise DataProblem(f"{where} has the point {point}", "[x, y] in pixels", remedy)
    if len(points) < LEAST_POINTS[kind]:
        found = f"{where} is a {kind} of {len(points)} points"
        raise DataProblem(found, f"at least {LEAST_POINTS[kind]}", "redraw or remove it")
    brushed = None
    if kind == "mask":
        text = value_of(entry, "mask", str, where)
        try:
            with opened(io.BytesIO(base64.b64decode(text, validate=True))) as image:
                brushed = np.asarray(image.convert("L")) > 0
        except Exception as error:  # decoders raise anything
            found = f"{where} has a mask that cannot be decoded ({error})"
            raise DataProblem(found, "a PNG in base 64", "redraw the shape") from error
    far = math.inf if kind == "rectangle" else REACH  # what lies outside of a rectangle can be cut off exactly
    corners = checked_points(((x, y) for x, y in points), where, far)
    return Shape(label, kind, corners, brushed)


PEN = 10
"""Width of lines, and of points, in pixels: Labelme's."""


def pixels_of(shape: Shape, size: tuple[int, int]) -> Patch:
    """The pixels that a shape covers, drawn as Labelme's ``shape_to_mask`` does, in a box around them.

    Args:
        shape: The shape; parts outside the image are cut off.
        size: (height, width) of the image.
    """
    left, top, right, bottom = _box(shape, size)
    image = Image.new("1", (max(0, right - left), max(0, bottom - top)))
    if 0 in image.size:
        return Patch(0, 0, np.zeros((0, 0), dtype=bool))
    pen = ImageDraw.Draw(image)
    # Pillow cuts coordinates to whole numbers, towards 0: moved by whole pixels from a place that is not left of 0,
    # they are cut as before.
    points = [(x - left, y - top) for x, y in shape.points]
    match shape.kind:
        case "polygon":
            pen.polygon(points, fill=1)
        case "rectangle":  # two opposite corners, or all four
            columns, rows = zip(*points, strict=True)
            edges = (min(columns), min(rows), max(columns), max(rows))
            pen.rectangle([min(max(edge, -9), REACH) for edge in edges], fill=1)
        case "circle":
            pen.circle(points[0], math.dist(points[0], points[1]), fill=1)
        case "point":
            pen.circle(points[0], PEN / 2, fill=1)
        case "mask" if shape.brushed is not None:
            column, row = map(int, shape.points[0])
            image.paste(Image.fromarray(shape.brushed), (column - left, row - top))  # cuts off what lies outside
        case _:
            pen.line(points, fill=1, width=PEN)
    return Patch(top, left, np.array(image))


def _box(shape: Shape, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part of the image that holds the shape; right and bottom are not in it."""
    columns, rows = zip(*shape.points, strict=True)
    ends = [min(columns), min(rows), max(columns), max(rows)]
    if shape.kind == "circle":
        radius = math.dist(shape.points[0], shape.points[1])
        ends = [shape.points[0][0] - radius, shape.points[0][1] - radius]
        ends += [shape.points[0][0] + radius, shape.points[0][1] + radius]
    if shape.kind == "mask" and shape.brushed is not None:
        ends[2], ends[3] = ends[0] + shape.brushed.shape[1], ends[1] + shape.brushed.shape[0]
    sides = (size[1], size[0])
    first = [int(max(0, min(side, end - PEN))) for end, side in zip(ends[:2], sides, strict=True)]
    last = [int(max(0, min(side, end + PEN + 2))) for end, side in zip(ends[2:], sides, strict=True)]
    return first[0], first[1], last[0], last[1]
