"""Images that nobody expects, and settings that make no sense."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from semiverse.clustering import Settings, segment
from semiverse.data.images import read_image

SMALL = Settings(iterations=8, channels=16, segments=60)


@pytest.mark.parametrize("kind", ["slic", "felzenszwalb", "grid", "none"])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (20, 30)])
def test_image_of_one_colour_gives_few_clusters(kind, size):
    found = segment(torch.full((3, *size), 77, dtype=torch.uint8), replace(SMALL, superpixels=kind))
    assert found.mask.shape == size and found.confidence.isfinite().all()


def test_huge_image_is_reduced_unless_that_is_refused():
    image = torch.zeros(3, 1200, 2000, dtype=torch.uint8)
    image[:, 400:] = 200
    found = segment(image, replace(SMALL, iterations=1, channels=4, max_size=64))
    assert found.mask.shape == (1200, 2000) and found.superpixels < 100
    assert Settings().max_size == 1024


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_files_of_other_kinds_are_read_as_colours(mode, tmp_path):
    gradient = Image.linear_gradient("L").resize((24, 20))
    picture = gradient.convert("RGBA").convert(mode) if mode != "I;16" else gradient.convert("I;16")
    picture.save(tmp_path / "image.png")
    found = segment(read_image(tmp_path / "image.png"), SMALL)
    assert found.mask.shape == (20, 24)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(20, 30, dtype=torch.uint8),
        torch.zeros(1, 20, 30, dtype=torch.uint8),
        torch.zeros(4, 20, 30, dtype=torch.uint8),
        torch.zeros(3, 20, 30),
        torch.zeros(3, 0, 30, dtype=torch.uint8),
    ],
    ids=["grey", "one-channel", "alpha", "float", "empty"],
)
def test_tensor_of_another_kind_is_refused(image):
    with pytest.raises(ValueError, match=r"expected \(3, H, W\), torch.uint8: convert"):
        segment(image, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 256}, "at most 255"),
        ({"channels": 1}, "channels is 1; expected at least 2"),
        ({"iterations": 0}, "iterations is 0; expected at least 1"),
        ({"patience": 0}, "patience is 0"),
        ({"max_size": 0}, "max_size is 0"),
        ({"lr": 0.0}, "lr is 0.0; expected more than 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Settings(**change)


def test_device_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"'toaster' cannot be used .* expected auto, cpu or cuda"):
        segment(torch.zeros(3, 8, 8, dtype=torch.uint8), SMALL, device="toaster")
