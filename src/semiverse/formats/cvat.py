"""CVAT's XML files ("CVAT for images 1.1"): what was drawn in each image."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import numpy as np

from semiverse.files import DataProblem, MissingData, reading
from semiverse.formats.drawn import DrawnFile, DrawnImage, Outline, ellipse, rectangle
from semiverse.formats.regions import checked_size

WANTED = "CVAT's 'annotations' with an 'image' for each image"


def read_cvat(path: Path) -> DrawnFile:
    """Read a file; polygons, boxes, ellipses and masks count, lines, points and tags cover nothing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, or has tracks of a video.
    """
    with reading(path, WANTED, "export it again"):
        return _read(path)


def _read(path: Path) -> DrawnFile:
    if not path.is_file():
        raise MissingData(f"{path}: no such file", WANTED, "correct the path")
    with reading(path, WANTED, "export it again", "not readable as XML"):
        root = fromstring(path.read_bytes())
    if root.tag != "annotations":
        raise DataProblem(f"{path}: its outermost element is {root.tag!r}", WANTED, "is it another kind of file?")
    if root.find("track") is not None:
        found = f"{path}: holds tracks of a video"
        raise DataProblem(found, WANTED, 'export it as "CVAT for images 1.1"')
    images = {}
    for image in root.findall("image"):
        where = f"{path}: image {image.get('name')}"
        height, width = _numbers(image, where, "height", "width")
        size = checked_size(height, width, where)
        shapes = sorted(
            (shape for shape in image if shape.tag in SHAPES), key=lambda shape: int(shape.get("z_order", 0))
        )
        images[str(image.get("name"))] = DrawnImage(size, [SHAPES[shape.tag](shape, where) for shape in shapes])
    if not images:
        raise DataProblem(f"{path}: found no 'image'", WANTED, "export it again")
    named = [text for label in root.findall(".//meta//labels/label") if (text := label.findtext("name"))]
    drawn = [outline.label for image in images.values() for outline in image.outlines]
    return DrawnFile(list(dict.fromkeys(named or drawn)), images)


def _number(element: Element, name: str, where: str) -> float:
    try:
        return float(str(element.get(name)))
    except ValueError as error:
        found = f"{where}: {element.tag} has {element.get(name)!r} as {name!r}"
        raise DataProblem(found, "a number", "correct it, or export the file again") from error


def _numbers(element: Element, where: str, *names: str) -> list[float]:
    return [_number(element, name, where) for name in names]


def _polygon(shape: Element, where: str) -> Outline:
    try:
        pairs = [point.split(",") for point in str(shape.get("points")).split(";")]
        return Outline(str(shape.get("label")), [(float(x), float(y)) for x, y in pairs])
    except ValueError as error:
        found = f"{where}: a polygon has the points {shape.get('points')!r}"
        raise DataProblem(found, "x,y;x,y;...", "correct it, or export the file again") from error


def _box(shape: Element, where: str) -> Outline:
    left, top, right, bottom = _numbers(shape, where, "xtl", "ytl", "xbr", "ybr")
    turn = np.deg2rad(float(shape.get("rotation", 0)))
    middle = np.array([(left + right) / 2, (top + bottom) / 2])  # CVAT turns around it
    corners = np.array(rectangle(left, top, right, bottom)) - middle
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + middle
    return Outline(str(shape.get("label")), [(float(x), float(y)) for x, y in turned])


def _ellipse(shape: Element, where: str) -> Outline:
    x, y, across, down = _numbers(shape, where, "cx", "cy", "rx", "ry")
    return Outline(str(shape.get("label")), ellipse(x, y, across, down, float(shape.get("rotation", 0))))


def _mask(shape: Element, where: str) -> Outline:
    left, top, width, height = (int(value) for value in _numbers(shape, where, "left", "top", "width", "height"))
    checked_size(height, width, f"{where}: a mask")
    try:
        runs = np.array([int(run) for run in str(shape.get("rle")).split(",")])
    except ValueError:
        runs = np.zeros(0, dtype=np.int64)
    if not len(runs) or runs.min() < 0 or runs.sum() != width * height:
        found = f"{where}: a mask has run lengths of {runs.sum()} pixels"
        raise DataProblem(found, f"{width * height}, as it is {width}x{height}", "export the file again")
    brushed = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)  # outside first, along the rows
    return Outline(str(shape.get("label")), brushed=brushed, corner=(left, top))


SHAPES: dict[str, Callable[[Element, str], Outline]] = {
    "polygon": _polygon,
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
}
"""Shapes that cover pixels."""
