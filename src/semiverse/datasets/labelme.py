"""Labelme: a JSON file of drawn shapes beside each image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from semiverse.data import ALL, Record, SegmentationDataset, list_images
from semiverse.data.headers import read_header
from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.data.pairing import composed
from semiverse.data.walking import walk
from semiverse.files import DataProblem, MissingData
from semiverse.formats.labelme import pixels_of, read_shapes
from semiverse.formats.regions import OtherRegions, Overlap, RegionPainter


class Labelme(SegmentationDataset):
    """Images with shapes drawn in Labelme: polygons, rectangles, circles, lines, points and brushed masks.

    Reads images and the JSON file of the same name beside each; an image without one is unlabelled, and ``semiverse
    check`` lists JSON files without an image. Sub-folders are searched too. Where shapes overlap, later ones lie on
    earlier ones, as in Labelme itself, or with ``overlap: small-on-top`` small ones on large ones. Lines and points get
    the width that Labelme gives them.

    Background is a class like any other, learned and scored: pixels of annotated images that no shape covers.
    ``background: null`` makes them unlabelled instead, neither learned nor scored; choose it where only some objects
    were annotated.

    Args:
        root: The folder.
        classes: Labels that shapes may have, in the order of their train ids.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        background: Class of pixels that no shape covers, before the others unless it is one of them; null: no label.
        others: Shapes whose label is not in ``classes``: ``refuse`` the file, ``ignore`` their pixels, or ``skip``
            them as if they were not there.
        overlap: Which shape wins where they overlap.
        images: Folder of the images below the root.
        annotations: Folder of the JSON files below the root, with the sub-folders that the images have; null: each lies
            beside its image.
        splits: List file (.txt) or sub-folder of the images of each split, by its name; without them there is only the
            split ``all``.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together.
    """

    splits: Mapping[str, Path]

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        classes: Sequence[str],
        mapping: Mapping[str, str | None] | None = None,
        background: str | None = "background",
        others: OtherRegions = "refuse",
        overlap: Overlap = "order",
        images: Path = Path(),
        annotations: Path | None = None,
        splits: Mapping[str, Path] | None = None,
        name: str = "labelme",
    ) -> None:
        super().__init__(root)
        self.classes, self.mapping, self.name = tuple(classes), dict(mapping or {}), name
        self.background, self.others, self.overlap = background, others, overlap
        self.images, self.annotations = images, annotations
        self.splits = {split: Path(path) for split, path in (splits or {}).items()}
        self.lists = {split: path for split, path in self.splits.items() if path.suffix == ".txt"}
        self._painter = RegionPainter(name, self.classes, self.mapping, background, others, overlap)
        self.labels = self._painter.labels

    def split_names(self) -> tuple[str, ...]:
        """Splits that are folders; only ``all`` where there are none."""
        return tuple(split for split in self.splits if split not in self.lists) or (ALL,)

    def records(self, split: str) -> list[Record]:
        """Images below the folder of the split, or all of them, in the order of their names.

        Raises:
            FileNotFoundError: If there is no image, or no JSON file at all.
        """
        part = self.splits.get(split, Path())
        folder, drawn = self.folder / self.images / part, self.folder / (self.annotations or self.images) / part
        images, files = list_images(folder), _drawn_files(drawn)
        if not any(name in files for name in images):
            first = drawn / f"{next(iter(images))}.json"
            found = f"{drawn}: no JSON file for any of the {len(images)} images of {folder}, first: {first}"
            raise MissingData(found, "Labelme's file of the same name", "correct images or annotations")
        return [Record(image, files.get(name), name) for name, image in images.items()]

    def watched(self) -> Sequence[Path]:
        """The folder of the images, and that of the JSON files."""
        places = [self.folder / part for part in (self.images, self.annotations) if part is not None]
        return list(dict.fromkeys(places))

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        said, shapes = read_shapes(path)
        size = said or self._size_of_image(path)
        return self._painter.paint(size, ((shape.label, pixels_of(shape, size)) for shape in shapes), str(path))

    def _size_of_image(self, path: Path) -> tuple[int, int]:
        """(height, width) of the image that a JSON file is about, which older files do not say."""
        drawn, folder = self.folder / (self.annotations or self.images), self.folder / self.images
        stem = folder / path.relative_to(drawn).with_suffix("")
        for ending in IMAGE_EXTENSIONS:
            for spelled in (ending, ending.upper()):
                header = read_header(stem.with_name(f"{stem.name}{spelled}"))
                if header.format is not None:
                    return header.size[::-1] if header.lying else header.size
        found = f"{path} has no 'imageHeight' and 'imageWidth', and no image of its name is there"
        raise DataProblem(found, "one of them", "correct the file, or export it again")


def _drawn_files(folder: Path) -> dict[str, Path]:
    """JSON files below a folder by their path in it without extension, however that is spelled."""
    if not folder.is_dir():
        raise MissingData(f"{folder}: no such folder", "Labelme's JSON files", "correct images or annotations")
    found = ((composed(name), path) for name, path in walk(folder).files)
    return {name: path for name, path in found if path.suffix.lower() == ".json"}
