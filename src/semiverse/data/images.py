"""Read one photograph."""

from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp")

QUARTER_TURNS = (5, 6, 7, 8)
"""Values of the EXIF orientation tag that exchange width and height."""


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file completely.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated, far too large or not an image; the message names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an image: check the list or the folder it came from")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes); expected an image: copy or download it again")
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path}: found no image in this file; expected one of {', '.join(IMAGE_EXTENSIONS)}: convert or remove it"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{path}: the image cannot be decoded ({error}); expected a complete file: copy or download it again"
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: {error}; expected an image of ordinary size: cut it into pieces") from error
    return image


def read_image(path: Path) -> Tensor:
    """A photograph as (3, H, W) uint8: upright (EXIF applied), grey repeated, alpha dropped, 16 bits scaled to 8.

    Pillow reduces 16-bit colours itself, to their upper byte. In memory the three values of a pixel stay side by side,
    as they were decoded: crops of such an image are resized twice as fast.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no readable image, or holds 32-bit values, whose range nobody knows.
    """
    image = open_image(path)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) / 257.0).round().astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{path}: the image holds 32-bit values; expected 8 or 16 bits a channel: convert it")
    pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def is_quarter_turned(path: Path) -> bool:
    """Whether an EXIF tag says that the file lies on its side; False for what is no image."""
    try:
        with Image.open(path) as image:
            return image.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS
    except OSError:
        return False
