"""Entropies against hand-computed values, slow loops in double precision, and plain autograd at full resolution."""

import math

import pytest
import torch

from semiverse.losses import assignment_entropy, entropy
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import LARGE_SIZES, modes, random, upsampled


def plain_entropy(scores, size, groups, align_corners=False):
    parts = torch.split(upsampled(scores, size, align_corners), list(groups), dim=1)
    return torch.stack([-(part.softmax(1) * part.log_softmax(1)).sum(1).mean() for part in parts])


def loop_entropy(scores):
    """Mean entropy of (N, R, H, W) scores, pixel by pixel."""
    images, rows, height, width = scores.shape
    total = 0.0
    for n in range(images):
        for y in range(height):
            for x in range(width):
                exponentials = [math.exp(scores[n, r, y, x].item()) for r in range(rows)]
                probabilities = [value / sum(exponentials) for value in exponentials]
                total -= sum(p * math.log(p) for p in probabilities)
    return total / (images * height * width)


# Entropy


@pytest.mark.parametrize(
    ("rows", "value"),
    [(19, 2.944439), (11, 2.397895), (26, 3.258097), (37, 3.610918), (57, 4.043051), (33, 3.496508)],
)
def test_entropy_of_equal_scores_is_log_of_their_number(rows, value):
    scores = torch.full((2, rows, 4, 6), 1.7, requires_grad=True)
    loss = entropy(ScoreMap(scores), (32, 48), [rows])
    assert loss.tolist() == pytest.approx([value], abs=5e-6)
    loss.sum().backward()
    assert scores.grad.abs().max() < 1e-7


def test_entropy_of_confident_scores_is_zero():
    scores = torch.zeros(1, 5, 4, 4)
    scores[:, 3] = 200.0
    assert entropy(ScoreMap(scores), (32, 32), [5]).item() == 0.0


def test_gradient_of_entropy_without_upsampling_is_its_closed_form():
    scores = random(2, 5, 3, 4).requires_grad_()
    entropy(ScoreMap(scores), (3, 4), [5]).sum().backward()
    log_p = scores.detach().log_softmax(dim=1)
    p = log_p.exp()
    h = -(p * log_p).sum(dim=1, keepdim=True)
    torch.testing.assert_close(scores.grad, -p * (log_p + h) / (2 * 3 * 4), rtol=0, atol=1e-14)


@pytest.mark.parametrize("align_corners", [False, True])
def test_entropy_equals_a_loop_over_pixels(align_corners):
    scores = 2 * random(2, 7, 3, 4)
    full = upsampled(scores, (11, 9), align_corners)
    expected = [loop_entropy(full[:, :4]), loop_entropy(full[:, 4:])]
    assert entropy(ScoreMap(scores, Upsampling(align_corners)), (11, 9), [4, 3]).tolist() == pytest.approx(
        expected, rel=1e-12
    )


@modes
def test_entropy_gradient_is_the_numerical_one(flags):
    scores = random(2, 7, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: entropy(ScoreMap(s, Upsampling(**flags)), (8, 9), [4, 3]), (scores,))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), LARGE_SIZES)
def test_entropy_in_strips_equals_entropy_of_the_whole_map(cells, size, align_corners):
    scores = (3 * random(*cells)).requires_grad_()
    weights = torch.tensor([1.0, -0.3], dtype=torch.float64)
    groups = [9, cells[1] - 9]
    loss, expected = (
        entropy(ScoreMap(scores, Upsampling(align_corners)), size, groups),
        plain_entropy(scores, size, groups, align_corners),
    )
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad((weights * loss).sum(), scores)
    (expected_gradient,) = torch.autograd.grad((weights * expected).sum(), scores)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-15)


def test_entropy_in_single_precision_keeps_six_digits():
    scores = (3 * random(1, 30, 45, 60, dtype=torch.float32)).requires_grad_()
    double = scores.detach().double().requires_grad_()
    loss, expected = entropy(ScoreMap(scores), (360, 480), [19, 11]), entropy(ScoreMap(double), (360, 480), [19, 11])
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
    loss.sum().backward()
    expected.sum().backward()
    assert (scores.grad - double.grad).norm() < 2e-6 * double.grad.norm()


def test_entropy_is_taken_after_upsampling_and_not_before():
    scores = 4 * random(1, 5, 4, 4)
    assert abs(entropy(ScoreMap(scores), (32, 32), [5]) - entropy(ScoreMap(scores), (4, 4), [5])) > 1e-2


