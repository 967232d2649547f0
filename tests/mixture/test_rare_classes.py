"""Labelled images drawn by class: probabilities by hand, what a view has to show, and a pure function of the step."""

from collections import Counter

import numpy as np
import pytest
import torch

from semiverse.data import Augmentation, Content, Resolution
from semiverse.mixture import Balance, Domain, DomainMixture
from semiverse.mixture.rare_classes import ENOUGH, RareClasses, class_probabilities
from tests.fakes import Numbered, number_of


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(0.01, (0.0, 0.00034, 0.99966)), (0.05, (0.0, 0.168, 0.832)), (1.0, (0.176, 0.396, 0.428))],
)
def test_probabilities_of_three_classes(temperature, expected):
    found = class_probabilities(np.array([900, 90, 10]), temperature)
    assert found == pytest.approx(expected, abs=5e-4) and found.sum() == pytest.approx(1)


def test_alike_classes_are_drawn_alike_and_those_without_pixels_never():
    assert class_probabilities(np.full(7, 5), 0.01) == pytest.approx(1 / 7)
    assert class_probabilities(np.array([5, 0, 5, 0]), 0.01).tolist() == [0.5, 0.0, 0.5, 0.0]
    assert class_probabilities(np.zeros(3), 0.05).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("temperature", [1e-6, 0.01, 0.05, 1.0])
def test_no_class_is_drawn_more_than_three_times_its_part(temperature):
    pixels = np.array([50_000, 30_000, 15_000, 4_000, 900, 90, 9, 1, 0])
    found = class_probabilities(pixels, temperature)
    assert found.sum() == pytest.approx(1) and found.max() <= 3 / 8 + 1e-12 and found[-1] == 0
    assert (np.diff(found[:-1]) >= -1e-12).all()  # the rarer, the oftener
    logits = (1 - pixels[:-1] / pixels.sum()) / temperature
    free = found[:-1] < 3 / 8 - 1e-9
    with np.errstate(divide="ignore"):
        ratios = np.log(found[:-1][free]) - logits[free]
    assert not np.isfinite(ratios).all() or np.ptp(ratios) < 1e-6  # what is left is divided as before


def contents(*pixels, size=(100, 100)):
    return [Content(str(i), size, np.array([*one, 0])) for i, one in enumerate(pixels)]


def test_an_image_has_to_show_enough_of_its_class_unless_none_does():
    enough = int(ENOUGH * 50 * 50) + 1  # 29 of 2500 pixels
    found = contents((9000, enough, 0), (9000, enough - 2, 3), (9000, 400, 0), (10_000, 0, 0))
    drawn = RareClasses(found, 3, Resolution(), (50, 50), 10.0)
    seen = {label: {image for image, (one, _) in map(drawn.draw, seeds()) if one == label} for label in (0, 1, 2)}
    assert seen == {0: {0, 1, 2, 3}, 1: {0, 2}, 2: {1}}
    least = {label: wanted for _, (label, wanted) in map(drawn.draw, seeds())}
    assert least == {0: pytest.approx(ENOUGH * 1250), 1: pytest.approx(ENOUGH * 1250), 2: 0.0}


def test_pixels_are_counted_at_the_working_size():
    found = contents((9000, 100), (9000, 30))
    half = RareClasses(found, 2, Resolution(scale=0.5), (50, 50), 10.0)  # 25 and 7 pixels of the second class: too few
    assert {image for image, (label, _) in map(half.draw, seeds()) if label == 1} == {0, 1}
    whole = RareClasses(found, 2, Resolution(scale=0.5), None, 10.0)  # enough is 29 of its 2500
    assert all(wanted == 0 for _, (_, wanted) in map(whole.draw, seeds()))


def seeds(count=300):
    return [[0, 1, place] for place in range(count)]


class Corner(Numbered):
    """Every image is all of the first class, but one of six has some of the second one in a corner."""

    def read_mask(self, path):
        mask = torch.zeros(self.size, dtype=torch.uint8)
        mask[:8, :8] = int(number_of(path.name) == 5)
        return mask


def mixture(temperature=1.0, seed=0):
    domain = Domain(Corner(6, ("plain", "rare"), size=(24, 32)))
    augmentation = Augmentation(scale=(1.0, 1.1))
    balance = Balance(temperature=temperature)
    return DomainMixture(
        {"streets": domain}, 2, (12, 16), augmentation=augmentation, workers=0, seed=seed, balance=balance
    )


def batch(data, step, rank=0, processes=1):
    return next(iter(data.training(lambda: step, rank=rank, processes=processes))).labeled["streets"]


def test_a_batch_depends_on_seed_and_step_alone_whatever_was_drawn_before_and_however_it_is_shared():
    data, other = mixture(), mixture()
    for step in (5, 0, 3):
        whole = batch(data, step)
        assert torch.equal(whole.mask, batch(other, step).mask) and whole.id == batch(other, step).id
        for rank in (0, 1):
            assert torch.equal(batch(data, step, rank, 2).mask[0], whole.mask[rank])
    names = [[batch(one, step).id for step in range(9)] for one in (data, mixture(seed=1))]
    assert names[0] != names[1]


def test_rare_classes_are_seen_more_often_and_views_show_them():
    data, plain = mixture(), mixture(temperature=None)
    drawn = [batch(data, step) for step in range(40)]
    # f = (4544, 64) / 4608: P(rare) = 1 / (1 + exp(-70 / 72)) = .726, and then its one image is drawn
    probability = class_probabilities(np.array([4544, 64]), 1.0)[1]
    corner = [name.endswith("_5") for one in drawn for name in one.id]
    assert np.mean(corner) == pytest.approx(probability + (1 - probability) / 6, abs=0.1)
    shown = [int((mask == 1).sum()) for one in drawn for mask in one.mask]
    enough = ENOUGH * 12 * 16 / 2
    found = np.mean([count > enough for count, is_so in zip(shown, corner, strict=True) if is_so])
    # The image is also drawn for the plain class, and its view is then as it comes; else it is one of ten tries.
    split = next(iter(data._streams("labeled", data.labeled).values())).split
    views = [split.draw(5, torch.Generator().manual_seed(i))[0].mask for i in range(400)]
    by_chance = np.mean([int((mask == 1).sum()) > enough for mask in views])
    for_itself = probability / (probability + (1 - probability) / 6)
    expected = for_itself * (1 - (1 - by_chance) ** 10) + (1 - for_itself) * by_chance
    assert by_chance < 0.4 < 0.8 < expected and found == pytest.approx(expected, abs=0.1)  # three deviations
    seen = sum(int((batch(plain, step).mask == 1).sum()) for step in range(40))
    assert sum(shown) > 4 * seen


def test_without_a_temperature_every_image_comes_once_in_a_pass():
    data = mixture(temperature=None)
    names = Counter(name for step in range(3) for name in batch(data, step).id)
    assert set(names.values()) == {1} and len(names) == 6


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match=r"has temperature .*correct data\.balance"):
        Balance(temperature=temperature)
