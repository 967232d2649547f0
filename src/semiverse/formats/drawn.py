"""Images whose regions somebody drew, whatever the file in which the regions stand."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from semiverse.data.dataset import ALL, SegmentationDataset
from semiverse.data.headers import read_header
from semiverse.data.layout import SPLIT, split_folders
from semiverse.data.listing import list_images
from semiverse.data.pairing import Record, path_ends, unique_ends
from semiverse.files import MissingData, reading
from semiverse.formats.regions import (
    OtherRegions,
    Overlap,
    Polygon,
    RegionPainter,
    check_class_names,
    checked_points,
    checked_size,
    fill_polygon,
)

ELLIPSE_POINTS = 64
"""Corners of the polygon that stands for an ellipse."""


@dataclass(frozen=True)
class Outline:
    """A region.

    Args:
        label: Its name.
        points: (x, y) in pixels, where (0, 0) is the upper left corner of the first pixel, not its middle.
        brushed: Instead of points: its pixels, (h, w) bool.
        corner: (left, top) of the brushed pixels.
    """

    label: str
    points: Polygon = ()
    brushed: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)

    def pixels(self, size: tuple[int, int], where: str = "a drawing") -> np.ndarray:
        """The pixels that it covers, (H, W) bool: brushed ones, or those whose middle lies inside.

        Args:
            size: (height, width) of the image; what lies outside is cut off.
            where: What it is from, for the message.

        Raises:
            ValueError: If a point is not finite, or far from any image.
        """
        if self.brushed is None:
            return fill_polygon(checked_points(self.points, f"{where}: a region called {self.label!r}"), size)
        covered = np.zeros(size, dtype=bool)
        (left, top), (height, width) = self.corner, self.brushed.shape
        rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
        inside = self.brushed[max(0, -top) :, max(0, -left) :]
        target = covered[rows, columns]
        target |= inside[: target.shape[0], : target.shape[1]]
        return covered


def ellipse(x: float, y: float, across: float, down: float, degrees: float = 0.0) -> list[tuple[float, float]]:
    """The polygon of an ellipse around a middle with two half axes, turned clockwise."""
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    turn = np.deg2rad(degrees)
    right, low = across * np.cos(angles), down * np.sin(angles)
    columns, rows = x + right * np.cos(turn) - low * np.sin(turn), y + right * np.sin(turn) + low * np.cos(turn)
    return list(zip(columns.tolist(), rows.tolist(), strict=True))


def rectangle(left: float, top: float, right: float, bottom: float, degrees: float = 0.0) -> list[tuple[float, float]]:
    """The polygon of a rectangle that is turned clockwise around its upper left corner."""
    turn = np.deg2rad(degrees)
    corners = [(0.0, 0.0), (right - left, 0.0), (right - left, bottom - top), (0.0, bottom - top)]
    return [
        (float(left + x * np.cos(turn) - y * np.sin(turn)), float(top + x * np.sin(turn) + y * np.cos(turn)))
        for x, y in corners
    ]


@dataclass(frozen=True)
class DrawnImage:
    """What was drawn in an image, in the order in which it is painted; (height, width), or None if that is not said."""

    size: tuple[int, int] | None
    outlines: list[Outline] = field(default_factory=list)


@dataclass(frozen=True)
class DrawnFile:
    """A file about many images: names that regions have, and what was drawn in each image, by the image's name."""

    labels: Sequence[str]
    images: dict[str, DrawnImage]


