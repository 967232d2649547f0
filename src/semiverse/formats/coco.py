"""COCO annotation files: what they say about each image, and the pixels of their regions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np

from semiverse.files import DataProblem, read_json, value_of

WANTED = "COCO's 'images', 'annotations' and 'categories'"


@dataclass(frozen=True)
class Region:
    """An annotation: the name of its category, how its pixels are coded, whether it is a crowd, what messages call it.

    Args:
        category: Name of its category.
        coded: Polygons, or run lengths.
        crowd: Whether it covers several objects.
        where: What messages call it.
    """

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
    return _categories(read_json(path, WANTED), path)


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    listed = value_of(content, "categories", list, str(path))
    return {
        value_of(entry, "id", int, f"{path}: a category"): value_of(entry, "name", str, f"{path}: a category")
        for entry in listed
    }


def read_annotations(path: Path) -> dict[str, AnnotatedImage]:
    """Images of a file with their annotations, by file name, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, or an annotation is about no image or no category.
    """
    content = read_json(path, WANTED)
    names = _categories(content, path)
    titles, images = _images(content, path)
    for entry in value_of(content, "annotations", list, str(path)):
        where = f"{path}: annotation {entry.get('id', 'without id') if isinstance(entry, dict) else entry}"
        image, category = value_of(entry, "image_id", (int, str), where), value_of(entry, "category_id", int, where)
        if image not in titles:
            raise DataProblem(
                f"{where} is about image {image!r}, which 'images' does not list",
                f"an id of its {len(titles)} images",
                "remove the annotation, or export the file again",
            )
        if category not in names:
            raise DataProblem(
                f"{where} has category id {category}, which has no name in 'categories'",
                f"one of {', '.join(map(str, sorted(names)))}",
                "name it there, or export the file again",
            )
        region = Region(names[category], entry.get("segmentation"), bool(entry.get("iscrowd")), where)
        images[titles[image]].regions.append(region)
    return images


def _images(content: Mapping[str, Any], path: Path) -> tuple[dict[int | str, str], dict[str, AnnotatedImage]]:
    """File names by image id, and images by file name."""
    titles: dict[int | str, str] = {}
    images: dict[str, AnnotatedImage] = {}
    for entry in value_of(content, "images", list, str(path)):
        where = f"{path}: image {entry.get('id', 'without id') if isinstance(entry, dict) else entry}"
        name = value_of(entry, "file_name", str, where).replace("\\", "/")
        if PurePosixPath(name).is_absolute():
            raise DataProblem(
                f"{where} is called {name}", "a path below the folder of the images", "remove the first folders"
            )
        titles[value_of(entry, "id", (int, str), where)] = name
        images[name] = AnnotatedImage((value_of(entry, "height", int, where), value_of(entry, "width", int, where)))
        if len(titles) != len(images):
            raise DataProblem(
                f"{where} ({name}) has an id or a file name that another image has", "each once", "correct one"
            )
    if not images:
        raise DataProblem(f"{path}: 'images' is empty", WANTED, "export the file again")
    return titles, images


def pixels_of(region: Region, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a region, (H, W) bool; COCO's own package decides which pixels polygons cover.

    Args:
        region: The annotation.
        size: (height, width) of its image.

    Raises:
        ValueError: If it holds neither polygons nor run lengths of the image's size.
        ImportError: If it holds polygons and pycocotools is not installed.
    """
    if isinstance(region.coded, dict):
        return _from_runs(region.coded, size, region.where)
    if not isinstance(region.coded, list) or not region.coded:
        raise DataProblem(
            f"{region.where} has no 'segmentation'",
            "polygons or run lengths, as a box says nothing about pixels",
            "export the masks too, or remove the annotation",
        )
    for polygon in region.coded:
        _check_polygon(polygon, region.where)
    coder = _pycocotools()
    pixels: np.ndarray = coder.decode(coder.merge(coder.frPyObjects(region.coded, *size))).astype(bool)
    return pixels


def _check_polygon(polygon: object, where: str) -> None:
    numbers = polygon if isinstance(polygon, list) else []
    if len(numbers) < 6 or len(numbers) % 2 or not all(isinstance(number, int | float) for number in numbers):
        found = f"{len(numbers)} values" if numbers else repr(polygon)
        raise DataProblem(
            f"{where} has a polygon of {found}",
            "a list of polygons, each a list of x and y of at least 3 points",
            "remove or redraw it",
        )


def _from_runs(coded: Mapping[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    """Pixels of run lengths: of pixels outside, inside, outside ... down the columns, one column after the other.

    pycocotools would fill pixels that the run lengths do not reach with whatever the memory holds.
    """
    counts = value_of(coded, "counts", (list, str), f"{where}: its segmentation")
    claimed = value_of(coded, "size", list, f"{where}: its segmentation")
    runs = [int(run) for run in counts] if isinstance(counts, list) else uncompressed(counts)
    height, width = size
    if claimed != [height, width] or sum(runs) != height * width or min(runs) < 0:
        raise DataProblem(
            f"{where} has run lengths for {sum(runs)} pixels, of size {claimed}",
            f"{height * width} of [height, width] {[height, width]}, as its image has",
            "export the file again, the image may have been resized",
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


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


def _pycocotools() -> ModuleType:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ImportError(
            'polygons of COCO files need the package pycocotools, which is missing: pip install "semiverse[coco]"'
        ) from error
    return mask  # type: ignore[no-any-return]
