"""COCO annotation files: what they say about each image, and the pixels of their regions."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from semiverse.files import DataProblem, read_json, reading, value_of
from semiverse.formats.regions import Patch, checked_points, checked_size, whole_number

Empty = Literal["refuse", "skip"]
WANTED = "COCO's 'images', 'annotations' and 'categories'"


@dataclass(frozen=True)
class Region:
    """An annotation: its category's name, polygons or run lengths, whether it covers several objects, for messages."""

    category: str
    coded: object
    crowd: bool
    where: str


@dataclass(frozen=True)
class AnnotatedImage:
    """An image of the file: (height, width), and its annotations in the order of the file."""

    size: tuple[int, int]
    regions: list[Region] = field(default_factory=list)


def read_categories(path: Path) -> dict[int, str]:
    """Names of the categories of a file, by category id.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file.
    """
    with reading(path, WANTED, "export the file again"):
        return _categories(read_json(path, WANTED), path)


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for entry in value_of(content, "categories", list, str(path)):
        where = f"{path}: a category"
        number, name = _number(entry, "id", where), value_of(entry, "name", str, where)
        if names.setdefault(number, name) != name:
            found = f"{path}: category id {number} is called {names[number]!r} and {name!r}"
            raise DataProblem(found, "one name", "correct the file, or export it again")
    return names


def _number(entry: object, name: str, where: str) -> int:
    """An id; some programs write 1.0 or "1"."""
    value = value_of(entry, name, (int, float, str), where)
    number = whole_number(value)
    if number is None:
        raise DataProblem(f"{where} has {name} {value!r}", "a whole number", "correct the file, or export it again")
    return number


def read_annotations(path: Path) -> dict[str, AnnotatedImage]:
    """Images of a file with their annotations, by file name, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, or an annotation is about no image or no category.
    """
    content = read_json(path, WANTED)
    with reading(path, WANTED, "export the file again"):
        return _annotated(content, path)


def _annotated(content: Mapping[str, Any], path: Path) -> dict[str, AnnotatedImage]:
    """Images with their annotations, by file name."""
    names = _categories(content, path)
    titles, images = _images(content, path)
    for entry in value_of(content, "annotations", list, str(path)):
        where = f"{path}: annotation {entry.get('id', 'without id') if isinstance(entry, dict) else entry}"
        image, category = _image_id(entry, "image_id", where), _number(entry, "category_id", where)
        if image not in titles:
            found = f"{where} is about image {image!r}, which 'images' does not list"
            remedy = "remove the annotation, or export the file again"
            raise DataProblem(found, f"an id of its {len(titles)} images", remedy)
        if category not in names:
            found = f"{where} has category id {category}, which has no name in 'categories'"
            expected = f"one of {', '.join(map(str, sorted(names)))}"
            raise DataProblem(found, expected, "name it there, or export the file again")
        region = Region(names[category], entry.get("segmentation"), bool(entry.get("iscrowd")), where)
        images[titles[image]].regions.append(region)
    return images


def _images(content: Mapping[str, Any], path: Path) -> tuple[dict[int | str, str], dict[str, AnnotatedImage]]:
    """File names by image id, and images by file name."""
    titles: dict[int | str, str] = {}
    images: dict[str, AnnotatedImage] = {}
    for entry in value_of(content, "images", list, str(path)):
        where = f"{path}: image {entry.get('id', 'without id') if isinstance(entry, dict) else entry}"
        name = _normal(value_of(entry, "file_name", str, where))
        if name.startswith(("/", "../")) or name in ("", ".."):
            expected = "a path below the folder of the images"
            raise DataProblem(f"{where} is called {name}", expected, "remove the first folders")
        titles[_image_id(entry, "id", where)] = name
        size = value_of(entry, "height", (int, float, str), where), value_of(entry, "width", (int, float, str), where)
        images[name] = AnnotatedImage(checked_size(*size, where))
        if len(titles) != len(images):
            found = f"{where} ({name}) has an id or a file name that another image has"
            raise DataProblem(found, "each once", "correct one")
    if not images:
        raise DataProblem(f"{path}: 'images' is empty", WANTED, "export the file again")
    return titles, images


def _image_id(entry: object, name: str, where: str) -> int | str:
    """An image's id: a number, however it is written, or text."""
    value = value_of(entry, name, (int, float, str), where)
    number = whole_number(value)
    return value if number is None and isinstance(value, str) else _number(entry, name, where)


def _normal(name: str) -> str:
    """A path in one spelling: as scripts join folders, there may be ``./``, ``//`` or Windows' backslashes."""
    spelled = posixpath.normpath(name.strip().replace("\\", "/")) if name.strip() else ""
    return "" if spelled == "." else spelled


