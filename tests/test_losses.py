"""Losses against hand-computed values, slow loops in double precision, and plain autograd at full resolution."""

import math

import pytest
import torch
import torch.nn.functional as F

from semiverse.labels import IGNORE
from semiverse.losses import assignment_entropy, cross_entropy, entropy

MODES = {"half-pixel": {}, "corners": {"align_corners": True}, "zero-border": {"zero_border": True}}
LARGE_SIZES = [((1, 12, 45, 60), (360, 480)), ((3, 45, 13, 17), (97, 131))]  # more than a million scores: in strips
modes = pytest.mark.parametrize("flags", MODES.values(), ids=MODES.keys())


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_mask(classes, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, shape, generator=generator)
    mask[torch.rand(shape, generator=generator) < 0.2] = IGNORE
    return mask


def upsampled(scores, size, align_corners=False):
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)


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


def loop_cross_entropy(scores, mask, row_classes):
    """Mean of -log P(class) over labelled pixels, pixel by pixel."""
    images, rows, height, width = scores.shape
    losses = []
    for n in range(images):
        for y in range(height):
            for x in range(width):
                label = int(mask[n, y, x])
                if label == IGNORE:
                    continue
                exponentials = [math.exp(scores[n, r, y, x].item()) for r in range(rows)]
                own = sum(e for e, c in zip(exponentials, row_classes, strict=True) if c == label)
                losses.append(-math.log(own / sum(exponentials)))
    return sum(losses) / len(losses)


# Entropy


@pytest.mark.parametrize(
    ("rows", "value"),
    [(19, 2.944439), (11, 2.397895), (26, 3.258097), (37, 3.610918), (57, 4.043051), (33, 3.496508)],
)
def test_entropy_of_equal_scores_is_log_of_their_number(rows, value):
    scores = torch.full((2, rows, 4, 6), 1.7, requires_grad=True)
    loss = entropy(scores, (32, 48), [rows])
    assert loss.tolist() == pytest.approx([value], abs=5e-6)
    loss.sum().backward()
    assert scores.grad.abs().max() < 1e-7


def test_entropy_of_confident_scores_is_zero():
    scores = torch.zeros(1, 5, 4, 4)
    scores[:, 3] = 200.0
    assert entropy(scores, (32, 32), [5]).item() == 0.0


def test_gradient_of_entropy_without_upsampling_is_its_closed_form():
    scores = random(2, 5, 3, 4).requires_grad_()
    entropy(scores, (3, 4), [5]).sum().backward()
    log_p = scores.detach().log_softmax(dim=1)
    p = log_p.exp()
    h = -(p * log_p).sum(dim=1, keepdim=True)
    torch.testing.assert_close(scores.grad, -p * (log_p + h) / (2 * 3 * 4), rtol=0, atol=1e-14)


@pytest.mark.parametrize("align_corners", [False, True])
def test_entropy_equals_a_loop_over_pixels(align_corners):
    scores = 2 * random(2, 7, 3, 4)
    full = upsampled(scores, (11, 9), align_corners)
    expected = [loop_entropy(full[:, :4]), loop_entropy(full[:, 4:])]
    assert entropy(scores, (11, 9), [4, 3], align_corners).tolist() == pytest.approx(expected, rel=1e-12)


@modes
def test_entropy_gradient_is_the_numerical_one(flags):
    scores = random(2, 7, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: entropy(s, (8, 9), [4, 3], **flags), (scores,))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), LARGE_SIZES)
def test_entropy_in_strips_equals_entropy_of_the_whole_map(cells, size, align_corners):
    scores = (3 * random(*cells)).requires_grad_()
    weights = torch.tensor([1.0, -0.3], dtype=torch.float64)
    groups = [9, cells[1] - 9]
    loss, expected = entropy(scores, size, groups, align_corners), plain_entropy(scores, size, groups, align_corners)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad((weights * loss).sum(), scores)
    (expected_gradient,) = torch.autograd.grad((weights * expected).sum(), scores)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-15)


def test_entropy_in_single_precision_keeps_six_digits():
    scores = (3 * random(1, 30, 45, 60, dtype=torch.float32)).requires_grad_()
    double = scores.detach().double().requires_grad_()
    loss, expected = entropy(scores, (360, 480), [19, 11]), entropy(double, (360, 480), [19, 11])
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
    loss.sum().backward()
    expected.sum().backward()
    assert (scores.grad - double.grad).norm() < 2e-6 * double.grad.norm()


def test_entropy_is_taken_after_upsampling_and_not_before():
    scores = 4 * random(1, 5, 4, 4)
    assert abs(entropy(scores, (32, 32), [5]) - entropy(scores, (4, 4), [5])) > 1e-2