class DrawnDataset(SegmentationDataset):
    """Images with regions that somebody drew; an image that nobody annotated is unlabelled.

    A subclass says where the regions of an image are (``places``) and reads them (``read_drawn``).

    Args:
        root: The folder.
        classes: Names that regions may have, in the order of their train ids.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        background: Class of pixels in no region, before the others unless it is one of them; null: no label.
        others: What becomes of regions whose name is not in ``classes``.
        overlap: Which region wins where they overlap.
        images: Folder of the images below the root; ``{split}`` in it stands for the name of the split.
        splits: List file (.txt) or sub-folder of the images of each split, by its name.
        name: Name of the label space.
    """

    splits: Mapping[str, Path]

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        classes: Sequence[str],
        mapping: Mapping[str, str | None] | None,
        background: str | None,
        others: OtherRegions,
        overlap: Overlap,
        images: str,
        splits: Mapping[str, Path] | None,
        name: str,
    ) -> None:
        super().__init__(root)
        self.mapping, self.name, self.images = dict(mapping or {}), name, images
        self.background, self.others, self.overlap = background, others, overlap
        self.splits = {split: Path(path) for split, path in (splits or {}).items()}
        self.lists = {split: path for split, path in self.splits.items() if path.suffix == ".txt"}
        self._painter = RegionPainter(name, classes, self.mapping, background, others, overlap)
        self.labels = self._painter.labels
        self._images: dict[Path, Path] = {}

    def split_names(self) -> tuple[str, ...]:
        """Splits that are folders; only ``all`` where there are none.

        Raises:
            FileNotFoundError: If no folder of a split is there.
        """
        if SPLIT not in self.images:
            return tuple(split for split in self.splits if split not in self.lists) or (ALL,)
        found = split_folders(self.folder, self.images)
        if not found:
            problem = f"{type(self).__name__}: {self.folder} holds no folder {self.images}"
            raise MissingData(problem, "one for each split, such as train", "correct the root, or images")
        return found

    def subset(self, split: str) -> Sequence[Record]:
        """Records of a split folder, a list file, or ``all``.

        Raises:
            FileNotFoundError: If the split has no folder, or files are missing.
            ValueError: If there is no such split.
        """
        if SPLIT in self.images and split != ALL and split not in self.lists and not split.endswith(".txt"):
            names, folder = self.split_names(), self.folder / self.images.replace(SPLIT, split)
            if split not in names:
                found = f"{type(self).__name__} has no split {split!r}, as there is no folder {folder}"
                raise MissingData(found, f"one of {', '.join((*names, ALL))}", "add it, or name one of them")
        return super().subset(split)

    def records(self, split: str) -> list[Record]:
        """Images below the folder of the split, or all of them, in the order of their names.

        Raises:
            FileNotFoundError: If there is no image, or what was drawn is missing.
        """
        folder = self.folder / self.images.replace(SPLIT, split)
        images = list_images(folder / self.splits.get(split, Path()) if split not in self.lists else folder)
        places = self.places(split, images)
        self._images |= {place: images[name] for name, place in places.items()}
        return [Record(path, places.get(name), name) for name, path in images.items()]

    @abstractmethod
    def places(self, split: str, images: Mapping[str, Path]) -> dict[str, Path]:
        """Where it stands what was drawn in an image, by the name of the image; others were not annotated."""

    @abstractmethod
    def read_drawn(self, path: Path) -> DrawnImage:
        """What stands at such a place."""

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        drawn = self.read_drawn(path)
        size = self.size_of(path) if drawn.size is None else checked_size(*drawn.size, str(path))
        regions = ((outline.label, outline.pixels(size, str(path))) for outline in drawn.outlines)
        return self._painter.paint(size, regions, str(path))

    def size_of(self, place: Path) -> tuple[int, int]:
        """(height, width) of the upright image in which something was drawn."""
        if place not in self._images:
            self.subset(ALL)
        header = read_header(self._images[place])
        return header.size[::-1] if header.lying else header.size


class ManyInOneFile(DrawnDataset):
    """A drawn dataset whose regions of all images stand in one file.

    ``<file>/<name in it>`` is where ``read_mask`` looks. A subclass writes ``read_file``.

    Args:
        root: The folder.
        annotations: The file below it.
        classes: Names that regions may have; None: those that the file has.
        **options: Those of ``DrawnDataset``.
    """

    def __init__(
        self,
        root: Path,
        annotations: Path,
        classes: Sequence[str] | None,
        **options: Any,  # noqa: ANN401  (passed on)
    ) -> None:
        self.annotations, self.classes = annotations, classes
        SegmentationDataset.__init__(self, root)
        super().__init__(root, self.content.labels if classes is None else classes, **options)

    @abstractmethod
    def read_file(self, path: Path) -> DrawnFile:
        """What the file says; an image goes by a name that its path ends in."""

    @cached_property
    def content(self) -> DrawnFile:
        """What the file says; read once."""
        file = self.folder / self.annotations
        with reading(file, "what was drawn in images", "export it again"):
            found = self.read_file(file)
        if self.classes is None:
            check_class_names(found.labels, file)
        return found

    @property
    def drawn(self) -> dict[str, DrawnImage]:
        """What was drawn in each annotated image."""
        return self.content.images

    def places(self, split: str, images: Mapping[str, Path]) -> dict[str, Path]:  # noqa: ARG002  (one file for all)
        """Entries of the file, found by the ends of the paths of images."""
        file, found = self.folder / self.annotations, dict[str, Path]()
        if not file.is_file():
            raise MissingData(f"{file}: no such file", "what was drawn", "correct annotations, or export it again")
        ends, told = unique_ends(images), dict[str, int]()
        for entry in self.drawn:
            for left_out, end in enumerate(path_ends(entry.replace("\\", "/"))):
                if end in ends:
                    if left_out < told.get(ends[end], left_out + 1):  # the one of which more folders agree
                        told[ends[end]], found[ends[end]] = left_out, file / entry
                    break
        if not found:
            first = next(iter(self.drawn), "nothing")
            problem = f"{file}: none of its {len(self.drawn)} images is among the {len(images)} images, first: {first}"
            raise MissingData(problem, "the same file names", "correct images, or add the images")
        return found

    def read_drawn(self, path: Path) -> DrawnImage:
        """The entry of the file."""
        return self.drawn[path.relative_to(self.folder / self.annotations).as_posix()]
