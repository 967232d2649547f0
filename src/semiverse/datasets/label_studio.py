"""Label Studio's JSON file of polygons, rectangles, ellipses and brushed regions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.formats.drawn import DrawnFile, ManyInOneFile
from semiverse.formats.label_studio import read_tasks
from semiverse.formats.regions import OtherRegions, Overlap


class LabelStudio(ManyInOneFile):
    """Images with what was drawn in Label Studio, exported as JSON: polygons, rectangles, ellipses and brushed regions.

    Reads the list of tasks and the images that they name, which are found by the ends of their paths, without the eight
    letters that Label Studio puts before the names of uploaded files; an image that no task annotates is unlabelled.
    Later regions lie on earlier ones, or with ``overlap: small-on-top`` small ones on large ones.

    Background is a class like any other, learned and scored: pixels of annotated images that no region covers.
    ``background: null`` makes them unlabelled instead; choose it where only some objects were annotated.

    Args:
        root: The folder.
        annotations: The JSON file below the root.
        classes: Labels that regions may have, in the order of their train ids; None: those that occur, by name.
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
        annotations: Path = Path("annotations.json"),
        classes: Sequence[str] | None = None,
        mapping: Mapping[str, str | None] | None = None,
        background: str | None = "background",
        others: OtherRegions = "refuse",
        overlap: Overlap = "order",
        images: str = "images",
        splits: Mapping[str, Path] | None = None,
        name: str = "label_studio",
    ) -> None:
        given = {"mapping": mapping, "background": background, "others": others, "overlap": overlap}
        super().__init__(root, annotations, classes, **given, images=images, splits=splits, name=name)

    def read_file(self, path: Path) -> DrawnFile:
        """What the file says."""
        return read_tasks(path)