def test_exchanging_two_groups_exchanges_their_entropies():
    first, second = random(1, 4, 5, 6), random(1, 3, 5, 6, seed=1)
    forward = entropy(ScoreMap(torch.cat([first, second], dim=1)), (40, 48), [4, 3])
    backward = entropy(ScoreMap(torch.cat([second, first], dim=1)), (40, 48), [3, 4])
    torch.testing.assert_close(forward, backward.flip(0), rtol=1e-14, atol=0)


def test_entropy_is_not_changed_by_a_constant_added_to_all_scores():
    scores = random(1, 4, 5, 6)
    shifted = scores + 50 * random(1, 1, 5, 6, seed=1)
    torch.testing.assert_close(
        entropy(ScoreMap(scores), (40, 48), [4]), entropy(ScoreMap(shifted), (40, 48), [4]), rtol=1e-10, atol=0
    )


def test_entropy_of_huge_scores_is_finite():
    scores = torch.zeros(1, 3, 4, 4)
    scores[:, 0, :2], scores[:, 1, 2:] = 3e4, -3e4
    scores.requires_grad_()
    loss = entropy(ScoreMap(scores), (32, 32), [3])
    loss.sum().backward()
    assert loss.isfinite().all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_entropy_under_autocast_is_formed_in_single_precision(dtype):
    scores = random(1, 6, 8, 8, dtype=torch.float32).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = entropy(ScoreMap(scores), (64, 64), [6])
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert scores.grad.dtype == dtype
    assert torch.equal(loss, entropy(ScoreMap(scores.detach().float()), (64, 64), [6]))


def test_entropy_does_not_depend_on_memory_layout():
    scores = random(2, 45, 13, 17)
    channels_last = scores.to(memory_format=torch.channels_last).requires_grad_()
    scores.requires_grad_()
    for variant in (scores, channels_last):
        entropy(ScoreMap(variant), (97, 131), [45]).sum().backward()
    torch.testing.assert_close(scores.grad, channels_last.grad, rtol=0, atol=1e-15)


def test_entropy_without_gradients_has_the_same_value():
    scores = random(1, 6, 8, 8).requires_grad_()
    with torch.no_grad():
        without = entropy(ScoreMap(scores), (64, 64), [6])
    assert not without.requires_grad
    assert torch.equal(without, entropy(ScoreMap(scores), (64, 64), [6]))


def test_second_derivative_of_entropy_is_refused():
    scores = random(1, 4, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(entropy(ScoreMap(scores), (6, 6), [4]).sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="grad"):
        gradient.sum().backward()


@pytest.mark.parametrize("groups", [[4, 2], [], [7, 0], [8, -1]])
def test_groups_that_do_not_cover_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match="7 channels"):
        entropy(ScoreMap(random(1, 7, 3, 3)), (6, 6), groups)
    with pytest.raises(ValueError, match="7 channels"):
        assignment_entropy(ScoreMap(random(1, 7, 3, 3)), groups)


# Entropy of the mean assignment


def test_assignment_entropy_is_zero_where_every_cell_goes_to_the_same_row():
    scores = torch.zeros(2, 4, 3, 3)
    scores[:, 1] = 200.0
    assert assignment_entropy(ScoreMap(scores), [4]).item() == 0.0


def test_assignment_entropy_of_evenly_spread_certain_cells_is_log_of_the_rows():
    scores = 200.0 * torch.eye(4).reshape(1, 4, 2, 2)
    assert assignment_entropy(ScoreMap(scores), [4]).item() == pytest.approx(math.log(4))
    assert entropy(ScoreMap(scores), (2, 2), [4]).item() == 0.0


def test_assignment_entropy_equals_hand_computed_value_in_each_group():
    scores = torch.zeros(1, 4, 1, 2)
    scores[0, 0, 0, 0] = math.log(3)  # cells (3/4, 1/4) and (1/2, 1/2): mean (5/8, 3/8)
    expected = -(5 / 8 * math.log(5 / 8) + 3 / 8 * math.log(3 / 8))
    assert assignment_entropy(ScoreMap(scores), [2, 2]).tolist() == pytest.approx([expected, math.log(2)])


def test_assignment_entropy_gradient_is_the_numerical_one():
    scores = random(2, 5, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: assignment_entropy(ScoreMap(s), [3, 2]), (scores,))
