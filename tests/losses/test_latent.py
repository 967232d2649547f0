"""Terms of latent classes against loops over pixels, torch's autograd on whole maps, and their limits."""

import math

import pytest
import torch

from semiverse.labels import IGNORE
from semiverse.losses import (
    co_occurrence,
    conditional_entropy,
    consistency,
    cross_entropy,
    effective_latent_classes,
    entropy,
    latent_given_class,
    update_co_occurrence,
)
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import random, random_mask, upsampled

CERTAIN = 200.0


def softmax_of_pixel(scores, n, y, x):
    exponentials = [math.exp(value) for value in scores[n, :, y, x].tolist()]
    return [value / sum(exponentials) for value in exponentials]


def loop_co_occurrence(scores, mask, classes):
    """Sums of latent probabilities at the pixels of each class, pixel by pixel."""
    table = [[0.0] * scores.shape[1] for _ in range(classes)]
    for n, y, x in torch.cartesian_prod(*(torch.arange(size) for size in mask.shape)).tolist():
        if mask[n, y, x] != IGNORE:
            for latent, probability in enumerate(softmax_of_pixel(scores, n, y, x)):
                table[int(mask[n, y, x])][latent] += probability
    return table


def loop_conditional_entropy(scores, mask, classes):
    """-sum P(c, l) log P(c|l) with P from pixels one by one."""
    table = loop_co_occurrence(scores, mask, classes)
    total = sum(map(sum, table))
    value = 0.0
    for latent in range(scores.shape[1]):
        column = sum(row[latent] for row in table)
        value -= sum(row[latent] / total * math.log(row[latent] / column) for row in table if row[latent] > 0)
    return value


def loop_consistency(semantic, latent, probabilities):
    """-sum S_l log sum_c P(l|c) S_c, averaged over pixels one by one."""
    images, classes, height, width = semantic.shape
    value = 0.0
    for n in range(images):
        for y in range(height):
            for x in range(width):
                p, q = softmax_of_pixel(semantic, n, y, x), softmax_of_pixel(latent, n, y, x)
                for label, target in enumerate(q):
                    implied = sum(float(probabilities[c, label]) * p[c] for c in range(classes))
                    value -= target * math.log(max(implied, 1e-8))
    return value / (images * height * width)


def plain_conditional_entropy(scores, mask, classes, align_corners=False):
    """The same by autograd, through both factors, with all pairs of class and latent class at every pixel."""
    q = upsampled(scores, mask.shape[-2:], align_corners).softmax(1)
    labels = torch.stack([mask == c for c in range(classes)], dim=1).to(q.dtype)
    joint = (labels[:, :, None] * q[:, None]).sum((0, 3, 4)) / (mask != IGNORE).sum()
    return -(joint * (joint / joint.sum(0)).log()).sum()


def plain_consistency(semantic, latent, probabilities, size, align_corners=False):
    p, q = (upsampled(scores, size, align_corners).softmax(1) for scores in (semantic, latent))
    implied = (probabilities[:, :, None, None] * p[:, :, None]).sum(1)
    return -(q * implied.clamp(min=1e-8).log()).sum(1).mean()


def a_mapping(classes, latents, seed=7):
    return random(classes, latents, seed=seed).softmax(1)


def one_hot_scores(labels, channels):
    """Scores that are certain of the given channel of each pixel: (N, H, W) → (N, channels, H, W)."""
    return CERTAIN * torch.nn.functional.one_hot(labels, channels).movedim(-1, 1).double()


FOUR_CLASSES = torch.tensor([0, 1, 2, 3]).repeat(2, 6, 2)  # (2, 6, 8), all equally frequent


# Conditional entropy


