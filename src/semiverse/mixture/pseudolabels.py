"""Pseudo-labels made once, as further labelled images of a domain."""

from pathlib import Path

from semiverse.data import ALL, Record, SegmentationDataset, list_images, pair
from semiverse.files import DataProblem, read_json, value_of
from semiverse.labels import LabelSpace

DRAWN = "drawn"
"""Soft labels: folders of masks, 0, 1, ..., in which the class of every pixel was drawn from its probabilities."""


class PseudoLabels(SegmentationDataset):
    """A folder that ``semiverse pseudolabel`` wrote: ``images`` and ``masks`` of train ids; its only split is ``all``.

    Where masks were drawn, these are learnt instead: each image stands there with each of them.

    Args:
        root: The folder.
        labels: Label space of the domain that it belongs to.
    """

    splits = (ALL,)

    def __init__(self, root: Path, labels: LabelSpace) -> None:
        super().__init__(root)
        self.labels = labels

    def records(self, split: str) -> list[Record]:  # noqa: ARG002 - there is only one
        """Its images, in the order of their names, as often as there are masks of them.

        Raises:
            FileNotFoundError: If an image has no mask, or there is no image.
            ValueError: If its masks are of other classes.
        """
        facts = self.folder / "pseudolabels.json"
        classes = None
        if facts.is_file():
            named = value_of(read_json(facts, "what pseudo-labels are of"), "classes", (list, dict), str(facts))
            classes = tuple(map(str, named))
        if classes not in (None, self.labels.classes):
            found = f"{facts}: pseudo-labels of the classes {', '.join(classes or ())}"
            remedy = "name another folder, or label the images with a model of this domain"
            raise DataProblem(found, f"{', '.join(self.labels.classes)}, as in the domain", remedy)
        images, drawn = list_images(self.folder / "images"), self.folder / DRAWN
        folders = sorted(filter(Path.is_dir, drawn.iterdir())) if drawn.is_dir() else [self.folder / "masks"]
        return [record for masks in folders for record in pair(images, list_images(masks), masks)]
