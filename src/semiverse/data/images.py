"""Read one photograph."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


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

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no readable image, or holds 32-bit values, whose range nobody knows.
    """
    image = ImageOps.exif_transpose(open_image(path))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) / 257.0).round().astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{path}: the image holds 32-bit values; expected 8 or 16 bits a channel: convert it")
    array = np.asarray(image.convert("RGB"))
    return torch.from_numpy(array.copy()).permute(2, 0, 1).contiguous()
