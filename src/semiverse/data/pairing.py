"""Which image belongs to which mask: by name, and loudly where one is missing."""

from collections.abc import Sequence
from pathlib import Path

from semiverse.data.images import IMAGE_EXTENSIONS


def list_images(folder: Path) -> dict[str, Path]:
    """Image files below a folder, by their path in it without extension, in sorted order.

    Raises:
        FileNotFoundError: If the folder is missing or holds no image.
        ValueError: If two files differ only in their extension.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected images in it: check the dataset's root")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_EXTENSIONS or not path.is_file():
            continue
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in files:
            raise ValueError(f"{folder}: {files[key].name} and {path.name} differ only in their extension; remove one")
        files[key] = path
    if not files:
        raise FileNotFoundError(f"{folder}: no image found; expected files ending in {', '.join(IMAGE_EXTENSIONS)}")
    return files


def pair(images: dict[str, Path], masks: dict[str, Path], where: Path) -> list[tuple[Path, Path]]:
    """Images with the masks of the same name, in the order of the images.

    Args:
        images: Image files by name.
        masks: Mask files by name.
        where: The folder that the masks are expected in, for the message.

    Raises:
        FileNotFoundError: If images have no mask; it says how many and names the first.
    """
    missing = [path for name, path in images.items() if name not in masks]
    if missing:
        raise FileNotFoundError(
            f"no mask for {len(missing)} of {len(images)} images, first: {missing[0]}; expected the same file name "
            f"under {where}: add the masks, or list the image as unlabelled"
        )
    return [(path, masks[name]) for name, path in images.items()]


def read_list(path: Path) -> list[str]:
    """Names from a list file, one image a line: the stem of the first word ("images/a.png labels/a.png" → "a").

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty or names an image twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list file; expected one image name a line")
    words = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = [Path(word).stem if Path(word).suffix.lower() in IMAGE_EXTENSIONS else Path(word).name for word in words]
    if not names:
        raise ValueError(f"{path}: the list is empty; expected one image name a line")
    twice = _first_repeated(names)
    if twice is not None:
        raise ValueError(f"{path}: {twice!r} is listed more than once; expected every image once: remove the copy")
    return names


def _first_repeated(names: Sequence[str]) -> str | None:
    """The first name that stands twice, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
