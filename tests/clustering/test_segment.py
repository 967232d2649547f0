"""Segmentation of single images: the acceptance checks, and what settings do."""

import math
from dataclasses import replace

import pytest
import torch
from torchvision.transforms.v2.functional import resize

from semiverse.clustering import Network, Refinement, Settings, segment, superpixels
from semiverse.clustering.network import cross_entropy
from semiverse.clustering.segment import first_largest
from semiverse.datasets import SyntheticStreets
from tests.clustering.plain import losses_and_counts

SMALL = Settings(iterations=8, channels=16, segments=60)


@pytest.fixture(scope="module")
def street():
    streets = SyntheticStreets(images=1, val_images=1, size=(48, 64))
    return streets.read_image(streets.records("train")[0].image)


def watched(image, settings, **options):
    """Clusters, and (labels, loss) of each iteration."""
    seen = []
    found = segment(image, settings, watch=lambda iteration, *values: seen.append((iteration, *values)), **options)
    assert [values[0] for values in seen] == list(range(1, len(seen) + 1))
    assert found.iterations == len(seen)
    return found, [values[1:] for values in seen]


@pytest.mark.parametrize("kind", ["slic", "grid"])
def test_losses_and_label_counts_are_those_of_the_plain_algorithm(street, kind):
    settings = Settings(iterations=6, segments=200, superpixels=kind)
    _, seen = watched(street, settings, seed=5)
    plain = losses_and_counts(street, superpixels(street, kind, 200), 6, seed=5)
    # Two ways to add the same numbers differ by rounding, by which a pixel between two labels may fall to either.
    assert [labels for labels, _ in seen] == pytest.approx([labels for labels, _ in plain], abs=1)
    assert [loss for _, loss in seen] == pytest.approx([loss for _, loss in plain], rel=2e-3)


def test_loss_never_exceeds_log_q_where_every_pixel_is_its_own_superpixel(street):
    _, seen = watched(street, replace(SMALL, superpixels="none", channels=100, iterations=15))
    assert len(seen) == 15
    assert math.log(100) == pytest.approx(4.605170, abs=1e-6)
    assert all(loss <= math.log(100) for _, loss in seen)


def test_one_superpixel_for_the_image_ends_in_one_label(street):
    found, _ = watched(street, replace(SMALL, superpixels="grid", segments=1, iterations=60, min_labels=1))
    assert len(found.labels) == 1 and found.stopped == "min_labels"


def test_as_many_labels_as_channels_are_enough_after_one_update(street):
    found, _ = watched(street, replace(SMALL, min_labels=16))
    assert (found.iterations, found.stopped) == (1, "min_labels")


def test_same_seed_gives_the_same_map_and_leaves_other_random_numbers_alone(street):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second = segment(street, SMALL, seed=4), segment(street, SMALL, seed=4)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.mask, second.mask) and torch.equal(first.confidence, second.confidence)
    assert not torch.equal(segment(street, SMALL, seed=5).mask, first.mask)


def test_flat_halves_have_one_label_each_away_from_edges_in_every_pass():
    height, width, layers = 24, 40, 2
    image = torch.full((1, 3, height, width), 0.2)
    image[:, :, :, width // 2 :] = 0.7
    torch.manual_seed(0)
    network = Network(layers=layers)
    refine = Refinement(superpixels((image[0] * 255).byte(), "grid", 60).flatten(), 100)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9)
    for _ in range(12):
        responses = network(image)
        labels = first_largest(responses.detach())
        inner = labels.view(height, width)[layers + 1 : -layers - 1]
        for start in (0, width // 2):
            assert len(inner[:, start + layers + 1 : start + width // 2 - layers - 1].unique()) == 1
        optimizer.zero_grad()
        cross_entropy(responses, refine(labels)).backward()
        optimizer.step()


def test_clusters_are_numbered_by_size_without_gaps(street):
    found = segment(street, SMALL)
    sizes = found.mask.flatten().bincount()
    assert found.mask.shape == found.confidence.shape == (48, 64) and found.mask.dtype == torch.uint8
    assert len(sizes) == len(found.labels) and (sizes > 0).all()
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert 1 / 16 <= found.confidence.min() and found.confidence.max() <= 1


def test_refined_answer_has_one_label_a_superpixel(street):
    found = segment(street, replace(SMALL, refined=True, superpixels="grid", segments=12)).mask
    cells = superpixels(street, "grid", 12)
    assert all(len(found[cells == cell].unique()) == 1 for cell in cells.unique())
    free = segment(street, replace(SMALL, superpixels="grid", segments=12)).mask
    assert any(len(free[cells == cell].unique()) > 1 for cell in cells.unique())


def test_patience_ends_what_does_not_change_any_more():
    image = torch.zeros(3, 12, 12, dtype=torch.uint8)
    image[:, :, 6:] = 255
    settings = replace(SMALL, superpixels="grid", segments=4, iterations=300, min_labels=1, patience=5)
    found, _ = watched(image, settings)
    assert found.stopped == "converged" and 6 <= found.iterations < 300
    assert watched(image, replace(settings, patience=None, iterations=40))[0].stopped == "iterations"


def test_larger_images_are_seen_smaller_and_answered_at_their_own_size(street):
    large = street.repeat_interleave(2, 1).repeat_interleave(2, 2)
    found, seen = watched(large, replace(SMALL, max_size=64, superpixels="none"))
    assert found.mask.shape == (96, 128) and found.superpixels == 48 * 64
    assert seen == watched(resize(large, [48, 64], antialias=True), replace(SMALL, superpixels="none"))[1]
    assert segment(large, replace(SMALL, max_size=64, refined=True)).mask.shape == (96, 128)


def test_bgr_is_the_flipped_image(street):
    turned = segment(street.flip(0), SMALL)
    assert torch.equal(segment(street, replace(SMALL, bgr=True)).mask, turned.mask)
    assert not torch.equal(segment(street, SMALL).mask, turned.mask)


def test_half_precision_finds_about_the_same(street):
    _, exact = watched(street, SMALL)
    _, coarse = watched(street, replace(SMALL, precision="bfloat16"))
    assert [loss for _, loss in coarse] == pytest.approx([loss for _, loss in exact], rel=0.1)


def test_loss_that_is_no_number_says_what_to_lower(street):
    with pytest.raises(ValueError, match="expected a number: lower lr"):
        segment(street, replace(SMALL, lr=1e38, iterations=20, min_labels=1))
