"""Cityscapes with the 19 classes of its benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from semiverse.data import Record, read_indices
from semiverse.files import DataProblem
from semiverse.formats.cityscapes import LABELS, SPACE, CityscapesTree, read_polygons, tree_records
from semiverse.formats.regions import draw_polygons
from semiverse.labels import IGNORE

TRAIN_IDS = "_gtFine_labelTrainIds.png"
BY_NAME = {label.name: label for label in LABELS}
BY_ID = {label.id & 255: label.train_id for label in LABELS} | {255: IGNORE}  # -1, a license plate, is 255 in a byte


class Cityscapes(CityscapesTree):
    """Cityscapes (Cordts et al., CVPR 2016): street scenes of 50 cities, 2048x1024, 2975 / 500 / 1525 images.

    Expects the owner's layout below the root: ``leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and
    ``gtFine/<split>/<city>/``. Masks are read from ``*_gtFine_labelTrainIds.png`` where that was made, otherwise from
    ``*_gtFine_labelIds.png``, otherwise drawn from ``*_gtFine_polygons.json``: all three give the same train ids.
    An image is called ``aachen_000000_000019``; what stands before the first underscore is its city.
    Images of ``test``, whose public masks hold nothing to learn from, and of ``train_extra``, whose coarse masks are
    not read, have no masks; nor have those of a split that ``gtFine`` lacks.
    Source: https://www.cityscapes-dataset.com
    """

    labels = SPACE
    source = "https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip)"
    terms = "registration at cityscapes-dataset.com; non-commercial research and teaching only, no redistribution"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 2975, "val": 500, "test": 1525, "train_extra": 19998}
    splits = ("train", "val", "test", "train_extra")

    def split_names(self) -> tuple[str, ...]:
        """The owner's splits; ``train_extra``, a download of its own, where it is."""
        extra = (self.folder / "leftImg8bit" / "train_extra").is_dir()
        return tuple(split for split in self.splits if extra or split != "train_extra")

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of their names."""
        records = tree_records(self.folder, split, (TRAIN_IDS, "_gtFine_labelIds.png", "_gtFine_polygons.json"))
        if split in ("test", "train_extra"):
            records = [Record(record.image, None, record.id) for record in records]
        return [record._replace(name=Path(record.id).name) for record in records]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; what is not evaluated becomes ``IGNORE``.

        Raises:
            ValueError: If the file holds an id or a name that is not in the owner's table.
        """
        if path.suffix != ".json":
            return super().read_mask(path) if path.name.endswith(TRAIN_IDS) else read_indices(path, BY_ID)
        size, objects = read_polygons(path.read_bytes(), path, BY_NAME)
        unknown = sorted({name for name, _ in objects} - BY_NAME.keys())
        if unknown:
            found = f"{path}: found objects called {', '.join(unknown)}"
            raise DataProblem(found, "names of the Cityscapes table", "correct them")
        # As json2labelImg of cityscapesScripts paints them; one point covers nothing.
        painted = [(BY_NAME[name], points) for name, points in objects if len(points) > 1]
        return draw_polygons(size, [(label.train_id, points) for label, points in painted if label.id >= 0], IGNORE)
