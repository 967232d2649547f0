"""Label Studio's JSON: tasks with what was drawn in their images, and its own coding of brushed pixels."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from semiverse.configuration.records import checked
from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.files import DataProblem, MissingData, reading, value_of
from semiverse.formats.drawn import DrawnFile, DrawnImage, Outline, ellipse, rectangle
from semiverse.formats.regions import checked_size

WANTED = "Label Studio's list of tasks, each with 'data' and 'annotations' (its export JSON, not JSON-MIN)"
KINDS = ("polygonlabels", "rectanglelabels", "ellipselabels", "brushlabels")
"""Types of results that cover pixels."""
RUN_BITS = (3, 4, 8, 16)
"""Widths of the lengths of runs that are written; Label Studio's own."""


def read_tasks(path: Path) -> DrawnFile:
    """Read an export; of several annotations of an image the last counts that was not cancelled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file.
    """
    with reading(path, WANTED, "export it again"):
        return _read(path)


def _read(path: Path) -> DrawnFile:
    if not path.is_file():
        raise MissingData(f"{path}: no such file", WANTED, "correct the path")
    with reading(path, WANTED, "export it again", "not readable as JSON"):
        tasks = json.loads(path.read_bytes())
    if not isinstance(tasks, list) or not tasks:
        raise DataProblem(f"{path}: found a {type(tasks).__name__}, or no task", WANTED, "export it as JSON")
    images: dict[str, DrawnImage] = {}
    for number, task in enumerate(tasks):
        where = f"{path}: task {number}"
        given = [
            checked(one, dict[str, Any], f"{where}: an annotation")
            for one in value_of(task, "annotations", list, where)
        ]
        given = [one for one in given if not one.get("was_cancelled")]
        if given:
            results = value_of(given[-1], "result", list, where)
            images[image_name(value_of(task, "data", dict, where), where)] = _drawn(results, where)
    labels = [outline.label for image in images.values() for outline in image.outlines]
    return DrawnFile(sorted(set(labels)), images)


def image_name(data: Mapping[str, Any], where: str) -> str:
    """The path that a task says its image has, without what Label Studio put before it.

    Raises:
        ValueError: If it names no image.
    """
    for value in data.values():
        if isinstance(value, str):
            parts = urlsplit(value)
            name = unquote(parse_qs(parts.query).get("d", [parts.path])[0])
            if name.lower().endswith(IMAGE_EXTENSIONS):
                name = re.sub(r"^/?data/upload/(\d+/)?", "", name)
                return re.sub(r"(^|/)[0-9a-f]{8}-", r"\1", name).lstrip("/")
    raise DataProblem(f"{where} names no image in 'data'", "the path of one", "export it again")


def _drawn(results: Sequence[Mapping[str, Any]], where: str) -> DrawnImage:
    outlines, size = [], None
    for result in results:
        kind = checked(result, dict[str, Any], f"{where}: a result").get("type")
        if kind in KINDS:
            size = checked_size(result.get("original_height"), result.get("original_width"), where)
            value = value_of(result, "value", dict, where)
            labels = value_of(value, kind, list, where)
            if labels:
                outlines.append(_outline(str(labels[0]), kind, value, size, where))
    return DrawnImage(size, outlines)


def _outline(label: str, kind: str, value: Mapping[str, Any], size: tuple[int, int], where: str) -> Outline:
    """A result, whose numbers are per cent of the image."""
    down, across = size[0] / 100, size[1] / 100
    if kind == "brushlabels":
        coded = checked(value_of(value, "rle", list, where), list[int], f"{where}: a brushed region")
        alpha = decode_brush(coded, where, 4 * size[0] * size[1])
        return Outline(label, brushed=alpha.reshape(*size, 4)[..., 3] > 0)
    if kind == "polygonlabels":
        points = checked(value_of(value, "points", list, where), list[tuple[float, float]], f"{where}: a polygon")
        return Outline(label, [(float(x) * across, float(y) * down) for x, y in points])
    number = (int, float)
    x, y = value_of(value, "x", number, where) * across, value_of(value, "y", number, where) * down
    turn = float(value.get("rotation") or 0)
    if kind == "ellipselabels":
        radii = value_of(value, "radiusX", number, where) * across, value_of(value, "radiusY", number, where) * down
        return Outline(label, ellipse(x, y, *radii, turn))
    wide, high = value_of(value, "width", number, where) * across, value_of(value, "height", number, where) * down
    return Outline(label, rectangle(x, y, x + wide, y + high, turn))


def decode_brush(coded: Sequence[int], where: str, count: int | None = None) -> np.ndarray:
    """Values of brushed pixels, red, green, blue and alpha of each, uint8.

    After 32 bits with their number, 5 with the width of a value and four times 4 with widths of lengths (each less one)
    come runs: a bit that says whether one value is repeated, two that choose a width, the length less one, and the
    value or the values.

    Args:
        coded: Bytes.
        where: What they are from, for the message.
        count: How many values there have to be; None: as many as the code says.

    Raises:
        ValueError: If the code ends too early, or is of another number of values.
    """
    bits = "".join(f"{int(byte) & 255:08b}" for byte in coded)
    place = 0

    def take(width: int) -> int:
        nonlocal place
        place += width
        if place > len(bits):
            raise DataProblem(f"{where} has a brushed region that ends too early", "all of it", "export it again")
        return int(bits[place - width : place], 2)

    total, width = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    if count not in (None, total):
        found = f"{where} has a brushed region of {total} values"
        raise DataProblem(found, f"{count}, four a pixel", "export it again")
    values: list[np.ndarray] = []
    done = 0
    while done < total:
        repeated, length = take(1), take(widths[take(2)]) + 1
        read = np.array([take(width) for _ in range(1 if repeated else length)]).astype(np.uint8)
        values.append(np.repeat(read, length) if repeated else read)
        done += length
    return np.concatenate(values)[:total] if values else np.zeros(0, dtype=np.uint8)


def encode_brush(pixels: np.ndarray) -> list[int]:
    """Pixels, (H, W) bool, as Label Studio codes what was brushed."""
    flat = pixels.ravel()
    ends = np.flatnonzero(np.append(np.diff(flat), True)) + 1
    starts = np.append(0, ends[:-1])
    bits = [f"{4 * flat.size:032b}{7:05b}", *(f"{width - 1:04b}" for width in RUN_BITS)]
    longest = 2 ** RUN_BITS[-1]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        value, left = 255 * int(flat[start]), 4 * (end - start)
        while left:
            length = min(left, longest)
            choice = next(i for i, width in enumerate(RUN_BITS) if length <= 2**width)
            bits.append(f"1{choice:02b}{length - 1:0{RUN_BITS[choice]}b}{value:08b}")
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]
