"""Labels that stand for sets of classes, which may share members (NLL+)."""

import math

import pytest
import torch

from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.upsampling import ScoreMap
from tests.losses.maps import random, random_mask, upsampled

P = (0.2, 0.3, 0.5)


def at_pixels(*probabilities):
    """Scores whose softmax at one pixel after the other is this, (1, R, 1, pixels)."""
    return torch.tensor(probabilities, dtype=torch.float64).log().T[None, :, None].requires_grad_()


def sets(*members, channels=3):
    matrix = torch.zeros(len(members), channels, dtype=torch.bool)
    for row, some in zip(matrix, members, strict=True):
        row[list(some)] = True
    return matrix


def test_a_label_that_may_be_anything_costs_nothing_and_pulls_nowhere():
    scores = at_pixels(P)
    loss = cross_entropy(ScoreMap(scores), torch.zeros(1, 1, 1, dtype=torch.uint8), sets({0, 1, 2}))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12) and scores.grad.abs().max() < 1e-12


def test_a_label_of_a_single_class_is_the_usual_one():
    scores, mask = 2 * random(2, 4, 3, 5), random_mask(4, (2, 11, 9))
    found = cross_entropy(ScoreMap(scores), mask, torch.eye(4, dtype=torch.bool))
    torch.testing.assert_close(found, cross_entropy(ScoreMap(scores), mask), rtol=1e-12, atol=0)


def test_value_and_gradient_of_a_pair():
    scores = at_pixels(P)
    loss = cross_entropy(ScoreMap(scores), torch.zeros(1, 1, 1, dtype=torch.uint8), sets({0, 1}))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)  # .6931
    assert scores.grad.flatten().tolist() == pytest.approx([-0.2, -0.3, 0.5])


def test_the_mean_is_taken_after_the_log():
    """Masses of 1/2 and 1/4 cost 1.0397; the log of their mean would be .9808."""
    scores = at_pixels((0.2, 0.3, 0.5), (0.05, 0.2, 0.75))
    loss = cross_entropy(ScoreMap(scores), torch.zeros(1, 1, 2, dtype=torch.uint8), sets({0, 1}))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 3.0])], ids=["alike", "weighted"])
def test_sets_that_overlap_equal_the_formula_on_the_whole_map(weights):
    members, mask = sets({0, 1}, {1, 2, 4}, {3}, channels=5), random_mask(3, (2, 13, 17))
    scores = (2 * random(2, 5, 4, 6)).requires_grad_()
    p = upsampled(scores, (13, 17)).softmax(dim=1)
    inside = mask != IGNORE
    mass = (p * members[mask.where(inside, 0)].movedim(-1, 1)).sum(dim=1)[inside]
    counts = torch.ones(3) if weights is None else weights
    expected = -(counts[mask[inside]] * mass.log()).sum() / counts[mask[inside]].sum()
    found = cross_entropy(ScoreMap(scores), mask, members, weights=weights)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    (gradient,), (wanted,) = (torch.autograd.grad(value, scores) for value in (found, expected))
    torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-9)


def test_a_label_without_any_class_is_named():
    with pytest.raises(ValueError, match="value 1,"):
        cross_entropy(ScoreMap(random(1, 3, 2, 2)), torch.ones(1, 4, 4, dtype=torch.uint8), sets({0}, set(), {1, 2}))
