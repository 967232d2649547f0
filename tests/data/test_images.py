"""Photographs of every kind become (3, H, W) bytes; broken files are refused by name."""

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
    assert image.is_contiguous()
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
