"""Your own folders and a class list: a dataset without code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from semiverse.data import ALL, Record, SegmentationDataset, image_records
from semiverse.data.dataset import Relabeling
from semiverse.data.layout import SPLIT, check_templates, split_folders
from semiverse.data.listing import images_below, paired
from semiverse.data.masks import Coding, MaskCoding, Others
from semiverse.files import DataProblem, MissingData
from semiverse.labels import IGNORE, Color, LabelSpace

WithoutMask = Literal["refuse", "unlabeled"]
"""What an image without a mask is."""


class Folder(SegmentationDataset):
    """Images and masks of the same name in two folders.

    Reads ``root/<split>/images`` and ``root/<split>/masks``; or else ``root/images`` and ``root/masks``, of which list
    files (``splits``) say which images belong to which split; or the folders that ``image_folder`` and ``mask_folder``
    name. Where nothing divides them there is only the split ``all``. Images in sub-folders have the sub-folder in their
    name.

    Background is a class like any other: name it in ``classes``, and it is learned and scored. Unlabelled means that
    nobody said what is there: such pixels are neither learned nor scored. They are what ``ignore`` and ``ignore_color``
    stand for, classes that ``mapping`` gives null, and with ``others: ignore`` every value that is not named.

    An image that has an EXIF tag is turned upright; its mask is only if it has such a tag itself.

    Args:
        root: The folder.
        classes: Class names in the order of the ids that the masks hold (of the palette, for ``rgb``).
        masks: How masks are coded. ``index``: grey ids of 8 or 16 bits; ``palette``: the indices of palette images;
            ``rgb``: the colours of ``palette``; ``binary``: 0 (black) is the first class, 255 or 1 (white) the second;
            ``none``: there are none, all images are unlabelled.
        palette: One colour (red, green, blue) a class: needed for ``rgb``, otherwise for pictures only.
        mapping: New name of a class, to rename it, to merge several by giving them one name, or null to ignore it.
        ids: Raw id (0..65535) or ids of each class, where they are not 0, 1, 2 ... (``index``, ``palette``).
        ignore: Raw id that means "no label" (``index``, ``palette``); null: no id does.
        ignore_color: Colour that means "no label" (``rgb``); null: no colour does.
        others: What becomes of values that none of these names: ``refuse`` the file, or ``ignore`` the pixels.
        image_folder: Folder of the images below the root; ``{split}`` in it stands for the name of a split, as in
            ``images/{split}``; None: as said above.
        mask_folder: Folder of the masks, likewise; it may be that of the images, if ``mask_suffix`` tells them apart.
        without_mask: What an image without a mask is: ``refuse`` stops with its name, ``unlabeled`` takes it so.
        image_suffix: End of the names of images that the names of masks lack; images without it are left out.
        mask_suffix: End of the names of masks, such as ``_mask``; masks without it are left out.
        splits: List file of each split, by its name; a relative path that does not exist is looked for below the root.
        name: Name of the label space.

    Raises:
        ValueError: If arguments do not go together.
    """

    splits: Mapping[str, Path]

    def __init__(  # noqa: PLR0913  (questions about files that only their owner can answer)
        self,
        root: Path,
        classes: Sequence[str],
        masks: Coding = "index",
        palette: Sequence[Color] = (),
        mapping: Mapping[str, str | None] | None = None,
        ids: Mapping[str, int | list[int]] | None = None,
        ignore: int | None = IGNORE,
        ignore_color: Color | None = None,
        others: Others = "refuse",
        image_suffix: str = "",
        mask_suffix: str = "",
        splits: Mapping[str, Path] | None = None,
        name: str = "folder",
        image_folder: str | None = None,
        mask_folder: str | None = None,
        without_mask: WithoutMask = "refuse",
    ) -> None:
        super().__init__(root)
        self.image_folder, self.mask_folder, self.without_mask = image_folder, mask_folder, without_mask
        self._check_layout(masks, mask_suffix)
        self.classes, self.masks, self.palette, self.name = tuple(classes), masks, tuple(palette), name
        self.mapping, self.ids, self.ignore, self.ignore_color = dict(mapping or {}), ids, ignore, ignore_color
        self.others, self.image_suffix, self.mask_suffix = others, image_suffix, mask_suffix
        self.splits = {split: Path(path) for split, path in (splits or {}).items()}
        self.lists = self.splits
        raw = LabelSpace(name, self.classes, self.palette)
        colors = raw.palette if self.palette else ()
        self.coding = MaskCoding(masks, self.classes, colors, ids, ignore, ignore_color, others)
        self.relabeling = Relabeling(raw, self.mapping)
        self.labels = self.relabeling.labels

    def _check_layout(self, masks: Coding, mask_suffix: str) -> None:
        if self.without_mask not in get_args(WithoutMask):
            choices = ", ".join(get_args(WithoutMask))
            raise ValueError(f"Folder: without_mask: {self.without_mask}; expected {choices}: choose one")
        if self.image_folder is None and self.mask_folder is not None:
            raise ValueError("Folder: mask_folder without image_folder; expected both: name the folder of the images")
        if self.image_folder is not None and masks != "none":
            if self.mask_folder is None:
                raise ValueError(
                    "Folder: image_folder without mask_folder; expected both: name the folder of the masks"
                )
            check_templates("Folder", self.image_folder, self.mask_folder)
            if Path(self.image_folder) == Path(self.mask_folder) and not mask_suffix:
                expected = "a mask_suffix that tells them apart"
                raise ValueError(f"Folder: images and masks in one folder; expected {expected}: name it")

    def split_names(self) -> tuple[str, ...]:
        """Split folders below the root; only ``all`` where images and masks lie in the root itself.

        Raises:
            FileNotFoundError: If there is no folder of images.
            ValueError: If there are split folders and undivided images.
        """
        if self.image_folder is not None:
            return self._named_splits(self.image_folder)
        found = tuple(split for split in split_folders(self.folder, f"{SPLIT}/images") if split != "images")
        undivided = (self.folder / "images").is_dir()
        if found and undivided:
            both = f"Folder: found {self.folder / 'images'} beside {self.folder / found[0] / 'images'}"
            raise DataProblem(both, "either split folders or undivided images", "move one of them elsewhere")
        if not found and not undivided:
            layouts = "images/ and masks/, or train/images/, train/masks/, val/images/ ..."
            remedy = "arrange the files so, name the folders (image_folder, mask_folder), or correct the root"
            raise MissingData(f"Folder: {self.folder} holds no folder 'images'", layouts, remedy)
        return found or (ALL,)

    def _named_splits(self, template: str) -> tuple[str, ...]:
        """Splits whose folders there are, of those that ``image_folder`` and ``mask_folder`` mean."""
        if SPLIT not in template:
            return (ALL,)
        templates = [template] if self.masks == "none" else [template, str(self.mask_folder)]
        found = split_folders(self.folder, *templates)
        if not found:
            listed = " and ".join(templates)
            raise MissingData(f"Folder: {self.folder} holds no {listed}", "them for some split", "correct the folders")
        return found

    def places(self, split: str) -> tuple[Path, Path | None]:
        """Folder of the images of a split, and that of the masks; None where there are none."""
        if self.image_folder is not None:
            images = self.folder / self.image_folder.replace(SPLIT, split)
            masks = self.folder / str(self.mask_folder).replace(SPLIT, split)
        else:
            folder = self.folder if self.split_names() == (ALL,) else self.folder / split
            images, masks = folder / "images", folder / "masks"
        return images, None if self.masks == "none" else masks

    def subset(self, split: str) -> Sequence[Record]:
        """Records of a split folder, a list file, or ``all``.

        Raises:
            ValueError: If there is no such split; images that nothing divides are never taken for one.
            FileNotFoundError: If files are missing, or a listed image does not exist.
        """
        named = split in self.lists or split == ALL or split.endswith(".txt")
        if not named and self.split_names() == (ALL,):
            listed = f"lists only for {', '.join(self.lists)}" if self.lists else "nothing that divides the images"
            lists = "list files (splits: {train: train.txt, val: val.txt})"
            expected = f"{lists} or folders {split}/images and {split}/masks"
            remedy = f"write them, or name the split {ALL!r} to mean every image"
            raise DataProblem(f"Folder at {self.root}: no split {split!r}, found {listed}", expected, remedy)
        return super().subset(split)

    def records(self, split: str) -> Sequence[Record]:
        """Images of a split folder, or of the root itself, in the order of their names, as lists name them."""
        folder, masks = self.places(split)
        images = images_below(folder, self.image_suffix, self.mask_suffix if folder == masks else None)
        images.ending = self.image_suffix
        if masks is None:
            return images.records()
        return paired(images, images_below(masks, self.mask_suffix), masks, self.without_mask == "unlabeled")

    def read_mask(self, path: Path) -> Tensor:
        """Train ids, after ``mapping``; (H, W) uint8."""
        return self.relabeling.of_mask(self.coding.read(path))


class ImageFolder(SegmentationDataset):
    """A folder of images without labels, in the label space of the domain it helps; its only split is ``all``.

    Args:
        root: Images lie anywhere below it.
        labels: The label space.
    """

    splits = (ALL,)

    def __init__(self, root: Path, labels: LabelSpace) -> None:
        super().__init__(root)
        self.labels = labels

    def watched(self) -> Sequence[Path]:
        """The folder."""
        return [self.folder]

    def records(self, split: str) -> Sequence[Record]:  # noqa: ARG002  (there is only one)
        """Every image, in the order of their names."""
        return image_records(self.folder)
