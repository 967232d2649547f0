"""Symmetric divergence of two branches against a loop over pixels and its limits."""

import math

import pytest
import torch

from semiverse.losses import symmetric_divergence
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import random, upsampled


def loop_divergence(first, second):
    """KL in both directions, averaged over pixels one by one."""
    images, classes, height, width = first.shape
    value = 0.0
    for n in range(images):
        for y in range(height):
            for x in range(width):
                p, q = (
                    [math.exp(v) / sum(math.exp(u) for u in s[n, :, y, x].tolist()) for v in s[n, :, y, x].tolist()]
                    for s in (first, second)
                )
                value += sum(p[c] * math.log(p[c] / q[c]) + q[c] * math.log(q[c] / p[c]) for c in range(classes))
    return value / (images * height * width)


@pytest.mark.parametrize("align_corners", [False, True])
def test_divergence_equals_a_loop_over_pixels(align_corners):
    first, second = 2 * random(2, 4, 3, 4), 2 * random(2, 4, 3, 4, seed=1)
    expected = loop_divergence(*(upsampled(s, (8, 9), align_corners) for s in (first, second)))
    assert symmetric_divergence(
        ScoreMap(first, Upsampling(align_corners)), ScoreMap(second, Upsampling(align_corners)), (8, 9)
    ).item() == pytest.approx(expected, rel=1e-12)


def test_divergence_gradient_is_the_numerical_one_in_both_branches():
    branches = random(2, 4, 3, 4).requires_grad_(), random(2, 4, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: symmetric_divergence(ScoreMap(a), ScoreMap(b), (7, 9)), branches)


def test_divergence_of_large_maps_equals_torchs_divergence():
    first, second = (3 * random(3, 21, 13, 17, seed=seed) for seed in (0, 1))
    log_p, log_q = (upsampled(s, (97, 131)).log_softmax(1) for s in (first, second))
    expected = sum(
        torch.nn.functional.kl_div(a, b, reduction="sum", log_target=True) for a, b in [(log_p, log_q), (log_q, log_p)]
    )
    torch.testing.assert_close(
        symmetric_divergence(ScoreMap(first), ScoreMap(second), (97, 131)), expected / (3 * 97 * 131)
    )


def test_divergence_is_zero_only_between_equals_and_symmetric():
    first, second = random(2, 4, 3, 4).requires_grad_(), random(2, 4, 3, 4, seed=1).requires_grad_()
    shifted = first + random(2, 1, 3, 4, seed=2)  # the same probabilities
    assert symmetric_divergence(ScoreMap(first), ScoreMap(shifted), (8, 9)).item() == pytest.approx(0.0, abs=1e-15)
    loss = symmetric_divergence(ScoreMap(first), ScoreMap(second), (8, 9))
    assert loss > 0.1
    torch.testing.assert_close(symmetric_divergence(ScoreMap(second), ScoreMap(first), (8, 9)), loss)
    loss.backward()
    assert first.grad.abs().max() > 0
    assert second.grad.abs().max() > 0


def test_divergence_does_not_depend_on_the_names_of_classes():
    first, second, order = random(2, 4, 3, 4), random(2, 4, 3, 4, seed=1), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        symmetric_divergence(ScoreMap(first[:, order]), ScoreMap(second[:, order]), (8, 9)),
        symmetric_divergence(ScoreMap(first), ScoreMap(second), (8, 9)),
    )


def test_divergence_in_half_precision_is_finite():
    first = (50 * random(1, 4, 4, 4)).half().requires_grad_()
    second = (-50 * random(1, 4, 4, 4)).half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = symmetric_divergence(ScoreMap(first), ScoreMap(second), (16, 16))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert first.grad.isfinite().all()


def test_branches_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="same classes and cells"):
        symmetric_divergence(ScoreMap(random(1, 4, 3, 4)), ScoreMap(random(1, 5, 3, 4)), (8, 9))
