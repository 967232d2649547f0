"""Everything that an image can be given as."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from semiverse.data.images import decode_image, pixels_of, read_image

Picture = Tensor | np.ndarray | Image.Image | bytes | str | Path
"""A file by its path, the bytes of one, an image of Pillow, an array (H, W), (H, W, 3) or (H, W, 4), or a tensor
(3, H, W); numbers are uint8 in 0..255, or floating point in [0, 1]."""


def as_image(picture: Picture) -> Tensor:
    """An image as (3, H, W) uint8: upright, grey repeated, alpha dropped.

    Raises:
        FileNotFoundError: If a path leads nowhere.
        ValueError: If it is no image, or of another shape or type.
    """
    if isinstance(picture, str | Path):
        return read_image(Path(picture))
    if isinstance(picture, bytes):
        decoded = decode_image(io.BytesIO(picture), f"image of {len(picture)} bytes")
        return pixels_of(ImageOps.exif_transpose(decoded), "image given as bytes")
    if isinstance(picture, Image.Image):
        return pixels_of(ImageOps.exif_transpose(picture), "image given by Pillow")
    if isinstance(picture, Tensor):
        return _checked(picture, "a tensor (3, H, W)", channels=0)
    if isinstance(picture, np.ndarray):
        tensor = torch.from_numpy(np.ascontiguousarray(picture))
        if tensor.ndim == 2:
            tensor = tensor[:, :, None].expand(-1, -1, 3)
        if tensor.ndim == 3 and tensor.shape[2] == 4:
            tensor = tensor[:, :, :3]
        return _checked(tensor, "an array (H, W), (H, W, 3) or (H, W, 4)", channels=2).permute(2, 0, 1)
    raise ValueError(
        f"an image is given as {type(picture).__name__}; expected a path, bytes, an image of Pillow, an array or a "
        "tensor: convert it"
    )


def _checked(values: Tensor, expected: str, channels: int) -> Tensor:
    """The values as uint8; refused if they cannot be those of an image."""
    if values.ndim != 3 or values.shape[channels] != 3 or 0 in values.shape:
        raise ValueError(f"an image has the shape {tuple(values.shape)}; expected {expected} with pixels: reorder it")
    if values.dtype == torch.uint8:
        return values
    if not values.is_floating_point():
        raise ValueError(
            f"an image holds {values.dtype} values; expected uint8, or floating point in [0, 1]: convert it"
        )
    lowest, highest = (float(edge) for edge in values.aminmax())
    if not 0 <= lowest <= highest <= 1:
        raise ValueError(
            f"an image of floating point holds values from {lowest:g} to {highest:g}; expected [0, 1]: divide by 255, "
            "or give uint8"
        )
    return (values * 255).round().to(torch.uint8)
