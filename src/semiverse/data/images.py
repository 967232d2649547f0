"""One photograph: read, what its file is beyond the picture in it, and the size at which a network sees it."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from semiverse.data.headers import Header, allow_pixels, describe_tiff, opened, read_header, upright
from semiverse.files import DataProblem, missing, reading
from semiverse.labels import Color

COLORS = 4096  # values and colours of a mask that are counted
IMAGE_EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif",
)  # fmt: skip
OTHER_PICTURES = (
    ".heic", ".heif", ".hif", ".jxl", ".jxr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw",
    ".psd", ".svg", ".exr", ".hdr", ".dcm", ".nii", ".ecw", ".img", ".tga", ".dds", ".ico", ".eps", ".pcx", ".sgi",
    ".dib", ".jpx", ".jpf", ".j2c", ".jpc", ".icns", ".xbm", ".xpm", ".mpo", ".apng", ".svs", ".ndpi", ".czi",
)  # fmt: skip
"""Endings of pictures that are not read: where one lies among images, somebody meant it to be used."""
UNDECODED = "the image cannot be decoded"


@dataclass(frozen=True)
class Resolution:
    """The working size of a domain's images: their own size times a factor, or one fixed size.

    Args:
        scale: Factor on height and width.
        size: Fixed (height, width) in pixels; None: the image's own size times ``scale``.

    Raises:
        ValueError: If the factor or size is not positive, or both are given.
    """

    scale: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", tuple(self.size))  # a file gives a list
        if not 0 < self.scale < math.inf or (self.size is not None and min(self.size) < 1):
            raise ValueError(
                f"resolution scale={self.scale}, size={self.size}; expected both positive and finite: correct them"
            )
        if self.size is not None and self.scale != 1.0:
            found = f"resolution has scale={self.scale} and size={self.size}"
            raise ValueError(f"{found}; expected one of them: leave one out")

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Working (height, width) of an image of this size; at least one pixel."""
        if self.size is not None:
            return self.size
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file completely.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated, far too large, may not be read or is not an image; the message names the
            file.
    """
    with reading(path, "a complete file", "copy or download it again", UNDECODED):
        if not path.is_file():
            raise missing(path, "an image", "check the list or the folder it came from")
        if not path.stat().st_size:
            raise DataProblem(f"{path}: the file is empty (0 bytes)", "an image", "copy or download it again")
    return decode_image(path, path)


def decode_image(source: Path | BinaryIO, name: Path | str) -> Image.Image:
    """Decode an image file, or what stands in one, completely.

    Args:
        source: The file, or its content.
        name: What errors call it: its path, or what is said of content that came without one.

    Raises:
        ValueError: If it is truncated, far too large or not an image.
    """
    with reading(name, "a complete file", "copy or download it again", UNDECODED):
        try:
            allow_pixels()
            with opened(source) as image:
                notes = image.info.get("exif")
                image.load()
                if notes is not None:  # those behind the pixels of a PNG are not seen where its header alone is read
                    image.info["exif"] = notes
        except Exception as error:
            _explain(source, name, error)
            raise
    return image


def _explain(source: Path | BinaryIO, name: Path | str, error: Exception) -> None:
    """Say what only the kind of the error or of the file tells, if there is anything."""
    if isinstance(error, Image.DecompressionBombError):
        remedy = "cut it into pieces, or allow more pixels (set SEMIVERSE_PIXELS to their number)"
        raise DataProblem(f"{name}: {error}", "an image of ordinary size", remedy) from error
    if isinstance(error, PermissionError | FileNotFoundError):
        return
    kind = describe_tiff(source) if isinstance(source, Path) else None
    if kind is not None:
        remedy = "convert it, as by gdal_translate -ot Byte -b 1 -b 2 -b 3"
        raise DataProblem(f"{name}: {kind}", "1, 3 or 4 bands of 8 or 16 bits", remedy) from error
    if isinstance(error, UnidentifiedImageError):
        expected = f"one of {', '.join(IMAGE_EXTENSIONS)}"
        raise DataProblem(f"{name}: found no image in this file", expected, "convert or remove it") from error


def read_image(path: Path) -> Tensor:
    """A photograph as (3, H, W) uint8: upright (EXIF applied), grey repeated, alpha dropped, 16 bits scaled to 8.

    Of 16 bits in grey, ``brightest()`` becomes 255; Pillow reduces 16-bit colours itself, to their upper byte. In
    memory the three values of a pixel stay side by side, as they were decoded: crops of such an image are resized twice
    as fast. Of a file with several pictures the first counts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no readable image, or holds 32-bit values, whose range nobody knows.
    """
    image = open_image(path)
    return pixels_of(image, path)


def brightest() -> int:
    """The value of 16 bits that is white: what the user says (``$SEMIVERSE_BRIGHTEST``), or else 65535.

    Raises:
        ValueError: If it is no such number.
    """
    given = os.environ.get("SEMIVERSE_BRIGHTEST") or "65535"
    if not given.isdecimal() or not 0 < int(given) < 2**16:
        found = f"SEMIVERSE_BRIGHTEST is {given!r}"
        raise DataProblem(found, "the largest value of your 16-bit images, 1 to 65535, such as 4095", "correct it")
    return int(given)


def pixels_of(image: Image.Image, name: Path | str) -> Tensor:
    """The pixels of a decoded image, as ``read_image`` gives them, upright; errors call it by its name, or its path.

    Raises:
        ValueError: If it holds 32-bit values.
    """
    with reading(name, "a complete image", "convert it", "its pixels cannot be used"):
        image = upright(image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) * (255 / brightest())).clip(0, 255).round().astype(np.uint8))
        if image.mode in ("I", "F"):
            raise DataProblem(f"{name}: the image holds 32-bit values", "8 or 16 bits a channel", "convert it")
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)


THUMBNAIL = (16, 18)  # rows and columns: twice those of a 64-bit difference hash


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that could be read.

    Args:
        header: Of its file.
        digest: Of its pixels: equal images have equal digests, whatever their files.
        thumbnail: Grey, (16, 18) uint8.
        brightest: The largest value of any channel, 0..255.
    """

    header: Header
    digest: str
    thumbnail: np.ndarray
    brightest: int = 255


