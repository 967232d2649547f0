"""Labelme: a JSON file of drawn shapes beside each image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from semiverse.data import ALL, Record, SegmentationDataset, list_images
from semiverse.files import MissingData
from semiverse.formats.labelme import pixels_of, read_shapes
from semiverse.formats.regions import OtherRegions, Overlap, RegionPainter


class Labelme(SegmentationDataset):
    """Images with shapes drawn in Labelme: polygons, rectangles, circles, lines, points and brushed masks.

    Reads images and the JSON file of the same name beside each; an image without one is unlabelled. Sub-folders are
    searched too. Where shapes overlap, later ones lie on earlier ones, as in Labelme itself, or with
    ``overlap: small-on-top`` small ones on large ones. Lines and points get the width that Labelme gives them.

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
        images = list_images(folder)
        files = {name: drawn / f"{name}.json" for name in images}
        if not any(file.is_file() for file in files.values()):
            found = (
                f"{drawn}: no JSON file for any of the {len(images)} images of {folder}, first: "
                f"{next(iter(files.values()))}"
            )
            raise MissingData(found, "Labelme's file of the same name", "correct images or annotations")
        return [Record(images[name], file if file.is_file() else None, name) for name, file in files.items()]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        size, shapes = read_shapes(path)
        return self._painter.paint(size, ((shape.label, pixels_of(shape, size)) for shape in shapes), str(path))
