"""Cross entropy against a slow loop in double precision, and plain autograd at full resolution."""

import math

import pytest
import torch
import torch.nn.functional as F

from semiverse.labels import IGNORE
from semiverse.losses import cross_entropy
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import LARGE_SIZES, modes, random, random_mask, upsampled


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


@pytest.mark.parametrize("align_corners", [False, True])
def test_cross_entropy_equals_a_loop_over_pixels(align_corners):
    scores, mask = 2 * random(2, 5, 3, 4), random_mask(5, (2, 11, 9))
    expected = loop_cross_entropy(upsampled(scores, (11, 9), align_corners), mask, range(5))
    assert cross_entropy(ScoreMap(scores, Upsampling(align_corners)), mask).item() == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_with_several_rows_a_class_sums_their_probabilities():
    scores, mask, row_classes = 2 * random(2, 7, 3, 4), random_mask(3, (2, 11, 9)), [2, 0, 0, 1, 2, 2, 1]
    expected = loop_cross_entropy(upsampled(scores, (11, 9)), mask, row_classes)
    assert cross_entropy(ScoreMap(scores), mask, torch.tensor(row_classes)).item() == pytest.approx(expected, rel=1e-12)


@modes
@pytest.mark.parametrize("row_classes", [None, torch.tensor([2, 0, 1, 1, 0])], ids=["one", "several"])
def test_cross_entropy_gradient_is_the_numerical_one(row_classes, flags):
    scores = random(2, 5, 3, 4).requires_grad_()
    mask = random_mask(3, (2, 8, 9))
    assert torch.autograd.gradcheck(
        lambda s: cross_entropy(ScoreMap(s, Upsampling(**flags)), mask, row_classes), (scores,)
    )


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("cells", "size"), LARGE_SIZES)
def test_cross_entropy_in_strips_equals_torch_on_the_whole_map(cells, size, align_corners, several):
    scores, mask = (3 * random(*cells)).requires_grad_(), random_mask(cells[1], (cells[0], *size))
    row_classes = torch.arange(cells[1]) if several else None
    loss = cross_entropy(ScoreMap(scores, Upsampling(align_corners)), mask.to(torch.uint8), row_classes)
    expected = F.cross_entropy(upsampled(scores, size, align_corners), mask, ignore_index=IGNORE)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    (gradient,), (expected_gradient,) = (torch.autograd.grad(value, scores) for value in (loss, expected))
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-15)


def test_repeating_every_row_does_not_change_the_cross_entropy():
    scores, mask = random(1, 4, 5, 6), random_mask(4, (1, 40, 48))
    repeated = scores.repeat_interleave(3, dim=1)
    row_classes = torch.arange(4).repeat_interleave(3)
    torch.testing.assert_close(
        cross_entropy(ScoreMap(repeated), mask, row_classes), cross_entropy(ScoreMap(scores), mask)
    )


def test_cross_entropy_of_one_row_a_class_does_not_depend_on_the_order_of_rows():
    scores, mask, order = random(1, 4, 5, 6), random_mask(4, (1, 40, 48)), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        cross_entropy(ScoreMap(scores[:, order]), mask, order), cross_entropy(ScoreMap(scores), mask)
    )


@pytest.mark.parametrize("row_classes", [None, torch.tensor([0, 0, 1, 1])], ids=["one", "several"])
def test_cross_entropy_without_a_labelled_pixel_is_zero_with_zero_gradient(row_classes):
    scores = random(2, 4, 3, 4).requires_grad_()
    loss = cross_entropy(ScoreMap(scores), torch.full((2, 24, 32), IGNORE), row_classes)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(scores.grad, torch.zeros_like(scores))


def test_ignored_pixels_neither_count_nor_weigh():
    scores = random(1, 4, 1, 2).requires_grad_()
    mask = torch.tensor([[[1, IGNORE]]])
    loss = cross_entropy(ScoreMap(scores), mask)
    loss.backward()
    assert loss.item() == pytest.approx(-scores[0, :, 0, 0].log_softmax(0)[1].item())
    assert scores.grad[0, :, 0, 1].abs().max() == 0


