"""Photographs of every kind become (3, H, W) bytes; broken files are refused by name."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from semiverse.data.images import read_image
from tests.fakes import write_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_a_colour_image_is_read_pixel_by_pixel(tmp_path):
    image = read_image(saved(tmp_path, Image.fromarray(PIXELS)))
    assert image.permute(1, 2, 0).is_contiguous()
    assert np.array_equal(image.permute(1, 2, 0).numpy(), PIXELS)


def test_alpha_is_dropped(tmp_path):
    with_alpha = np.dstack([PIXELS, np.zeros((5, 7), dtype=np.uint8)])
    image = read_image(saved(tmp_path, Image.fromarray(with_alpha)))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), PIXELS)


def test_a_palette_image_shows_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8))
    picture.putpalette([9, 8, 7, 60, 50, 40])
    assert read_image(saved(tmp_path, picture)).permute(1, 2, 0).tolist() == [[[9, 8, 7], [60, 50, 40]]]


def test_grey_is_repeated(tmp_path):
    image = read_image(saved(tmp_path, Image.fromarray(PIXELS[..., 0])))
    assert all(np.array_equal(channel, PIXELS[..., 0]) for channel in image.numpy())


def test_16_bits_are_scaled_to_8_whatever_the_brightest_pixel(tmp_path):
    values = np.array([[0, 257, 514, 60000, 65535]], dtype=np.uint16)
    assert read_image(saved(tmp_path, Image.fromarray(values)))[0].tolist() == [[0, 1, 2, 233, 255]]
    dark = np.array([[0, 257]], dtype=np.uint16)
    assert read_image(saved(tmp_path, Image.fromarray(dark)))[0].tolist() == [[0, 1]]


def deep_png(kind: int, values: np.ndarray) -> bytes:
    """A PNG with 16 bits a channel, (H, W, channels), which Pillow reads but does not write in colours."""
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


KINDS = {"grey": (0, 1), "grey-alpha": (4, 2), "rgb": (2, 3), "rgba": (6, 4)}
"""Colour type of a PNG, and its channels."""


@pytest.mark.parametrize("kind, channels", KINDS.values(), ids=KINDS.keys())
def test_16_bit_pictures_of_every_kind_become_the_nearest_8_bits_or_the_upper_byte(tmp_path, kind, channels):
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, channels))
    values[0, 0], values[0, 1] = 0, 65535
    (tmp_path / "deep.png").write_bytes(deep_png(kind, values))
    image = read_image(tmp_path / "deep.png").permute(1, 2, 0).numpy()
    wanted = values[..., :1].repeat(3, axis=2) if channels < 3 else values[..., :3]
    assert np.abs(image - wanted / 257).max() <= (0.5 if kind == 0 else 1)
    assert image[0, 0].tolist() == [0] * 3
    assert image[0, 1].tolist() == [255] * 3


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_of_either_byte_order_is_scaled(tmp_path, order):
    values = np.array([[0, 257, 65535]], dtype=f"{order}u2")
    assert read_image(saved(tmp_path, Image.fromarray(values), "deep.tif"))[0].tolist() == [[0, 1, 255]]


def test_grey_with_alpha_is_repeated_and_alpha_dropped(tmp_path):
    picture = Image.fromarray(PIXELS[..., 0]).convert("LA")
    picture.putalpha(Image.fromarray(PIXELS[..., 1]))
    image = read_image(saved(tmp_path, picture))
    assert all(np.array_equal(channel, PIXELS[..., 0]) for channel in image.numpy())


def test_one_bit_is_black_and_white(tmp_path):
    picture = Image.fromarray(np.array([[0, 255, 255]], dtype=np.uint8)).convert("1")
    assert read_image(saved(tmp_path, picture)).tolist() == [[[0, 255, 255]]] * 3


@pytest.mark.parametrize("name, tolerance", [("print.tif", 0), ("print.jpg", 12)])
def test_printing_inks_become_the_colours_that_they_print(tmp_path, name, tolerance):
    colors = np.zeros((16, 16, 3), dtype=np.uint8) + np.array([200, 120, 40], dtype=np.uint8)
    image = read_image(saved(tmp_path, Image.fromarray(colors).convert("CMYK"), name))
    assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - colors).max() <= tolerance


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.bmp", "a.TIFF", "a.jfif"])
def test_every_listed_extension_can_be_read(tmp_path, name):
    picture = Image.fromarray(np.full((8, 8, 3), 255, dtype=np.uint8))
    picture.save(tmp_path / name, format="JPEG" if name.endswith("jfif") else None)
    assert read_image(tmp_path / name).unique().tolist() == [255]


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation_is_seen_upright(tmp_path, tag, extension):
    upright = np.zeros((16, 24, 3), dtype=np.uint8)
    upright[:8, :8] = 255  # a white corner, and only upright in the upper left
    stored = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1]}
    stored |= {5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2)}
    stored |= {8: np.rot90(upright, -1)}
    tags = Image.Exif()
    tags[0x0112] = tag
    image = Image.fromarray(np.ascontiguousarray(stored[tag]))
    seen = read_image(saved(tmp_path, image, f"a.{extension}", exif=tags)).permute(1, 2, 0).numpy()
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).max() < 60


def test_32_bit_values_are_refused(tmp_path):
    file = saved(tmp_path, Image.fromarray(np.full((2, 2), 0.5, dtype=np.float32)), "image.tif")
    with pytest.raises(ValueError, match=r"image\.tif.*32-bit.*expected 8 or 16 bits.*convert"):
        read_image(file)


def test_an_image_that_says_it_lies_on_its_side_is_turned_upright(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    image = read_image(saved(tmp_path, Image.fromarray(PIXELS), exif=tags))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.rot90(PIXELS, -1))


def test_a_truncated_jpeg_is_refused(tmp_path):
    file = write_photo(tmp_path / "cut.jpg", size=(64, 64))
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"cut\.jpg.*cannot be decoded.*expected a complete file.*download it again"):
        read_image(file)


def test_a_truncated_png_is_refused(tmp_path):
    file = write_photo(tmp_path / "cut.png", size=(64, 64))
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cut\.png.*cannot be decoded"):
        read_image(file)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ValueError, match=r"empty\.jpg.*0 bytes.*expected an image.*download it again"):
        read_image(tmp_path / "empty.jpg")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"page\.jpg.*no image.*expected one of.*convert or remove"):
        read_image(tmp_path / "page.jpg")


def test_an_enormous_image_is_refused(tmp_path, monkeypatch):
    file = write_photo(tmp_path / "huge.png", size=(30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"huge\.png.*expected an image of ordinary size"):
        read_image(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.png.*no such file"):
        read_image(tmp_path / "gone.png")
