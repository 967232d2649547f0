"""YOLO's text files of polygons: a line a region, the number of its class and points in shares of the image."""

from collections.abc import Sequence
from pathlib import Path

from semiverse.files import DataProblem, MissingData
from semiverse.formats.drawn import Outline


def read_polygons(path: Path, classes: Sequence[str], size: tuple[int, int]) -> list[Outline]:
    """Regions of a file in its order.

    Args:
        path: The file.
        classes: Names by number.
        size: (height, width) of the image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is no polygon, or its number is that of no class.
    """
    if not path.is_file():
        raise MissingData(f"{path}: no such file", "YOLO's lines of polygons", "correct the path")
    outlines = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        words, where = line.split(), f"{path}, line {number}"
        if not words:
            continue
        try:
            kind, numbers = int(words[0]), [float(word) for word in words[1:]]
        except ValueError as error:
            raise DataProblem(f"{where}: {line[:60]!r}", "a class number and numbers", "correct it") from error
        if len(numbers) == 4:
            expected = "polygons, as boxes say nothing about pixels"
            raise DataProblem(f"{where}: a box", expected, "export the dataset for segmentation")
        if len(numbers) < 6 or len(numbers) % 2:
            raise DataProblem(f"{where}: {len(numbers)} numbers", "x and y of at least 3 points", "correct it")
        if not 0 <= kind < len(classes):
            found, expected = f"{where}: class {kind}", f"0 to {len(classes) - 1}, the number of a class"
            raise DataProblem(found, expected, "name its class, or correct the line")
        points = zip(numbers[::2], numbers[1::2], strict=True)
        outlines.append(Outline(classes[kind], [(x * size[1], y * size[0]) for x, y in points]))
    return outlines
