"""India Driving Dataset with the 26 classes of its third level."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from semiverse.data import Record
from semiverse.files import MissingData, cache_folder
from semiverse.formats.cityscapes import CityscapesTree, read_polygons, tree_records
from semiverse.formats.regions import draw_polygons, drawn_once
from semiverse.labels import IGNORE, Color, LabelSpace

PARTS: Mapping[Literal["I", "II"], str] = {"I": "IDD_Segmentation", "II": "idd20kII"}
LEVEL3: Mapping[str, Color] = {
    "road": (128, 64, 128), "drivable fallback": (81, 0, 81), "sidewalk": (244, 35, 232),
    "non-drivable fallback": (152, 251, 152), "person": (220, 20, 60), "rider": (255, 0, 0), "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32), "autorickshaw": (255, 204, 54), "car": (0, 0, 142), "truck": (0, 0, 70),
    "bus": (0, 60, 100), "vehicle fallback": (136, 143, 153), "curb": (220, 190, 40), "wall": (102, 102, 156),
    "fence": (190, 153, 153), "guard rail": (180, 165, 180), "billboard": (174, 64, 67), "traffic sign": (220, 220, 0),
    "traffic light": (250, 170, 30), "pole": (153, 153, 153), "obs-str-bar-fallback": (169, 187, 214),
    "building": (70, 70, 70), "bridge": (150, 100, 100), "vegetation": (107, 142, 35), "sky": (70, 130, 180),
}  # fmt: skip
"""Colour of each class."""
ALSO = {
    "parking": "drivable fallback", "rail track": "non-drivable fallback", "animal": "person",
    "caravan": "vehicle fallback", "trailer": "vehicle fallback", "train": "vehicle fallback", "polegroup": "pole",
    "tunnel": "bridge", "fallback background": "sky",
}  # fmt: skip
"""Further names that are painted with a class."""
VOID = ("unlabeled", "ego vehicle", "rectification border", "out of roi", "license plate")
BY_NAME = dict.fromkeys(VOID, IGNORE) | {name: list(LEVEL3).index(ALSO.get(name, name)) for name in (*LEVEL3, *ALSO)}


class IDD(CityscapesTree):
    """IDD (Varma et al., WACV 2019): roads of India, 1920x1080 or 1280x720, 6993 / 981 images in part I.

    Expects the owner's layout below the root: ``IDD_Segmentation/`` (part I, PNG), ``idd20kII/`` (part II, JPG) or
    both, each with ``leftImg8bit/<split>/<drive>/*_leftImg8bit.*`` and ``gtFine/<split>/<drive>/``; the root may also
    be one of them. Masks are read from ``*_gtFine_labellevel3Ids.png`` where those were made; otherwise they are drawn
    from ``*_gtFine_polygons.json`` at the first reading, and kept in the cache folder (``$SEMIVERSE_CACHE``).
    An image is called ``<drive>/<image>``. The owner publishes no masks of ``test``.
    Source: https://idd.insaan.iiit.ac.in

    Args:
        root: The folder with one or both parts.
        parts: Which of them to read; None: those that are there.
    """

    labels = LabelSpace("idd26", tuple(LEVEL3), tuple(LEVEL3.values()))
    source = "https://idd.insaan.iiit.ac.in (IDD Segmentation, parts I and II)"
    terms = "registration at idd.insaan.iiit.ac.in; research use, under the terms that are accepted there"
    image_counts: ClassVar[Mapping[str, int]] = {"train": 6993, "val": 981}
    splits = ("train", "val", "test")

    def __init__(self, root: Path, parts: Sequence[Literal["I", "II"]] | None = None) -> None:
        super().__init__(root)
        self.parts = parts

    def records(self, split: str) -> list[Record]:
        """Images of a split in the order of parts and names."""
        suffixes = ("_gtFine_labellevel3Ids.png", "_gtFine_polygons.json")
        return [record for folder in self._part_folders() for record in tree_records(folder, split, suffixes)]

    def _part_folders(self) -> list[Path]:
        """Folders of the wanted parts."""
        root = self.folder
        folders: dict[str, Path] = {part: root / name for part, name in PARTS.items() if (root / name).is_dir()}
        if (root / "leftImg8bit").is_dir():  # the root is a part itself; part I where a new name hides which
            folders["II" if root.resolve().name == PARTS["II"] else "I"] = root
        wanted = sorted(folders if self.parts is None else set(self.parts))
        if not wanted or not folders.keys() >= set(wanted):
            found = f"IDD: found {', '.join(f'part {part}' for part in sorted(folders)) or 'no part'} at {root}"
            parts = " and ".join(f"part {part}" for part in wanted) or "a part"
            expected = f"{parts} as {' or '.join(PARTS.values())}, or leftImg8bit and gtFine"
            raise MissingData(found, expected, "correct the root, or parts")
        return [folders[part] for part in wanted]

    def read_mask(self, path: Path) -> Tensor:
        """Train ids; what has no class becomes ``IGNORE``."""
        if path.suffix != ".json":
            return super().read_mask(path)
        text = path.read_bytes()

        def draw() -> Tensor:
            # as json2labelImg of the owner (AutoNUE) paints; part II holds empty polygons
            size, objects = read_polygons(text, path, BY_NAME)
            known = [(BY_NAME[name], points) for name, points in objects if name in BY_NAME and len(points) > 2]
            return draw_polygons(size, known, IGNORE)

        # named by what it is drawn from, so that a changed file or table is drawn again
        key = sha256(repr(BY_NAME).encode() + text).hexdigest()
        return drawn_once(cache_folder() / "idd" / f"{key}.npz", draw)
