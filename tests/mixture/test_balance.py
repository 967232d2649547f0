"""What pixels of rare classes count."""

import numpy as np
import pytest
import torch

from semiverse.data import Content
from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.methods import Supervised
from semiverse.mixture import Balance, Domain, DomainMixture
from semiverse.mixture.balance import labeled_frequencies
from semiverse.models import ModelConfig, SegmentationModel


def test_weights_are_the_root_of_median_over_frequency_within_the_limits():
    pixels = torch.tensor([6400, 1600, 400, 100, 0, 1])
    # of the five classes that occur the median has 400 pixels: ratios 1/16, 1/4, 1, 4, 400
    expected = [1 / 4, 1 / 2, 1.0, 2.0, 1.0, 4.0]
    assert Balance().weights(pixels).tolist() == pytest.approx(expected)
    assert Balance(1.0, 1000.0).weights(pixels).tolist() == pytest.approx([1 / 16, 1 / 4, 1, 4, 1, 400])


def test_nothing_is_weighted_with_exponent_zero_or_without_labels():
    assert Balance(0.0).weights(torch.tensor([5, 1, 100])).tolist() == [1.0, 1.0, 1.0]
    assert Balance().weights(torch.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_of_an_even_number_of_classes_the_median_lies_between_the_middle_ones():
    assert Balance(1.0, 100.0).weights(torch.tensor([10, 30])).tolist() == pytest.approx([2.0, 2 / 3])


def test_weights_do_not_change_with_the_number_of_images():
    pixels = torch.tensor([640, 160, 40, 11])
    assert torch.allclose(Balance().weights(pixels), Balance().weights(7 * pixels))


@pytest.mark.parametrize("values", [(-0.1, 4.0), (0.5, 0.9)])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"correct data\.balance"):
        Balance(*values)


def test_frequencies_are_sums_over_images_without_ignored_pixels():
    images = [
        Content("a", (1, 6), np.array([1, 2, 0, 3])),
        Content("b", (1, 1), None),
        Content("c", (1, 5), np.array([0, 4, 1, 0])),
    ]
    assert labeled_frequencies(images, 3).tolist() == [1, 6, 1]
    assert labeled_frequencies([], 3).tolist() == [0, 0, 0]


def test_every_method_gets_the_weights_of_the_images_that_keep_their_labels():
    domains = {
        "streets": Domain(SyntheticStreets(images=6, val_images=2, size=(32, 48)), labeled=3),
        "rooms": Domain(SyntheticRooms(images=6, val_images=2, size=(32, 48)), labeled=0),
    }
    data = DomainMixture(domains, batch_size=2, workers=0, balance=Balance())
    labels = domains["streets"].dataset.labels
    counts = torch.zeros(len(labels), dtype=torch.long)
    for record in data.labeled["streets"]:
        mask = domains["streets"].dataset.read(record)[1].long()
        counts += torch.bincount(mask.flatten(), minlength=256)[: len(labels)]
    assert torch.equal(data.class_weights["streets"], Balance().weights(counts))
    assert set(data.class_weights["rooms"].tolist()) == {1.0}
    method = Supervised(
        SegmentationModel(ModelConfig("drn_d_22", width=0.0625, head_deviation=None), data.label_spaces)
    )
    method.attach(data, 4)
    sample = next(iter(data.training(lambda: 0, method.draws()))).labeled["streets"]
    logits = method.model.classify(method.model.features(sample.image, "streets"), "streets")
    weighted = method.supervised_loss(logits, sample, "streets")
    expected = torch.nn.functional.cross_entropy(
        logits.at(tuple(sample.mask.shape[1:])), sample.mask.long(), data.class_weights["streets"], ignore_index=255
    )
    assert weighted.item() == pytest.approx(expected.item(), rel=1e-5)
    method.class_weights = {}
    assert method.supervised_loss(logits, sample, "streets").item() != pytest.approx(weighted.item(), rel=1e-3)