@pytest.mark.parametrize("align_corners", [False, True])
def test_conditional_entropy_equals_a_loop_over_pixels(align_corners):
    scores, mask = 2 * random(2, 5, 3, 4), random_mask(4, (2, 11, 9))
    full = upsampled(scores, (11, 9), align_corners)
    loss, counts = conditional_entropy(ScoreMap(scores, Upsampling(align_corners)), mask, 4)
    assert loss.item() == pytest.approx(loop_conditional_entropy(full, mask, 4), rel=1e-12)
    table = torch.tensor(loop_co_occurrence(full, mask, 4), dtype=torch.float64)
    torch.testing.assert_close(counts, table, rtol=1e-12, atol=0)
    assert torch.equal(counts, co_occurrence(ScoreMap(scores, Upsampling(align_corners)), mask, 4))


@pytest.mark.parametrize("align_corners", [False, True])
def test_conditional_entropy_gradient_is_the_numerical_one(align_corners):
    scores, mask = random(2, 5, 3, 4).requires_grad_(), random_mask(3, (2, 8, 9))
    assert torch.autograd.gradcheck(
        lambda s: conditional_entropy(ScoreMap(s, Upsampling(align_corners)), mask, 3)[0], (scores,)
    )


@pytest.mark.parametrize("align_corners", [False, True])
def test_conditional_entropy_in_strips_equals_all_pairs_on_the_whole_map(align_corners):
    cells, size = ((3, 45, 13, 17), (97, 131))
    scores, mask = (3 * random(*cells)).requires_grad_(), random_mask(6, (cells[0], *size))
    loss = conditional_entropy(ScoreMap(scores, Upsampling(align_corners)), mask.to(torch.uint8), 6)[0]
    expected = plain_conditional_entropy(scores, mask, 6, align_corners)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (gradient,), (expected_gradient,) = (torch.autograd.grad(value, scores) for value in (loss, expected))
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-15)


def test_latent_classes_that_are_the_classes_leave_no_entropy():
    scores = one_hot_scores(FOUR_CLASSES, 4)
    assert conditional_entropy(ScoreMap(scores), FOUR_CLASSES, 4)[0].item() == pytest.approx(0.0, abs=1e-12)


