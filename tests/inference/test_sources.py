"""Every way to give an image leads to the same pixels."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.inference.sources import as_image

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)


def encoded(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def test_path_bytes_picture_array_and_tensor_are_one_image(tmp_path):
    picture = Image.fromarray(PIXELS)
    picture.save(tmp_path / "a.png")
    alpha = np.dstack([PIXELS, np.zeros((5, 7), dtype=np.uint8)])
    ways = [tmp_path / "a.png", str(tmp_path / "a.png"), encoded(picture), picture, PIXELS, TENSOR, alpha]
    ways += [Image.fromarray(alpha), TENSOR / 255, PIXELS.astype(np.float64) / 255, PIXELS[::-1][::-1]]
    for way in ways:
        found = as_image(way)
        assert found.dtype == torch.uint8 and torch.equal(found, TENSOR), type(way)


def test_grey_is_repeated_and_turned_photographs_stand_upright():
    grey = as_image(PIXELS[..., 0])
    assert torch.equal(grey, TENSOR[:1].expand(3, -1, -1))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    lying = encoded(Image.fromarray(PIXELS), "PNG", exif=exif)
    assert torch.equal(as_image(lying), TENSOR.rot90(-1, (1, 2)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((3, 5, 7), dtype=np.uint8), r"\(3, 5, 7\).*\(H, W, 3\)"),
        (torch.zeros(5, 7, 3), r"\(5, 7, 3\).*\(3, H, W\)"),
        (torch.zeros(3, 0, 7), "with pixels"),
        (np.zeros((5, 7, 3), dtype=np.int64), "torch.int64.*expected uint8"),
        (np.full((5, 7, 3), 200.0), "200.*divide by 255"),
        (torch.full((3, 2, 2), torch.nan), "nan"),
        (b"no image", "image of 8 bytes: found no image"),
        ([1, 2], "given as list"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        as_image(wrong)
