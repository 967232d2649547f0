"""Partitions of an image."""

import pytest
import torch

from semiverse.clustering import superpixels

KINDS = ("slic", "felzenszwalb", "grid", "none")


def halves(height=40, width=60):
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, :, width // 2 :] = 200
    return image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 60)])
def test_numbers_have_no_gaps(kind, size):
    image = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = superpixels(image, kind, count=20)
    assert found.shape == size and found.dtype == torch.int64
    assert found.unique().tolist() == list(range(int(found.max()) + 1))


def test_grid_is_squares():
    found = superpixels(halves(8, 12), "grid", count=6)
    assert found[::4, ::4].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(found, found[::4, ::4].repeat_interleave(4, 0).repeat_interleave(4, 1))


def test_none_and_more_superpixels_than_pixels_leave_every_pixel_alone():
    alone = torch.arange(2400).view(40, 60)
    assert torch.equal(superpixels(halves(), "none"), alone)
    assert torch.equal(superpixels(halves(), "slic", count=10000), alone)


@pytest.mark.parametrize("kind", ["slic", "felzenszwalb"])
def test_superpixels_that_see_colour_do_not_cross_an_edge(kind):
    found = superpixels(halves(), kind, count=24, compactness=1.0)
    assert not set(found[:, :30].unique().tolist()) & set(found[:, 30:].unique().tolist())


def test_slic_of_a_demo_sized_image_has_as_many_as_the_published_call():
    flat = torch.full((3, 321, 481), 90, dtype=torch.uint8)
    assert int(superpixels(flat).max()) + 1 == 9600
