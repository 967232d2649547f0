"""Every file of a folder of images and of its folder of masks, by name."""

from dataclasses import dataclass
from pathlib import Path

from semiverse.data.images import IMAGE_EXTENSIONS

CLUTTER = ("thumbs.db", "desktop.ini")
"""Files that systems leave behind; those with a leading dot are left out as well."""


@dataclass(frozen=True)
class FolderFiles:
    """Files of one pair of folders.

    Args:
        split: Name of the split that the folders are; empty for undivided ones.
        images: The folder of images.
        masks: The folder of masks; None where there are none.
        image_names: Image files by name: the path in the folder without ending. One name may have several.
        mask_names: Mask files likewise.
        others: Files that are no images by their ending.
    """

    split: str
    images: Path
    masks: Path | None
    image_names: dict[str, list[Path]]
    mask_names: dict[str, list[Path]]
    others: list[Path]


def list_folder(
    split: str, images: Path, masks: Path | None, image_suffix: str = "", mask_suffix: str = ""
) -> FolderFiles:
    """List two folders; names are without the suffixes that file names carry in each."""
    image_names, others = _by_name(images, image_suffix)
    mask_names, more = ({}, []) if masks is None else _by_name(masks, mask_suffix)
    return FolderFiles(split, images, masks, image_names, mask_names, others + more)


def _by_name(folder: Path, suffix: str) -> tuple[dict[str, list[Path]], list[Path]]:
    names: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts) or path.name.lower() in CLUTTER
        if hidden or not path.is_file():
            continue
        name = inside.with_suffix("").as_posix()
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            others.append(path)
        elif name.endswith(suffix):
            names.setdefault(name.removesuffix(suffix), []).append(path)
    return names, others
