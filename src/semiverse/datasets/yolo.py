"""YOLO's text files of polygons beside folders of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.data.layout import SPLIT, check_templates
from semiverse.files import MissingData
from semiverse.formats.drawn import DrawnDataset, DrawnImage
from semiverse.formats.regions import OtherRegions, Overlap
from semiverse.formats.yolo import read_polygons


class YoloSegmentation(DrawnDataset):
    """Images with polygons in the text files of YOLO's segmentation format.

    Reads a file of the same name for each image, with the sub-folders that the images have: a line a region, the number
    of its class and x and y of its points, as shares of width and height. An image without a file is unlabelled, one
    with an empty file shows nothing. Later regions lie on earlier ones.

    Background is a class like any other, learned and scored: pixels of annotated images that no region covers.
    ``background: null`` makes them unlabelled instead; choose it where only some objects were annotated.

    Args:
        root: The folder.
        classes: Names of the classes in the order of their numbers, as in ``names`` of ``data.yaml``.
        annotations: Folder of the text files below the root, ``{split}`` as in ``images``.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        background: Class of pixels that no region covers, before the others unless it is one of them; null: no label.
        others: Regions whose name is not in ``classes``: ``refuse`` the file, ``ignore`` their pixels, or ``skip`` them
            as if they were not there.
        overlap: Which region wins where they overlap.
        images: Folder of the images below the root; ``{split}`` in it stands for the name of the split.
        splits: List file (.txt) or sub-folder of the images of each split, by its name; without them there is only the
            split ``all``.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together.
    """

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        classes: Sequence[str],
        annotations: str = "labels",
        mapping: Mapping[str, str | None] | None = None,
        background: str | None = "background",
        others: OtherRegions = "refuse",
        overlap: Overlap = "order",
        images: str = "images",
        splits: Mapping[str, Path] | None = None,
        name: str = "yolo",
    ) -> None:
        super().__init__(root, classes, mapping, background, others, overlap, images, splits, name)
        check_templates("YoloSegmentation", images, annotations)
        self.classes, self.annotations = tuple(classes), annotations

    def places(self, split: str, images: Mapping[str, Path]) -> dict[str, Path]:
        """Text files of images.

        Raises:
            FileNotFoundError: If there is none at all.
        """
        folder = self.folder / self.annotations.replace(SPLIT, split)
        if split in self.splits and split not in self.lists:
            folder = folder / self.splits[split]
        files = {name: folder / f"{name}.txt" for name in images}
        found = {name: file for name, file in files.items() if file.is_file()}
        if not found:
            problem = f"{folder}: no text file for any of the {len(images)} images, first: {next(iter(files.values()))}"
            raise MissingData(problem, "YOLO's file of the same name", "correct images or annotations")
        return found

    def read_drawn(self, path: Path) -> DrawnImage:
        """Regions of a text file."""
        size = self.size_of(path)
        return DrawnImage(size, read_polygons(path, self.classes, size))