def test_four_equal_classes_in_two_pairs_leave_log_two():
    scores = one_hot_scores(FOUR_CLASSES // 2, 2)
    assert conditional_entropy(ScoreMap(scores), FOUR_CLASSES, 4)[0].item() == pytest.approx(0.693147, abs=1e-6)


def test_a_function_of_the_class_leaves_the_entropy_of_the_classes_it_merges():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2]).reshape(1, 2, 4)  # 0 and 1 are merged: 3/8 and 2/8
    scores = one_hot_scores(labels // 2, 2)
    merged = 5 / 8 * -(3 / 5 * math.log(3 / 5) + 2 / 5 * math.log(2 / 5))
    assert conditional_entropy(ScoreMap(scores), labels, 3)[0].item() == pytest.approx(merged, rel=1e-12)


def test_the_same_latent_distribution_everywhere_leaves_the_entropy_of_the_classes_and_no_gradient():
    scores = random(5)[None, :, None, None].expand(2, 5, 6, 8).clone().requires_grad_()
    loss, _ = conditional_entropy(ScoreMap(scores), FOUR_CLASSES, 4)
    loss.backward()
    assert loss.item() == pytest.approx(1.386294, abs=1e-6)
    assert scores.grad.abs().max() < 1e-16


@pytest.mark.parametrize("seed", range(5))
def test_conditional_entropy_lies_between_zero_and_the_entropy_of_the_classes(seed):
    scores, mask = 5 * random(2, 3, 4, 5, seed=seed), random_mask(4, (2, 16, 20), seed)
    shares = torch.bincount(mask[mask != IGNORE]) / (mask != IGNORE).sum()
    assert 0 <= conditional_entropy(ScoreMap(scores), mask, 4)[0] <= -torch.xlogy(shares, shares).sum()


def test_conditional_entropy_does_not_depend_on_names_of_latent_classes_nor_of_classes():
    scores, mask = random(2, 5, 8, 9), random_mask(3, (2, 8, 9))
    loss, counts = conditional_entropy(ScoreMap(scores), mask, 3)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted, permuted_counts = conditional_entropy(ScoreMap(scores[:, order]), mask, 3)
    torch.testing.assert_close(permuted, loss)
    torch.testing.assert_close(permuted_counts, counts[:, order])
    names = torch.arange(IGNORE + 1)
    names[:3] = torch.tensor([2, 0, 1])
    torch.testing.assert_close(conditional_entropy(ScoreMap(scores), names[mask], 3)[0], loss)


def test_conditional_entropy_does_not_depend_on_the_order_of_pixels():
    scores, mask = random(2, 5, 8, 9), random_mask(3, (2, 8, 9))
    order = torch.randperm(72, generator=torch.Generator().manual_seed(0))
    shuffled = conditional_entropy(
        ScoreMap(scores.flatten(2)[:, :, order].unflatten(2, (8, 9))), mask.flatten(1)[:, order].unflatten(1, (8, 9)), 3
    )
    torch.testing.assert_close(shuffled[0], conditional_entropy(ScoreMap(scores), mask, 3)[0])


def test_further_ignored_pixels_change_nothing():
    scores, mask = random(2, 5, 8, 9), random_mask(3, (2, 8, 9))
    padded = torch.cat([scores, random(2, 5, 3, 9, seed=1)], dim=2).requires_grad_()
    padded_mask = torch.cat([mask, torch.full((2, 3, 9), IGNORE)], dim=1)
    loss, counts = conditional_entropy(ScoreMap(padded), padded_mask, 3)
    expected, expected_counts = conditional_entropy(ScoreMap(scores), mask, 3)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(counts, expected_counts)
    loss.backward()
    assert padded.grad[:, :, 8:].abs().max() == 0


def test_conditional_entropy_without_a_labelled_pixel_is_zero_with_zero_gradient():
    scores = random(2, 5, 3, 4).requires_grad_()
    loss, counts = conditional_entropy(ScoreMap(scores), torch.full((2, 24, 32), IGNORE), 3)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(scores.grad, torch.zeros_like(scores))
    assert counts.abs().max() == 0


def test_conditional_entropy_of_latent_classes_that_never_occur_is_finite():
    scores = one_hot_scores(FOUR_CLASSES // 2, 6).float().mul_(1e3).requires_grad_()
    loss, _ = conditional_entropy(ScoreMap(scores), FOUR_CLASSES, 4)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_conditional_entropy_under_autocast_is_formed_in_single_precision(dtype):
    scores, mask = random(2, 6, 8, 8, dtype=torch.float32).to(dtype).requires_grad_(), random_mask(5, (2, 64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, counts = conditional_entropy(ScoreMap(scores), mask, 5)
    loss.backward()
    assert loss.dtype == counts.dtype == torch.float32
    assert scores.grad.dtype == dtype
    assert scores.grad.isfinite().all()
    assert torch.equal(loss, conditional_entropy(ScoreMap(scores.detach().float()), mask, 5)[0])


def test_a_mask_value_that_is_no_class_is_named():
    with pytest.raises(ValueError, match="value 3,"):
        conditional_entropy(ScoreMap(random(1, 5, 3, 4)), torch.full((1, 6, 8), 3), 3)


# Co-occurrence


def test_joint_probabilities_sum_to_one_and_their_rows_to_the_shares_of_the_classes():
    scores, mask = random(2, 5, 3, 4), random_mask(4, (2, 24, 32))
    joint = co_occurrence(ScoreMap(scores), mask, 4) / (mask != IGNORE).sum()
    assert joint.sum().item() == pytest.approx(1)
    shares = torch.bincount(mask[mask != IGNORE], minlength=4) / (mask != IGNORE).sum()
    torch.testing.assert_close(joint.sum(1), shares.double())
    assert not co_occurrence(ScoreMap(scores.requires_grad_()), mask, 4).requires_grad


def test_moving_average_of_two_batches_is_the_hand_computed_one():
    first, second = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([[2.0, 2.0], [0.0, 4.0]])
    average = update_co_occurrence(update_co_occurrence(torch.zeros(2, 2), first, 0.1), second, 0.1)
    torch.testing.assert_close(average, torch.tensor([[0.56, 0.2], [0.0, 0.76]]))
    expected = torch.tensor([[0.736842, 0.263158], [0.0, 1.0]])
    torch.testing.assert_close(latent_given_class(average), expected, atol=1e-6, rtol=0)


def test_after_the_first_batch_the_rate_does_not_matter():
    counts = random(3, 4).exp()
    tables = [latent_given_class(update_co_occurrence(torch.zeros(3, 4).double(), counts, a)) for a in (0.001, 0.5)]
    torch.testing.assert_close(*tables)


def test_latent_classes_given_a_class_sum_to_one_and_are_uniform_for_what_was_never_seen():
    occurrence = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    uniform = 1 / 3
    torch.testing.assert_close(latent_given_class(occurrence), torch.tensor([[0.25, 0.75, 0.0], [uniform] * 3]))


def test_effective_classes_of_certain_rows_are_the_distinct_ones_and_fewer_above_higher_thresholds():
    certain = torch.eye(5)[[0, 3, 3, 1]]
    assert [effective_latent_classes(certain, t) for t in (0.1, 0.9)] == [3, 3]
    counts = [effective_latent_classes(a_mapping(6, 9), t) for t in (0.0, 0.1, 0.2, 0.4, 0.9)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (9, 0)
    assert effective_latent_classes(torch.tensor([[0.5, 0.5]]), 0.5) == 0  # strictly above


# Consistency


@pytest.mark.parametrize("align_corners", [False, True])
def test_consistency_equals_a_loop_over_pixels(align_corners):
    semantic, latent, mapping = 2 * random(2, 3, 3, 4), 2 * random(2, 5, 3, 4, seed=1), a_mapping(3, 5)
    expected = loop_consistency(*(upsampled(s, (8, 9), align_corners) for s in (semantic, latent)), mapping)
    value = consistency(
        ScoreMap(semantic, Upsampling(align_corners)), ScoreMap(latent, Upsampling(align_corners)), mapping, (8, 9)
    )
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gradient", ["semantic", "latent", "both"])
def test_consistency_gradient_is_the_numerical_one_of_the_branch_that_learns(gradient):
    semantic, latent, mapping = random(2, 3, 3, 4), random(2, 5, 3, 4, seed=1), a_mapping(3, 5)
    learning = {"semantic": (semantic,), "latent": (latent,), "both": (semantic, latent)}[gradient]
    for branch in learning:
        branch.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *_: consistency(ScoreMap(semantic), ScoreMap(latent), mapping, (7, 9), gradient), learning
    )


@pytest.mark.parametrize("gradient", ["semantic", "latent", "both"])
def test_only_the_branch_that_learns_and_never_the_mapping_gets_a_gradient(gradient):
    semantic, latent, mapping = (
        t.requires_grad_() for t in (random(2, 3, 3, 4), random(2, 5, 3, 4, seed=1), a_mapping(3, 5))
    )
    consistency(ScoreMap(semantic), ScoreMap(latent), mapping, (7, 9), gradient).backward()
    assert (semantic.grad is not None) == (gradient != "latent")
    assert (latent.grad is not None) == (gradient != "semantic")
    assert mapping.grad is None


def test_the_semantic_branch_learns_by_default():
    semantic, latent = random(1, 3, 3, 4).requires_grad_(), random(1, 5, 3, 4, seed=1).requires_grad_()
    consistency(ScoreMap(semantic), ScoreMap(latent), a_mapping(3, 5), (7, 9)).backward()
    assert semantic.grad.abs().max() > 0
    assert latent.grad is None


@pytest.mark.parametrize("align_corners", [False, True])
def test_consistency_in_strips_equals_all_pairs_on_the_whole_map(align_corners):
    semantic = (3 * random(3, 21, 13, 17)).requires_grad_()
    latent = (3 * random(3, 20, 13, 17, seed=1)).requires_grad_()
    mapping = a_mapping(21, 20)
    loss = consistency(
        ScoreMap(semantic, Upsampling(align_corners)),
        ScoreMap(latent, Upsampling(align_corners)),
        mapping,
        (97, 131),
        "both",
    )
    expected = plain_consistency(semantic, latent, mapping, (97, 131), align_corners)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    for found, wanted in zip(*(torch.autograd.grad(v, (semantic, latent)) for v in (loss, expected)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-15)


def test_consistency_under_the_identity_is_the_cross_entropy_with_the_latent_probabilities():
    semantic, labels = random(2, 4, 6, 8), FOUR_CLASSES
    loss = consistency(ScoreMap(semantic), ScoreMap(one_hot_scores(labels, 4)), torch.eye(4), (6, 8))
    torch.testing.assert_close(loss, cross_entropy(ScoreMap(semantic), labels))


def test_consistency_is_the_entropy_of_the_latent_classes_only_where_both_agree():
    semantic, latent = random(2, 4, 3, 4), random(2, 4, 3, 4, seed=1)
    identity = torch.eye(4).double()
    own = entropy(ScoreMap(latent), (12, 16), [4])[0]
    assert consistency(ScoreMap(semantic), ScoreMap(latent), identity, (12, 16)) > own
    torch.testing.assert_close(consistency(ScoreMap(latent), ScoreMap(latent), identity, (12, 16)), own)


def test_implied_latent_probabilities_sum_to_one():
    """With constant log of the implied ones (all rows alike) the loss is that constant, whatever is predicted."""
    mapping = torch.full((3, 5), 0.2, dtype=torch.float64)
    loss = consistency(ScoreMap(random(2, 3, 3, 4)), ScoreMap(random(2, 5, 3, 4, seed=1)), mapping, (7, 9))
    assert loss.item() == pytest.approx(math.log(5))


def test_consistency_does_not_depend_on_names_nor_on_the_order_of_pixels():
    semantic, latent, mapping = random(2, 3, 6, 8), random(2, 5, 6, 8, seed=1), a_mapping(3, 5)
    loss = consistency(ScoreMap(semantic), ScoreMap(latent), mapping, (6, 8))
    rows, columns = torch.tensor([2, 0, 1]), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(
        consistency(ScoreMap(semantic[:, rows]), ScoreMap(latent[:, columns]), mapping[rows][:, columns], (6, 8)), loss
    )
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    pixels = [s.flatten(2)[:, :, order].unflatten(2, (6, 8)) for s in (semantic, latent)]
    torch.testing.assert_close(consistency(*map(ScoreMap, pixels), mapping, (6, 8)), loss)


def test_dormant_latent_classes_cost_at_most_the_log_of_the_least_probability():
    semantic = random(1, 3, 4, 4).requires_grad_()
    latent, mapping = torch.zeros(1, 2, 4, 4).double(), torch.tensor([[1.0, 0.0]] * 3)
    latent[:, 1] = CERTAIN
    loss = consistency(ScoreMap(semantic), ScoreMap(latent), mapping, (8, 8))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-8))
    assert semantic.grad.abs().max() < 1e-80


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_consistency_under_autocast_is_formed_in_single_precision(dtype):
    semantic = (20 * random(1, 3, 8, 8)).to(dtype).requires_grad_()
    latent = (20 * random(1, 5, 8, 8, seed=1)).to(dtype).requires_grad_()
    mapping = torch.eye(5)[:3]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = consistency(ScoreMap(semantic), ScoreMap(latent), mapping, (64, 64), "both")
    loss.backward()
    assert loss.dtype == torch.float32
    assert semantic.grad.isfinite().all()
    assert latent.grad.isfinite().all()
    assert torch.equal(
        loss, consistency(ScoreMap(semantic.detach().float()), ScoreMap(latent.detach().float()), mapping, (64, 64))
    )


@pytest.mark.parametrize(("shape", "gradient"), [((5, 3), "semantic"), ((3, 5), "none")])
def test_a_mapping_of_another_shape_and_an_unknown_branch_are_refused(shape, gradient):
    with pytest.raises(ValueError, match=r"expected \(3, 5\) and semantic"):
        consistency(ScoreMap(random(1, 3, 3, 4)), ScoreMap(random(1, 5, 3, 4)), torch.ones(shape), (7, 9), gradient)
