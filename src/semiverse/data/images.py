"""Read one photograph, and note what its file is beyond the picture in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from semiverse.files import DataProblem, MissingData
from semiverse.labels import Color

COLORS = 4096  # values and colours of a mask that are counted
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file completely.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated, far too large or not an image; the message names the file.
    """
    if not path.is_file():
        raise MissingData(f"{path}: no such file", "an image", "check the list or the folder it came from")
    if path.stat().st_size == 0:
        raise DataProblem(f"{path}: the file is empty (0 bytes)", "an image", "copy or download it again")
    return decode_image(path, str(path))


def decode_image(source: Path | BinaryIO, name: str) -> Image.Image:
    """Decode an image file, or what stands in one, completely; errors call it by its name.

    Raises:
        ValueError: If it is truncated, far too large or not an image.
    """
    try:
        with Image.open(source) as image:
            image.load()
    except UnidentifiedImageError as error:
        expected = f"one of {', '.join(IMAGE_EXTENSIONS)}"
        raise DataProblem(f"{name}: found no image in this file", expected, "convert or remove it") from error
    except (OSError, SyntaxError, ValueError) as error:
        found = f"{name}: the image cannot be decoded ({error})"
        raise DataProblem(found, "a complete file", "copy or download it again") from error
    except Image.DecompressionBombError as error:
        raise DataProblem(f"{name}: {error}", "an image of ordinary size", "cut it into pieces") from error
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
    return pixels_of(image, str(path))


def pixels_of(image: Image.Image, name: str) -> Tensor:
    """The pixels of a decoded image, as ``read_image`` gives them; errors call it by its name.

    Raises:
        ValueError: If it holds 32-bit values.
    """
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) / 257.0).round().astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataProblem(f"{name}: the image holds 32-bit values", "8 or 16 bits a channel", "convert it")
    pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)


THUMBNAIL = (16, 18)  # rows and columns: twice those of a 64-bit difference hash


@dataclass(frozen=True)
class Header:
    """What stands at the beginning of an image file.

    Args:
        format: Pillow's name of the format; None where there is no file, or no image in it.
        mode: Pillow's name of how pixels are stored.
        size: (height, width) as stored, before any turning.
        orientation: EXIF orientation, 1..8; 1 is upright.
    """

    format: str | None = None
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1

    @property
    def lying(self) -> bool:
        """Whether reading exchanges width and height, to turn the image upright."""
        return self.orientation in range(5, 9)


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that could be read.

    Args:
        header: Of its file.
        digest: Of its pixels: equal images have equal digests, whatever their files.
        thumbnail: Grey, (16, 18) uint8.
    """

    header: Header
    digest: str
    thumbnail: np.ndarray


@dataclass(frozen=True)
class MaskFacts:
    """What is known of a mask.

    Args:
        header: Of its file.
        values: Pixels by stored value, for masks of one channel that could not be read as declared.
        colors: Pixels by colour (red, green, blue in one number), likewise; the most frequent colours.
        pixels: How many pixels there are, likewise.
    """

    header: Header
    values: Mapping[int, int] = field(default_factory=dict)
    colors: Mapping[int, int] = field(default_factory=dict)
    pixels: int = 0


def read_header(path: Path) -> Header:
    """The header of a file; an empty one for what is no image file."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1)
            return Header(image.format, image.mode, (image.height, image.width), turned if turned in range(1, 9) else 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Header()


def note_image(path: Path, image: Tensor) -> ImageFacts:
    """Facts about an image, (3, H, W) uint8, that was read from a file."""
    pixels = np.ascontiguousarray(image.numpy())
    digest = blake2b(pixels.data, digest_size=16, person=str(pixels.shape).encode()[:16]).hexdigest()
    return ImageFacts(read_header(path), digest, thumbnail(pixels))


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Means of equal parts of an image, (3, H, W) uint8 → (16, 18) uint8 grey."""
    rows, columns = (np.arange(n) * side // n for n, side in zip(THUMBNAIL, pixels.shape[1:], strict=True))
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=1, dtype=np.uint32), columns, axis=2).mean(axis=0)
    # Where an image has fewer pixels than parts, reduceat repeats them; a part then counts one pixel.
    heights = np.maximum(1, np.diff(rows, append=pixels.shape[1]))
    widths = np.maximum(1, np.diff(columns, append=pixels.shape[2]))
    return np.asarray(np.rint(sums / np.outer(heights, widths)), dtype=np.uint8)


def examine_raw(path: Path) -> MaskFacts:
    """Values and colours of a mask as they stand in its file; only the header where it cannot be decoded."""
    header = read_header(path)
    try:
        image = open_image(path)
    except (OSError, ValueError):
        return MaskFacts(header)
    single = image.mode in ("1", "L", "P", "I", "F") or image.mode.startswith("I;16")
    values = _counted(np.asarray(image).astype(np.int64)) if single else {}
    colors = _counted(color_codes(image)) if image.mode not in ("1", "L", "I", "F", "I;16", "I;16B") else {}
    return MaskFacts(header, values, colors, image.width * image.height)


def color_codes(image: Image.Image) -> np.ndarray:
    """Colours as one number a pixel, red * 65536 + green * 256 + blue, (H, W) int32."""
    rgb = np.asarray(image.convert("RGB")).astype(np.int32)
    return np.asarray((rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2])


def rgb_of(code: int) -> Color:
    """Red, green and blue of such a number."""
    return code >> 16, code >> 8 & 255, code & 255


def _counted(values: np.ndarray) -> dict[int, int]:
    """How often each of the ``COLORS`` most frequent values occurs, the most frequent first."""
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:COLORS]
    return dict(zip(found[order].tolist(), counts[order].tolist(), strict=True))
