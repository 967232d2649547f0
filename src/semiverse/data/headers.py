"""What stands at the beginning of an image file, and how that is read where parts of it are wrong."""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from semiverse.files import DataProblem

ORIENTATION = 0x112
"""The note of EXIF and TIFF that says how a photograph was held."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
JPEG2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
"""How a JPEG 2000 with notes begins."""
STACKS = ("TIFF", "GIF", "WEBP", "PNG")
"""Formats of which a file may hold several pictures; those of a photograph's preview (MPO) do not count."""


@dataclass(frozen=True)
class Header:
    """What stands at the beginning of an image file.

    Args:
        format: Pillow's name of the format; None where there is no file, or no image in it.
        mode: Pillow's name of how pixels are stored.
        size: (height, width) as stored, before any turning.
        orientation: EXIF orientation, 1..8; 1 is upright.
        pages: Pictures of this size in the file.
    """

    format: str | None = None
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    pages: int = 1

    @property
    def lying(self) -> bool:
        """Whether reading exchanges width and height, to turn the image upright."""
        return self.orientation in range(5, 9)


def opened(source: Path | BinaryIO) -> Image.Image:
    """An image file, opened but not decoded.

    Raises:
        OSError: If it is no image, or cannot be read.
        ValueError: If it is a JPEG 2000 that promises more than it holds, for which Pillow would take memory at once.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            _check_boxes(file)
    else:
        _check_boxes(source)
    return Image.open(source)


def _check_boxes(file: BinaryIO) -> None:
    """Compare the lengths of the parts before the picture of a JPEG 2000 with that of the file."""
    start = file.tell()
    if file.read(len(JPEG2000)) == JPEG2000:
        size, place = file.seek(0, os.SEEK_END) - start, 0
        while place + 8 <= size:
            file.seek(start + place)
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1:  # it follows in twice as many bits
                length = int.from_bytes(file.read(8))
            if kind == b"jp2c" or length < 8:  # the picture; or a part that is said to end with the file
                break
            if place + length > size:
                raise ValueError(f"a part of it has {length} bytes, the file {size}")
            place += length
    file.seek(start)


def read_header(path: Path) -> Header:
    """The header of a file; an empty one for what is no image file."""
    try:
        allow_pixels()
        with opened(path) as image:
            size, mode, turned = (image.height, image.width), image.mode, orientation(image)
            if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow turns these itself, and says so beforehand
                size = int(image.tag_v2[257]), int(image.tag_v2[256])
            return Header(image.format, mode, size, turned, count_pictures(image))
    except Exception:  # decoders raise anything on damaged files; reading the image itself says what is wrong
        return Header()


def count_pictures(image: Image.Image) -> int:
    """Pictures of its size in an opened file: the slices of a stack; smaller copies of one picture do not count."""
    count, size = 1, image.size
    if image.format in STACKS:
        with suppress(Exception):  # a file whose later pictures are damaged has those before them
            frames = getattr(image, "n_frames", 1)
            if image.format != "TIFF":
                return int(frames)
            for number in range(1, frames):
                image.seek(number)
                count += image.size == size
    return count


def pictures_in(path: Path) -> int:
    """Pictures in a file, of which only the first is read; found quickly for those that hold one by their ending."""
    return read_header(path).pages if path.suffix.lower() in (".tif", ".tiff", ".gif", ".webp", ".png") else 1


def orientation(image: Image.Image) -> int:
    """How a photograph was held, 1..8; 1, upright, where nothing readable says so. No other note of it is looked at."""
    value: object = None
    with suppress(Exception):  # others may be damaged; a PNG may have them behind its pixels, which this reads
        value = image.getexif().get(ORIENTATION)
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and (found := _noted(raw.removeprefix(b"Exif\0\0"))) is not None:
        return found
    return value if isinstance(value, int) and value in TURNS else 1


def _noted(notes: bytes) -> int | None:
    """The orientation in EXIF's first folder of notes, 1..8; None if there is none."""
    order = {b"II": "<", b"MM": ">"}.get(notes[:2])
    if order is None or len(notes) < 14:
        return None
    start = struct.unpack_from(f"{order}I", notes, 4)[0]
    if start + 2 > len(notes):
        return None
    count = struct.unpack_from(f"{order}H", notes, start)[0]
    for place in range(start + 2, min(start + 2 + 12 * count, len(notes) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", notes, place)
        if tag == ORIENTATION and kind in (3, 4) and number == 1:
            value = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", notes, place + 8)[0]
            return value if value in range(1, 9) else None
    return None


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its orientation says; its notes are not rewritten."""
    turn = TURNS.get(orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def allow_pixels() -> None:
    """Let Pillow read images of the size that the user allows (``$SEMIVERSE_PIXELS``), or else of its own limit.

    Raises:
        ValueError: If it is no number.
    """
    given = os.environ.get("SEMIVERSE_PIXELS")
    if given:
        if not given.isdecimal() or not int(given):
            found = f"SEMIVERSE_PIXELS is {given!r}"
            raise DataProblem(found, "the largest number of pixels of an image, such as 400000000", "correct it")
        Image.MAX_IMAGE_PIXELS = -(-int(given) // 2)  # Pillow refuses twice as many


def describe_tiff(path: Path) -> str | None:
    """What a TIFF file holds that is not read: "a TIFF of 6 bands of 64-bit integers"; None for any other file."""
    with suppress(Exception), path.open("rb") as file:
        start = file.read(16)
        if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return None
        big = b"+" in start[2:4]  # 64-bit offsets
        notes = TiffImagePlugin.ImageFileDirectory_v2(start if big else start[:8])
        file.seek(notes.next)
        notes.load(file)
        bits = notes.get(258, (1,))
        bits = bits if isinstance(bits, tuple) else (bits,)
        bands, planar, kind = int(notes.get(277, 1)), notes.get(284, 1) == 2, notes.get(339, 1)
        kind = kind[0] if isinstance(kind, tuple) else kind
        words = {1: "unsigned integers", 2: "integers", 3: "floats", 5: "complex integers", 6: "complex floats"}
        if bands in (1, 3, 4) and set(bits) <= {1, 2, 4, 8, 16} and kind == 1 and not (planar and max(bits) > 8):
            return None  # nothing unusual: it is damaged
        apart = ", each band apart" if planar else ""
        return f"a TIFF of {bands} bands of {max(bits)}-bit {words.get(kind, 'values')}{apart}, which is not read"
    return None
