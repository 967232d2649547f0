"""COCO annotation files: instances that become semantic masks."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from semiverse.data import Record, SegmentationDataset
from semiverse.data.pairing import composed
from semiverse.files import MissingData
from semiverse.formats.coco import AnnotatedImage, Empty, pixels_of, read_annotations, read_categories, without_area
from semiverse.formats.regions import OtherRegions, Overlap, RegionPainter, check_class_names


class Coco(SegmentationDataset):
    """Images with instance annotations in COCO's format: polygons, run lengths (compressed or not), crowds.

    Reads one annotation file a split and images below a folder. Images without annotations are background everywhere.
    Where regions overlap, later annotations lie on earlier ones, or with ``overlap: small-on-top`` small regions on
    large ones, whatever their order. COCO's own package decides which pixels a polygon covers:
    ``pip install "semiverse[coco]"``.

    Background is a class like any other, learned and scored: pixels that nobody annotated. ``background: null`` makes
    them unlabelled instead, neither learned nor scored; choose it where only some objects were annotated.

    The masks of records are no files: ``<annotation file>/<file name of the image>`` says where ``read_mask`` looks.

    Args:
        root: The folder.
        annotations: Annotation file below the root (or anywhere, if absolute) of each split, by its name.
        classes: Names of categories in the order of their train ids; None: every category of the files, in the order
            of their category ids, which are otherwise without meaning.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        background: Class of pixels that nobody annotated, before the others unless it is one of them; null: no label.
        others: Annotations of categories that are not in ``classes``: ``refuse`` the file, ``ignore`` their pixels, or
            ``skip`` them as if they were not there.
        overlap: Which annotation wins where they overlap.
        crowd: Whether regions marked as crowds count as their ``class``, or are to ``ignore``.
        images: Folder of the images below the root; ``{split}`` in it stands for the name of the split.
        name: Name of the label space.
        empty: What becomes of annotations without any pixels, and of parts of one or two points: ``refuse`` the file,
            or ``skip`` them, as the doctor then says.

    Raises:
        FileNotFoundError: If ``classes`` is not given and an annotation file is missing.
        ValueError: If it is no such file, or arguments do not go together.
    """

    splits: Mapping[str, Path]

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        annotations: Mapping[str, Path],
        classes: Sequence[str] | None = None,
        mapping: Mapping[str, str | None] | None = None,
        background: str | None = "background",
        others: OtherRegions = "refuse",
        overlap: Overlap = "order",
        crowd: Literal["class", "ignore"] = "class",
        images: str = "images",
        name: str = "coco",
        empty: Empty = "refuse",
    ) -> None:
        super().__init__(root)
        self.annotations = {split: Path(path) for split, path in annotations.items()}
        self.splits, self.classes, self.mapping, self.name = self.annotations, classes, dict(mapping or {}), name
        self.background, self.others, self.overlap, self.crowd = background, others, overlap, crowd
        self.images, self.empty = images, empty
        if empty not in get_args(Empty):
            raise ValueError(f"empty: {empty}; expected {' or '.join(get_args(Empty))}: choose one")
        if not self.annotations:
            raise ValueError("Coco: annotations is empty; expected an annotation file for each split: name one")
        self._read: dict[Path, dict[str, AnnotatedImage]] = {}
        if classes is None:  # a name that two ids have is one class
            files = [read_categories(self._file(split)) for split in self.annotations]
            for split, file in zip(self.annotations, files, strict=True):
                check_class_names(file.values(), self._file(split))
            pairs = sorted((number, place, title) for place, file in enumerate(files) for number, title in file.items())
            classes = list(dict.fromkeys(title for _, _, title in pairs))  # ids of several files may disagree
        self._painter = RegionPainter(name, classes, self.mapping, background, others, overlap)
        self.labels = self._painter.labels

    def _file(self, split: str) -> Path:
        return self.folder / self.annotations[split]

    def records(self, split: str) -> list[Record]:
        """Images in the order of the annotation file."""
        file, folder = self._file(split), self.folder / self.images.replace("{split}", split)
        names = list(self._entries(file))
        # A link that leads nowhere is there: reading it says what is missing.
        missing = [name for name in names if not os.path.lexists(folder / name)]
        if missing:
            found = f"{file}: {len(missing)} of {len(names)} images that it lists are missing"
            found += f", first: {folder / missing[0]}"
            raise MissingData(found, f"the images below {folder}", "add them, or say where they are (images)")
        return [Record(folder / name, file / name, composed(Path(name).with_suffix("").as_posix())) for name in names]

    def watched(self) -> Sequence[Path]:
        """Folders of the images, where they hold nothing else."""
        folders = (self.folder / self.images.replace("{split}", split) for split in self.annotations)
        return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]

    def skipped(self) -> int:
        """How many annotations, or parts of them, cover nothing; they are left out with ``empty: skip``."""
        entries = (image for split in self.annotations for image in self._entries(self._file(split)).values())
        return sum(without_area(region) for image in entries for region in image.regions)

    def _entries(self, file: Path) -> dict[str, AnnotatedImage]:
        """What an annotation file says about each image, by file name; read once."""
        if file not in self._read:
            self._read[file] = read_annotations(file)
        return self._read[file]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        file = next(file for file in map(self._file, self.annotations) if path.is_relative_to(file))
        image = self._entries(file)[path.relative_to(file).as_posix()]
        regions = (
            (
                None if region.crowd and self.crowd == "ignore" else region.category,
                pixels_of(region, image.size, self.empty),
            )
            for region in image.regions
        )
        return self._painter.paint(image.size, regions, str(path))