@pytest.mark.parametrize("total", [30, 30.0, torch.tensor(30)])
def test_a_given_total_replaces_the_number_of_labelled_pixels(total):
    scores, mask = random(1, 4, 3, 4), torch.full((1, 6, 8), IGNORE)
    mask[:, :2] = 1
    torch.testing.assert_close(
        cross_entropy(ScoreMap(scores), mask, total=total), cross_entropy(ScoreMap(scores), mask) * 16 / 30
    )


def test_parts_with_the_common_total_add_up_to_the_whole():
    scores, mask = random(4, 5, 3, 4), random_mask(5, (4, 24, 32))
    mask[0] = IGNORE
    total = (mask != IGNORE).sum()
    parts = [cross_entropy(ScoreMap(scores[i : i + 1]), mask[i : i + 1], total=total) for i in range(4)]
    torch.testing.assert_close(sum(parts), cross_entropy(ScoreMap(scores), mask))


def test_a_total_of_zero_gives_zero():
    assert cross_entropy(ScoreMap(random(1, 4, 3, 4)), torch.full((1, 6, 8), IGNORE), total=0).item() == 0.0


@pytest.mark.parametrize("value", [4, 254, -1, 300])
def test_a_mask_value_that_is_no_class_is_named(value):
    mask = torch.zeros(1, 6, 8, dtype=torch.int64)
    mask[0, 2, 3] = value
    with pytest.raises(ValueError, match=f"value {value},"):
        cross_entropy(ScoreMap(random(1, 4, 3, 4)), mask)


def test_a_class_without_a_row_is_named():
    mask = torch.ones(1, 6, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="value 1,"):
        cross_entropy(ScoreMap(random(1, 4, 3, 4)), mask, torch.tensor([0, 0, 2, 2]))


def test_cross_entropy_is_finite_where_the_true_class_is_hopeless():
    scores = torch.zeros(1, 3, 4, 4)
    scores[:, 0] = 1e4
    scores.requires_grad_()
    loss = cross_entropy(ScoreMap(scores), torch.full((1, 32, 32), 2))
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert scores.grad.isfinite().all()


def test_cross_entropy_under_autocast_is_formed_in_single_precision():
    scores, mask = random(1, 6, 8, 8).to(torch.bfloat16).requires_grad_(), random_mask(6, (1, 64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cross_entropy(ScoreMap(scores), mask)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, cross_entropy(ScoreMap(scores.detach().float()), mask))


def test_an_extra_class_never_lowers_the_cross_entropy():
    scores, mask = random(2, 5, 3, 4), random_mask(4, (2, 24, 32))
    assert cross_entropy(ScoreMap(scores), mask) >= cross_entropy(ScoreMap(scores[:, :4]), mask)


def test_weights_of_classes_are_those_of_torch_and_reach_the_gradient():
    scores, mask = (2 * random(2, 5, 3, 4)).requires_grad_(), random_mask(5, (2, 11, 9))
    weights = torch.tensor([0.25, 1.0, 4.0, 0.5, 2.0])
    loss = cross_entropy(ScoreMap(scores, Upsampling()), mask, weights=weights)
    (gradient,) = torch.autograd.grad(loss, scores)
    values = upsampled(scores, (11, 9))
    expected = F.cross_entropy(values, mask.long(), weights.to(values), ignore_index=IGNORE)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, scores)[0], rtol=1e-9, atol=1e-12)


def test_weights_of_one_are_none_and_a_class_of_several_rows_has_one():
    scores, mask, classes = 2 * random(2, 7, 3, 4), random_mask(3, (2, 11, 9)), torch.tensor([2, 0, 0, 1, 2, 2, 1])
    plain = cross_entropy(ScoreMap(scores, Upsampling()), mask, classes)
    assert cross_entropy(ScoreMap(scores, Upsampling()), mask, classes, weights=torch.ones(3)).item() == plain.item()
    only = cross_entropy(ScoreMap(scores, Upsampling()), mask, classes, weights=torch.tensor([0.0, 3.0, 0.0]))
    of_one = torch.where(mask == 1, mask, IGNORE)
    assert only.item() == pytest.approx(cross_entropy(ScoreMap(scores, Upsampling()), of_one, classes).item(), rel=1e-9)
