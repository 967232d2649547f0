"""CVAT's XML file of polygons, boxes, ellipses and masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.formats.cvat import read_cvat
from semiverse.formats.drawn import DrawnFile, ManyInOneFile
from semiverse.formats.regions import OtherRegions, Overlap


class CvatXml(ManyInOneFile):
    """Images with what was drawn in CVAT, exported as "CVAT for images 1.1": polygons, boxes, ellipses and masks.

    Reads ``annotations.xml`` and the images that it names, which are found by the ends of their paths; an image that it
    does not name is unlabelled. Shapes lie on each other by their ``z_order``, and then in the order in which they were
    drawn. Lines, points and tags cover no pixels.

    Background is a class like any other, learned and scored: pixels of annotated images that no region covers.
    ``background: null`` makes them unlabelled instead; choose it where only some objects were annotated.

    Args:
        root: The folder.
        annotations: The XML file below the root.
        classes: Labels that shapes may have, in the order of their train ids; None: those that the file lists.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        background: Class of pixels that no region covers, before the others unless it is one of them; null: no label.
        others: Regions whose name is not in ``classes``: ``refuse`` the file, ``ignore`` their pixels, or ``skip`` them
            as if they were not there.
        overlap: Which region wins where they overlap.
        images: Folder of the images below the root.
        splits: List file (.txt) or sub-folder of the images of each split, by its name; without them there is only the
            split ``all``.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together, or the file is none of these.
    """

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        annotations: Path = Path("annotations.xml"),
        classes: Sequence[str] | None = None,
        mapping: Mapping[str, str | None] | None = None,
        background: str | None = "background",
        others: OtherRegions = "refuse",
        overlap: Overlap = "order",
        images: str = "images",
        splits: Mapping[str, Path] | None = None,
        name: str = "cvat",
    ) -> None:
        given = {"mapping": mapping, "background": background, "others": others, "overlap": overlap}
        super().__init__(root, annotations, classes, **given, images=images, splits=splits, name=name)

    def read_file(self, path: Path) -> DrawnFile:
        """What the file says."""
        return read_cvat(path)
