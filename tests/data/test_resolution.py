"""Working sizes."""

import pytest

from semiverse.data import Resolution


def test_by_default_an_image_keeps_its_size():
    assert Resolution().of(360, 480) == (360, 480)


@pytest.mark.parametrize("scale, expected", [(0.5, (180, 240)), (2.0, (720, 960)), (1 / 3, (120, 160))])
def test_a_scale_is_a_factor_on_both_sides(scale, expected):
    assert Resolution(scale).of(360, 480) == expected


def test_a_tiny_image_keeps_one_pixel():
    assert Resolution(0.01).of(10, 400) == (1, 4)


def test_a_fixed_size_is_height_and_width_of_every_image():
    assert Resolution(size=(64, 128)).of(360, 480) == (64, 128)


def test_a_list_from_a_file_is_the_same_as_a_pair():
    assert Resolution(size=[64, 128]) == Resolution(size=(64, 128))


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": -1.0}, {"size": (0, 5)}, {"size": (5, -1)}])
def test_sizes_that_are_not_positive_are_refused(options):
    with pytest.raises(ValueError, match="expected both positive"):
        Resolution(**options)


def test_scale_and_size_together_are_refused():
    with pytest.raises(ValueError, match="expected one of them"):
        Resolution(scale=0.5, size=(10, 10))
