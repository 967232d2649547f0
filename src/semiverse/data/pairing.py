"""Which image belongs to which mask: by name, and loudly where one is missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from semiverse.data.images import IMAGE_EXTENSIONS

Item = TypeVar("Item")


class Record(NamedTuple):
    """One line of an index: an image and its mask, or None where there is no mask."""

    image: Path
    mask: Path | None
    name: str = ""

    @property
    def id(self) -> str:
        """What lists and results call this image: its name in the dataset, or else its file name without extension."""
        return self.name or self.image.stem


def list_images(folder: Path) -> dict[str, Path]:
    """Image files below a folder, by their path in it without extension, in sorted order; hidden ones are left out.

    Raises:
        FileNotFoundError: If the folder is missing or holds no image.
        ValueError: If two files differ only in their extension.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected images in it: check the dataset's root")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.suffix.lower() not in IMAGE_EXTENSIONS or not path.is_file():
            continue
        name = inside.with_suffix("").as_posix()
        if name in files:
            raise ValueError(
                f"{folder}: {files[name].name} and {path.name} differ only in their extension; expected one image of a "
                "name: remove or rename one"
            )
        files[name] = path
    if not files:
        raise FileNotFoundError(
            f"{folder}: no image found; expected files ending in {', '.join(IMAGE_EXTENSIONS)}: check the root"
        )
    return files


def pair(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path) -> list[Record]:
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
    return [Record(path, masks[name], name) for name, path in images.items()]


def select(list_file: Path, items: Mapping[str, Item], where: str) -> dict[str, Item]:
    """Items that a list file names, one a line, in its order.

    The first word of a line counts ("images/a.png labels/a.png"), or else the whole line ("my image.png"). It may
    leave out the extension and have leading folders that the names of the items do not have.

    Args:
        list_file: The list.
        items: What can be named.
        where: What the items are, for the message: "images of ...".

    Raises:
        FileNotFoundError: If there is no such list, or an item of it does not exist.
        ValueError: If the list is empty or names an item twice.
    """
    if not list_file.is_file():
        raise FileNotFoundError(f"{list_file}: no such list file; expected one image name a line: correct the path")
    lines = [line.strip() for line in list_file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{list_file}: the list is empty; expected one image name a line: add some")
    names = {line: _find(line.split()[0], items) or _find(line, items) for line in lines}
    missing = [line for line, name in names.items() if name is None]
    if missing:
        raise FileNotFoundError(
            f"{list_file}: {len(missing)} of {len(lines)} listed images are not among the {len(items)} {where}, "
            f"first: {missing[0]!r}; correct the list or add the images"
        )
    chosen: dict[str, Item] = {}
    for line in lines:
        name = str(names[line])
        if name in chosen:
            raise ValueError(
                f"{list_file}: {name!r} is listed more than once; expected every image once: remove the copy"
            )
        chosen[name] = items[name]
    return chosen


def _find(text: str, items: Mapping[str, Item]) -> str | None:
    """The name that a listed path means: without extension, and without as many leading folders as it takes."""
    path = Path(text)
    parts = (path.with_suffix("") if path.suffix.lower() in IMAGE_EXTENSIONS else path).parts
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((name for name in names if name in items), None)