def test_exchanging_two_groups_exchanges_their_entropies():
    first, second = random(1, 4, 5, 6), random(1, 3, 5, 6, seed=1)
    forward = entropy(torch.cat([first, second], dim=1), (40, 48), [4, 3])
    backward = entropy(torch.cat([second, first], dim=1), (40, 48), [3, 4])
    torch.testing.assert_close(forward, backward.flip(0), rtol=1e-14, atol=0)


def test_entropy_is_not_changed_by_a_constant_added_to_all_scores():
    scores = random(1, 4, 5, 6)
    shifted = scores + 50 * random(1, 1, 5, 6, seed=1)
    torch.testing.assert_close(entropy(scores, (40, 48), [4]), entropy(shifted, (40, 48), [4]), rtol=1e-10, atol=0)


def test_entropy_of_huge_scores_is_finite():
    scores = torch.zeros(1, 3, 4, 4)
    scores[:, 0, :2], scores[:, 1, 2:] = 3e4, -3e4
    scores.requires_grad_()
    loss = entropy(scores, (32, 32), [3])
    loss.sum().backward()
    assert loss.isfinite().all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_entropy_under_autocast_is_formed_in_single_precision(dtype):
    scores = random(1, 6, 8, 8, dtype=torch.float32).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = entropy(scores, (64, 64), [6])
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert scores.grad.dtype == dtype
    assert torch.equal(loss, entropy(scores.detach().float(), (64, 64), [6]))


def test_entropy_does_not_depend_on_memory_layout():
    scores = random(2, 45, 13, 17)
    channels_last = scores.to(memory_format=torch.channels_last).requires_grad_()
    scores.requires_grad_()
    for variant in (scores, channels_last):
        entropy(variant, (97, 131), [45]).sum().backward()
    torch.testing.assert_close(scores.grad, channels_last.grad, rtol=0, atol=1e-15)


def test_entropy_without_gradients_has_the_same_value():
    scores = random(1, 6, 8, 8).requires_grad_()
    with torch.no_grad():
        without = entropy(scores, (64, 64), [6])
    assert not without.requires_grad
    assert torch.equal(without, entropy(scores, (64, 64), [6]))


def test_second_derivative_of_entropy_is_refused():
    scores = random(1, 4, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(entropy(scores, (6, 6), [4]).sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="grad"):
        gradient.sum().backward()


@pytest.mark.parametrize("groups", [[4, 2], [], [7, 0], [8, -1]])
def test_groups_that_do_not_cover_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match="7 channels"):
        entropy(random(1, 7, 3, 3), (6, 6), groups)
    with pytest.raises(ValueError, match="7 channels"):
        assignment_entropy(random(1, 7, 3, 3), groups)


# Cross entropy


@pytest.mark.parametrize("align_corners", [False, True])
def test_cross_entropy_equals_a_loop_over_pixels(align_corners):
    scores, mask = 2 * random(2, 5, 3, 4), random_mask(5, (2, 11, 9))
    expected = loop_cross_entropy(upsampled(scores, (11, 9), align_corners), mask, range(5))
    assert cross_entropy(scores, mask, align_corners=align_corners).item() == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_with_several_rows_a_class_sums_their_probabilities():
    scores, mask, row_classes = 2 * random(2, 7, 3, 4), random_mask(3, (2, 11, 9)), [2, 0, 0, 1, 2, 2, 1]
    expected = loop_cross_entropy(upsampled(scores, (11, 9)), mask, row_classes)
    assert cross_entropy(scores, mask, torch.tensor(row_classes)).item() == pytest.approx(expected, rel=1e-12)


@modes
@pytest.mark.parametrize("row_classes", [None, torch.tensor([2, 0, 1, 1, 0])], ids=["one", "several"])
def test_cross_entropy_gradient_is_the_numerical_one(row_classes, flags):
    scores = random(2, 5, 3, 4).requires_grad_()
    mask = random_mask(3, (2, 8, 9))
    assert torch.autograd.gradcheck(lambda s: cross_entropy(s, mask, row_classes, **flags), (scores,))


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), LARGE_SIZES)
def test_cross_entropy_in_strips_equals_torch_on_the_whole_map(cells, size, align_corners, several):
    scores, mask = (3 * random(*cells)).requires_grad_(), random_mask(cells[1], (cells[0], *size))
    row_classes = torch.arange(cells[1]) if several else None
    loss = cross_entropy(scores, mask.to(torch.uint8), row_classes, align_corners=align_corners)
    expected = F.cross_entropy(upsampled(scores, size, align_corners), mask, ignore_index=IGNORE)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    (gradient,), (expected_gradient,) = (torch.autograd.grad(value, scores) for value in (loss, expected))
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-15)


def test_repeating_every_row_does_not_change_the_cross_entropy():
    scores, mask = random(1, 4, 5, 6), random_mask(4, (1, 40, 48))
    repeated = scores.repeat_interleave(3, dim=1)
    row_classes = torch.arange(4).repeat_interleave(3)
    torch.testing.assert_close(cross_entropy(repeated, mask, row_classes), cross_entropy(scores, mask))


