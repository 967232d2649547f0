"""Image files that a command is given."""

from collections.abc import Sequence
from pathlib import Path

from semiverse.data.pairing import list_images


def find_images(places: Sequence[Path]) -> dict[str, Path]:
    """Image files by stem, from files and folders.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If two images have the same stem, so that their results would overwrite each other.
    """
    found: dict[str, Path] = {}
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder; expected images: check the path")
        for path in list_images(place).values() if place.is_dir() else [place]:
            if path.stem in found:
                raise ValueError(
                    f"{found[path.stem]} and {path} have one name; expected different ones, as their results would "
                    "overwrite each other: name them apart"
                )
            found[path.stem] = path
    return found