def pixels_of(region: Region, size: tuple[int, int], empty: Empty = "refuse") -> Patch:
    """The pixels of a region, in a box around them; COCO's own package decides which pixels polygons cover.

    Args:
        region: The annotation.
        size: (height, width) of its image.
        empty: What becomes of annotations without pixels, and of parts of them of one or two points.

    Raises:
        ValueError: If it holds neither polygons nor run lengths of the image's size.
        ImportError: If it holds polygons and pycocotools is not installed.
    """
    if isinstance(region.coded, dict):
        return _from_runs(_checked_runs(region.coded, size, region.where), size)
    if not isinstance(region.coded, list) or not region.coded:
        if empty == "skip" and region.coded in (None, []):
            return _from_runs([size[0] * size[1]], size)
        expected = "polygons or run lengths, as a box says nothing about pixels"
        remedy = "export the masks too, remove the annotation, or say empty: skip"
        raise DataProblem(f"{region.where} has no 'segmentation'", expected, remedy)
    polygons = list[list[float]]()
    for polygon in region.coded:
        numbers = polygon if isinstance(polygon, list) else []
        numeric = all(type(number) in (int, float) for number in numbers)
        if empty == "skip" and isinstance(polygon, list) and len(numbers) in (0, 2, 4) and numeric:
            continue
        if len(numbers) < 6 or len(numbers) % 2 or not numeric:
            found = f"{len(numbers)} values" if numbers else repr(polygon)
            expected = "a list of polygons, each a list of x and y of at least 3 points"
            remedy = "remove or redraw it, or say empty: skip to leave parts without area out"
            raise DataProblem(f"{region.where} has a polygon of {found}", expected, remedy)
        points = checked_points(zip(numbers[::2], numbers[1::2], strict=True), region.where)
        polygons.append([part for point in points for part in point])
    if not polygons:
        return _from_runs([size[0] * size[1]], size)
    try:
        from pycocotools import mask as coder
    except ImportError as error:
        package = 'pycocotools, which is missing: pip install "semiverse[coco]"'
        raise ImportError(f"polygons of COCO files need the package {package}") from error
    counts = coder.merge(coder.frPyObjects(polygons, *size))["counts"]
    return _from_runs(uncompressed(counts.decode("ascii")), size)


def without_area(region: Region) -> int:
    """How many parts of a region cover nothing: those of one or two points; one if it has no part at all."""
    if region.coded in (None, []):
        return 1
    parts = region.coded if isinstance(region.coded, list) else []
    return sum(isinstance(part, list) and len(part) in (0, 2, 4) for part in parts)


def _checked_runs(coded: Mapping[str, Any], size: tuple[int, int], where: str) -> list[int]:
    """Run lengths of all pixels of an image: outside, inside, outside ... down the columns, one after the other.

    pycocotools would fill pixels that the run lengths do not reach with whatever the memory holds.
    """
    counts = value_of(coded, "counts", (list, str), f"{where}: its segmentation")
    claimed = value_of(coded, "size", list, f"{where}: its segmentation")
    runs = [whole_number(run) for run in counts] if isinstance(counts, list) else [*uncompressed(counts)]
    height, width = size
    known = [run for run in runs if run is not None]
    if claimed != [height, width] or len(known) < len(runs) or sum(known) != height * width or min(known) < 0:
        found = f"{where} has run lengths for {sum(known)} pixels, of size {claimed}"
        expected = f"{height * width} of [height, width] {[height, width]}, as its image has"
        raise DataProblem(found, expected, "export the file again, the image may have been resized")
    return known


def _from_runs(runs: Sequence[int], size: tuple[int, int]) -> Patch:
    """Pixels of run lengths, those columns that hold any."""
    height = size[0]
    ends = np.cumsum(np.array(runs, dtype=np.int64))
    inside = np.array(runs[1::2], dtype=np.int64) > 0
    starts, stops = ends[: len(runs) - 1 : 2][inside], ends[1::2][inside]
    if not len(starts):
        return Patch(0, 0, np.zeros((0, 0), dtype=bool))
    first, last = int(starts[0]) // height, -(-int(stops[-1]) // height)
    edges = np.stack([starts, stops], axis=1).ravel() - first * height
    pieces = np.diff(edges, prepend=0, append=(last - first) * height)
    pixels = np.repeat(np.arange(len(pieces)) % 2 == 1, pieces).reshape(last - first, height).T
    return Patch(0, first, pixels)


def uncompressed(counts: str) -> list[int]:
    """Run lengths of COCO's text form: base-32 digits, each run from the third on as difference to that two before.

    ``rleFrString`` in COCO's maskApi.c.
    """
    runs: list[int] = []
    number = shift = 0
    for byte in counts.encode():
        digit = byte - 48
        number |= (digit & 31) << shift
        shift += 5
        if not digit & 32:  # the last digit of a run; its highest bit is the sign
            number -= (1 << shift) if digit & 16 else 0
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs or [0]
