"""Masks are read without changing what their values mean; what was not promised is refused."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.data import read_colors, read_indices
from semiverse.data.masks import read_binary
from semiverse.labels import IGNORE
from tests.fakes import draw, write_mask

IDS = {0: 0, 1: 1, 2: 2, 255: IGNORE}
COLORS = {(0, 0, 0): IGNORE, (128, 0, 0): 0, (0, 0, 128): 1, (128, 128, 128): 2}


def colored(raw, colors):
    """A picture of raw ids: id i in the i-th colour."""
    return np.array(list(colors), dtype=np.uint8)[raw]


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_grey_values_are_ids(tmp_path, extension):
    raw = draw(0, [0, 1, 2, 255])
    mask = read_indices(write_mask(tmp_path / f"m.{extension}", raw), IDS)
    assert mask.dtype == torch.uint8
    assert np.array_equal(mask.numpy(), raw)


def test_a_palette_does_not_change_ids(tmp_path):
    raw = draw(0, [0, 1, 2, 255])
    assert np.array_equal(read_indices(write_mask(tmp_path / "m.png", raw, "P"), IDS, modes=("P",)).numpy(), raw)


def test_raw_ids_are_mapped(tmp_path):
    mask = read_indices(write_mask(tmp_path / "m.png", [[7, 11, 3]]), {7: 0, 11: 1, 3: IGNORE})
    assert mask.tolist() == [[0, 1, IGNORE]]


def grey_png(bits: int, values: list[int]) -> bytes:
    """A PNG of one row of grey values with fewer than 8 bits a pixel, which Pillow reads but does not write."""
    row = "".join(format(value, f"0{bits}b") for value in values)
    row += "0" * (-len(row) % 8)
    content = b"\0" + bytes(int(row[i : i + 8], 2) for i in range(0, len(row), 8))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_ids_in_few_bits_are_not_stretched(tmp_path, bits):
    values = list(range(2**bits))
    (tmp_path / "m.png").write_bytes(grey_png(bits, values))
    assert read_indices(tmp_path / "m.png", {value: value for value in range(16)}).tolist() == [values]


def test_a_value_outside_the_label_space_is_refused_with_its_place(tmp_path):
    raw = np.zeros((4, 6), dtype=np.uint8)
    raw[2, 5] = 34
    file = write_mask(tmp_path / "wrong.png", raw)
    with pytest.raises(
        ValueError,
        match=r"wrong\.png: mask value 34 at pixel \(x=5, y=2\).*found: 0, 34.*expected 0, 1, 2, 255: map it",
    ):
        read_indices(file, IDS)


def test_many_strange_values_are_summed_up(tmp_path):
    file = write_mask(tmp_path / "photo.png", np.arange(256).reshape(16, 16))
    with pytest.raises(ValueError, match=r"values found: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\., 255,"):
        read_indices(file, IDS)


def refused_as_index(file, found, remedy, modes=("L",)):
    with pytest.raises(ValueError, match=rf"{file.name}: the mask holds {found}; expected class ids as .*: {remedy}"):
        read_indices(file, IDS, modes)


def test_a_palette_image_is_refused_where_grey_ids_were_promised(tmp_path):
    refused_as_index(write_mask(tmp_path / "m.png", [[0, 1]], "P"), "a palette image's indices", "say so .*palette")


def test_grey_ids_are_refused_where_a_palette_image_was_promised(tmp_path):
    refused_as_index(write_mask(tmp_path / "m.png", [[0, 1]]), "8-bit grey values", "say so", modes=("P",))


def test_colours_are_refused_where_ids_were_promised(tmp_path):
    refused_as_index(write_mask(tmp_path / "m.png", np.zeros((2, 2, 3))), "RGB colours", "say so .*rgb")


def test_16_bit_values_are_refused_where_8_bits_were_promised(tmp_path):
    Image.fromarray(np.array([[0, 1]], dtype=np.uint16)).save(tmp_path / "m.png")
    refused_as_index(tmp_path / "m.png", "16-bit grey values", "say so")


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_whole_numbers_of_32_bits_are_ids(tmp_path, dtype):
    Image.fromarray(np.array([[0, 1, 300]], dtype=dtype)).save(tmp_path / "m.tif")
    assert read_indices(tmp_path / "m.tif", {0: 2, 1: IGNORE, 300: 0}, ("L", "I;16")).tolist() == [[2, IGNORE, 0]]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1 + 1e-6])
def test_floats_that_are_no_ids_are_refused(tmp_path, value):
    Image.fromarray(np.array([[0, value]], dtype=np.float32)).save(tmp_path / "m.tif")
    with pytest.raises(ValueError, match=r"m\.tif: .*\(x=1, y=0\)"):
        read_indices(tmp_path / "m.tif", {0: 0, 1: 1}, others="refuse")


@pytest.mark.parametrize("dtype, value", [(np.int32, -1), (np.int32, 65536), (np.float32, 3.0), (np.int32, 2**31 - 1)])
def test_wide_values_outside_the_label_space_are_refused_or_ignored(tmp_path, dtype, value):
    Image.fromarray(np.array([[0, value]], dtype=dtype)).save(tmp_path / "m.tif")
    with pytest.raises(ValueError, match=r"\(x=1, y=0\) is outside the label space"):
        read_indices(tmp_path / "m.tif", {0: 0, 1: 1})
    assert read_indices(tmp_path / "m.tif", {0: 0, 1: 1}, others="ignore").tolist() == [[0, IGNORE]]


@pytest.mark.parametrize("extension, order", [("png", "<"), ("tif", "<"), ("tif", ">")])
def test_16_bit_values_are_ids(tmp_path, extension, order):
    raw = np.array([[0, 255, 256], [65535, 511, 0]], dtype=f"{order}u2")
    Image.fromarray(raw).save(tmp_path / f"m.{extension}")
    mask = read_indices(tmp_path / f"m.{extension}", {0: 4, 255: 3, 256: 2, 511: 1, 65535: IGNORE})
    assert mask.tolist() == [[4, 3, 2], [IGNORE, 1, 4]]


def test_ids_beyond_8_bits_do_not_wrap_in_an_8_bit_mask(tmp_path):
    assert read_indices(write_mask(tmp_path / "m.png", [[0, 1]]), {0: 5, 1: 6, 256: 7, 257: 8}).tolist() == [[5, 6]]


def test_a_16_bit_value_that_nobody_named_is_refused_with_its_place(tmp_path):
    Image.fromarray(np.array([[0, 300]], dtype=np.uint16)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"mask value 300 at pixel \(x=1, y=0\).*found: 0, 300"):
        read_indices(tmp_path / "m.png", IDS)


def test_values_and_colours_that_nobody_named_can_be_ignored(tmp_path):
    file = write_mask(tmp_path / "m.png", [[0, 77, 2]])
    assert read_indices(file, IDS, others="ignore").tolist() == [[0, IGNORE, 2]]
    file = write_mask(tmp_path / "c.png", [[(128, 0, 0), (129, 0, 0), (0, 0, 128)]])
    assert read_colors(file, COLORS, others="ignore").tolist() == [[0, IGNORE, 1]]


def as_palette(values, colors):
    picture = Image.fromarray(np.asarray(values, dtype=np.uint8))
    picture.putpalette([part for color in colors for part in color])
    return picture


BLACK, WHITE = (0, 0, 0), (255, 255, 255)
BINARY = {
    "grey-255": Image.fromarray(np.array([[0, 255]], dtype=np.uint8)),
    "grey-1": Image.fromarray(np.array([[0, 1]], dtype=np.uint8)),
    "one-bit": Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1"),
    "16-bit": Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)),
    "rgb": Image.fromarray(np.array([[BLACK, WHITE]], dtype=np.uint8)),
    "rgba": Image.fromarray(np.array([[(*BLACK, 9), (*WHITE, 0)]], dtype=np.uint8)),
    "grey-alpha": Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("LA"),
    "palette": as_palette([[0, 1]], [BLACK, WHITE]),
    "palette-turned-round": as_palette([[1, 0]], [WHITE, BLACK]),
}


@pytest.mark.parametrize("picture", BINARY.values(), ids=BINARY.keys())
def test_black_and_white_are_two_classes_in_every_mode(tmp_path, picture):
    picture.save(tmp_path / "m.png")
    assert read_binary(tmp_path / "m.png").tolist() == [[0, 1]]


def test_a_third_value_of_a_binary_mask_is_refused_or_ignored(tmp_path):
    file = write_mask(tmp_path / "m.png", [[0, 128, 255]])
    with pytest.raises(ValueError, match="mask value 128 at pixel"):
        read_binary(file)
    assert read_binary(file, others="ignore").tolist() == [[0, IGNORE, 1]]


def test_a_mask_is_turned_only_by_an_exif_tag_of_its_own(tmp_path):
    raw = np.array([[0, 1, 2], [2, 2, 255]], dtype=np.uint8)
    tags = Image.Exif()
    tags[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    Image.fromarray(raw).save(tmp_path / "m.png", exif=tags)
    assert np.array_equal(read_indices(tmp_path / "m.png", IDS).numpy(), np.rot90(raw, -1))
    as_palette(raw, [(i, 0, 0) for i in range(256)]).save(tmp_path / "p.png", exif=tags)
    assert np.array_equal(read_indices(tmp_path / "p.png", IDS).numpy(), np.rot90(raw, -1))
    assert np.array_equal(read_indices(write_mask(tmp_path / "n.png", raw), IDS).numpy(), raw)


@pytest.mark.parametrize("read, known", [(read_indices, IDS), (read_colors, COLORS)])
def test_a_jpeg_is_no_mask_as_its_values_change(tmp_path, read, known):
    file = write_mask(tmp_path / "m.jpg", np.zeros((16, 16, 3) if read is read_colors else (16, 16)))
    with pytest.raises(ValueError, match=r"m\.jpg.*JPEG.*expected a PNG.*export it again"):
        read(file, known)


def test_an_empty_file_is_no_mask(tmp_path):
    (tmp_path / "m.png").touch()
    with pytest.raises(ValueError, match=r"m\.png.*0 bytes"):
        read_indices(tmp_path / "m.png", IDS)


def test_colours_are_looked_up_exactly(tmp_path):
    raw = draw(1, range(4))
    mask = read_colors(write_mask(tmp_path / "m.png", colored(raw, COLORS)), COLORS)
    assert mask.dtype == torch.uint8
    assert np.array_equal(mask.numpy(), np.array(list(COLORS.values()))[raw])


def test_colours_agree_with_a_loop_over_pixels(tmp_path):
    rng = np.random.default_rng(3)
    colors = {tuple(color): i for i, color in enumerate(rng.integers(0, 256, (200, 3)).tolist())}
    picture = colored(rng.integers(0, len(colors), (9, 11)), colors)
    mask = read_colors(write_mask(tmp_path / "m.png", picture), colors)
    assert mask.tolist() == [[colors[tuple(pixel)] for pixel in row] for row in picture.tolist()]


@pytest.mark.parametrize("alpha", [0, 255])
def test_alpha_does_not_change_colours(tmp_path, alpha):
    raw = draw(2, range(4))
    picture = np.dstack([colored(raw, COLORS), np.full(raw.shape, alpha, dtype=np.uint8)])
    mask = read_colors(write_mask(tmp_path / "m.png", picture), COLORS)
    assert np.array_equal(mask.numpy(), np.array(list(COLORS.values()))[raw])


def test_the_colours_of_a_palette_image_count(tmp_path):
    file = write_mask(tmp_path / "m.png", [[0, 1]], "P", palette=[128, 0, 0, 0, 0, 128])
    assert read_colors(file, COLORS).tolist() == [[0, 1]]


def test_a_colour_outside_the_palette_is_refused_with_its_place(tmp_path):
    picture = np.zeros((2, 5, 3), dtype=np.uint8)
    picture[1, 3] = (129, 0, 0)
    with pytest.raises(
        ValueError, match=r"m\.png: colour \(129, 0, 0\) at pixel \(x=3, y=1\).*one of its 4 colours, 10\.0% .*smooth"
    ):
        read_colors(write_mask(tmp_path / "m.png", picture), COLORS)


def test_grey_ids_are_refused_where_colours_were_promised(tmp_path):
    with pytest.raises(ValueError, match=r"m\.png: colour \(1, 1, 1\).*the file is grey.*masks: index"):
        read_colors(write_mask(tmp_path / "m.png", [[0, 1]]), COLORS)