@dataclass(frozen=True)
class MaskFacts:
    """What is known of a mask.

    Args:
        header: Of its file.
        values: Pixels by stored value, for masks of one channel that could not be read as declared.
        colors: Pixels by colour (red, green, blue in one number), likewise; the most frequent colours.
        pixels: How many pixels there are, likewise.
        transparent: Whether its drawing lies in its transparency, likewise.
    """

    header: Header
    values: Mapping[int, int] = field(default_factory=dict)
    colors: Mapping[int, int] = field(default_factory=dict)
    pixels: int = 0
    transparent: bool = False


def note_image(path: Path, image: Tensor) -> ImageFacts:
    """Facts about an image, (3, H, W) uint8, that was read from a file."""
    pixels = np.ascontiguousarray(image.numpy())
    digest = blake2b(pixels.data, digest_size=16, person=str(pixels.shape).encode()[:16]).hexdigest()
    return ImageFacts(read_header(path), digest, thumbnail(pixels), int(pixels.max(initial=0)))


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
    values = _counted(np.nan_to_num(np.asarray(image)).astype(np.int64)) if single else {}
    colors = _counted(color_codes(image)) if image.mode not in ("1", "L", "I", "F", "I;16", "I;16B") else {}
    return MaskFacts(header, values, colors, image.width * image.height, drawn_in_transparency(image))


def drawn_in_transparency(image: Image.Image) -> bool:
    """Whether transparency tells pixels apart that have one colour, so that dropping it loses a drawing."""
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa"):
        return False
    alpha = np.asarray(image.getchannel("A"))
    clear = alpha < 128
    if clear.all() or not clear.any():
        return False
    codes = color_codes(image)
    return bool(np.intersect1d(codes[clear], codes[~clear]).size)


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
