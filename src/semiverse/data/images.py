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
        ValueError: If it is empty, truncated or not an image; the message names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an image: check the list or the folder it came from")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes); expected an image: copy or download it again")
    try:
        image = Image.open(path)
        image.load()
    except UnidentifiedImageError as error:
        raise ValueError(f"{path}: not an image file; expected one of {', '.join(IMAGE_EXTENSIONS)}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: the image cannot be decoded ({error}); copy or download it again") from error
    return image


def read_image(path: Path) -> Tensor:
    """A photograph as (3, H, W) uint8: upright (EXIF applied), grey repeated, alpha dropped, 16 bits scaled to 8.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no readable image.
    """
    image = ImageOps.exif_transpose(open_image(path))
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        image = Image.fromarray(np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8))
    array = np.asarray(image.convert("RGB"))
    return torch.from_numpy(array.copy()).permute(2, 0, 1).contiguous()