def test_cross_entropy_of_one_row_a_class_does_not_depend_on_the_order_of_rows():
    scores, mask, order = random(1, 4, 5, 6), random_mask(4, (1, 40, 48)), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(cross_entropy(scores[:, order], mask, order), cross_entropy(scores, mask))


@pytest.mark.parametrize("row_classes", [None, torch.tensor([0, 0, 1, 1])], ids=["one", "several"])
def test_cross_entropy_without_a_labelled_pixel_is_zero_with_zero_gradient(row_classes):
    scores = random(2, 4, 3, 4).requires_grad_()
    loss = cross_entropy(scores, torch.full((2, 24, 32), IGNORE), row_classes)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(scores.grad, torch.zeros_like(scores))


def test_ignored_pixels_neither_count_nor_weigh():
    scores = random(1, 4, 1, 2).requires_grad_()
    mask = torch.tensor([[[1, IGNORE]]])
    loss = cross_entropy(scores, mask)
    loss.backward()
    assert loss.item() == pytest.approx(-scores[0, :, 0, 0].log_softmax(0)[1].item())
    assert scores.grad[0, :, 0, 1].abs().max() == 0


@pytest.mark.parametrize("total", [30, 30.0, torch.tensor(30)])
def test_a_given_total_replaces_the_number_of_labelled_pixels(total):
    scores, mask = random(1, 4, 3, 4), torch.full((1, 6, 8), IGNORE)
    mask[:, :2] = 1
    torch.testing.assert_close(cross_entropy(scores, mask, total=total), cross_entropy(scores, mask) * 16 / 30)


def test_parts_with_the_common_total_add_up_to_the_whole():
    scores, mask = random(4, 5, 3, 4), random_mask(5, (4, 24, 32))
    mask[0] = IGNORE
    total = (mask != IGNORE).sum()
    parts = [cross_entropy(scores[i : i + 1], mask[i : i + 1], total=total) for i in range(4)]
    torch.testing.assert_close(sum(parts), cross_entropy(scores, mask))


def test_a_total_of_zero_gives_zero():
    assert cross_entropy(random(1, 4, 3, 4), torch.full((1, 6, 8), IGNORE), total=0).item() == 0.0


@pytest.mark.parametrize("value", [4, 254, -1, 300])
def test_a_mask_value_that_is_no_class_is_named(value):
    mask = torch.zeros(1, 6, 8, dtype=torch.int64)
    mask[0, 2, 3] = value
    with pytest.raises(ValueError, match=f"value {value},"):
        cross_entropy(random(1, 4, 3, 4), mask)


def test_a_class_without_a_row_is_named():
    mask = torch.ones(1, 6, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="value 1,"):
        cross_entropy(random(1, 4, 3, 4), mask, torch.tensor([0, 0, 2, 2]))


def test_cross_entropy_is_finite_where_the_true_class_is_hopeless():
    scores = torch.zeros(1, 3, 4, 4)
    scores[:, 0] = 1e4
    scores.requires_grad_()
    loss = cross_entropy(scores, torch.full((1, 32, 32), 2))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert scores.grad.isfinite().all()


def test_cross_entropy_under_autocast_is_formed_in_single_precision():
    scores, mask = random(1, 6, 8, 8).to(torch.bfloat16).requires_grad_(), random_mask(6, (1, 64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cross_entropy(scores, mask)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, cross_entropy(scores.detach().float(), mask))


def test_an_extra_class_never_lowers_the_cross_entropy():
    scores, mask = random(2, 5, 3, 4), random_mask(4, (2, 24, 32))
    assert cross_entropy(scores, mask) >= cross_entropy(scores[:, :4], mask)


# Entropy of the mean assignment


def test_assignment_entropy_is_zero_where_every_cell_goes_to_the_same_row():
    scores = torch.zeros(2, 4, 3, 3)
    scores[:, 1] = 200.0
    assert assignment_entropy(scores, [4]).item() == 0.0


def test_assignment_entropy_of_evenly_spread_certain_cells_is_log_of_the_rows():
    scores = 200.0 * torch.eye(4).reshape(1, 4, 2, 2)
    assert assignment_entropy(scores, [4]).item() == pytest.approx(math.log(4))
    assert entropy(scores, (2, 2), [4]).item() == 0.0


def test_assignment_entropy_equals_hand_computed_value_in_each_group():
    scores = torch.zeros(1, 4, 1, 2)
    scores[0, 0, 0, 0] = math.log(3)  # cells (3/4, 1/4) and (1/2, 1/2): mean (5/8, 3/8)
    expected = -(5 / 8 * math.log(5 / 8) + 3 / 8 * math.log(3 / 8))
    assert assignment_entropy(scores, [2, 2]).tolist() == pytest.approx([expected, math.log(2)])


def test_assignment_entropy_gradient_is_the_numerical_one():
    scores = random(2, 5, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: assignment_entropy(s, [3, 2]), (scores,))
