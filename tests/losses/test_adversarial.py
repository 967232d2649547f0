"""Adversarial terms and pseudo-labels against loops over pixels, and their limits."""

import math

import pytest
import torch

from semiverse.labels import IGNORE
from semiverse.losses import FAKE, REAL, adversarial_loss, cross_entropy, one_hot_map, pseudo_labels
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import modes, random, random_mask, upsampled


def loop_adversarial(logits, label, mask=None, least_squares=False):
    """Mean over counted pixels of (N, 1, H, W) judgements, pixel by pixel."""
    losses = []
    for n, _, y, x in torch.cartesian_prod(*(torch.arange(size) for size in logits.shape)).tolist():
        if mask is not None and mask[n, y, x] == IGNORE:
            continue
        value = logits[n, 0, y, x].item()
        probability = 1 / (1 + math.exp(-value))
        logistic = -(label * math.log(probability) + (1 - label) * math.log(1 - probability))
        losses.append((value - label) ** 2 if least_squares else logistic)
    return sum(losses) / len(losses)


ALIGNED = Upsampling(align_corners=True)
kinds = pytest.mark.parametrize("least_squares", [False, True], ids=["logistic", "least-squares"])


@kinds
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("label", [REAL, FAKE])
def test_adversarial_loss_equals_a_loop_over_pixels(label, masked, least_squares):
    logits, mask = 2 * random(2, 1, 3, 4), random_mask(5, (2, 11, 9)) if masked else None
    expected = loop_adversarial(upsampled(logits, (11, 9), align_corners=True), label, mask, least_squares)
    loss = adversarial_loss(ScoreMap(logits, ALIGNED).at((11, 9)), label, mask, least_squares)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@kinds
def test_adversarial_gradient_is_the_numerical_one(least_squares):
    logits, mask = random(2, 1, 3, 4).requires_grad_(), random_mask(3, (2, 8, 9))
    assert torch.autograd.gradcheck(
        lambda s: adversarial_loss(ScoreMap(s, ALIGNED).at((8, 9)), REAL, mask, least_squares), (logits,)
    )


def test_a_discriminator_that_knows_nothing_costs_log_two():
    undecided, mask = torch.zeros(2, 1, 8, 9), random_mask(3, (2, 8, 9))
    assert adversarial_loss(undecided, REAL, mask).item() == pytest.approx(0.693147, abs=1e-6)
    both = 0.5 * adversarial_loss(undecided, FAKE, mask) + 0.5 * adversarial_loss(undecided, REAL, mask)
    assert both.item() == pytest.approx(0.693147, abs=1e-6)


@kinds
def test_ignored_pixels_do_not_matter(least_squares):
    logits, mask = random(1, 1, 6, 6), random_mask(3, (1, 6, 6))
    changed = torch.where(mask[:, None] == IGNORE, 1e6, logits).requires_grad_()
    loss = adversarial_loss(changed, FAKE, mask, least_squares=least_squares)
    loss.backward()
    assert torch.equal(loss, adversarial_loss(logits, FAKE, mask, least_squares=least_squares))
    assert changed.grad[mask[:, None] == IGNORE].abs().max() == 0


@kinds
def test_adversarial_loss_where_all_is_ignored_is_zero_with_zero_gradient(least_squares):
    logits = random(2, 1, 3, 4).requires_grad_()
    loss = adversarial_loss(logits, REAL, torch.full((2, 3, 4), IGNORE), least_squares=least_squares)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_adversarial_loss_of_huge_half_precision_logits_is_finite(dtype):
    logits = (1e3 * random(1, 1, 4, 4)).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logistic, squares = (adversarial_loss(logits, REAL, least_squares=s) for s in (False, True))
    (logistic + squares).backward()
    assert logistic.dtype == squares.dtype == torch.float32
    assert squares > 65504  # more than half precision holds
    assert logits.grad.isfinite().all()


def test_a_mask_of_other_images_is_refused():
    with pytest.raises(ValueError, match="mask of the judged images"):
        adversarial_loss(random(2, 1, 8, 9), REAL, torch.zeros(1, 8, 9))
    with pytest.raises(ValueError, match=r"expected \(2, 3, 4\)"):
        adversarial_loss(random(2, 1, 3, 4), REAL, torch.zeros(2, 8, 9))


def test_one_hot_map_has_the_labels_and_nothing_where_ignored():
    maps = one_hot_map(torch.tensor([[[0, 2, IGNORE]]]), 3)
    assert maps.dtype == torch.float32
    assert maps[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


# Pseudo-labels


def loop_pseudo_labels(scores, judgement, threshold):
    """Best class where the sigmoid reaches the threshold, pixel by pixel."""
    images, _, height, width = scores.shape
    labels = torch.full((images, height, width), IGNORE)
    for n in range(images):
        for y in range(height):
            for x in range(width):
                if 1 / (1 + math.exp(-judgement[n, 0, y, x].item())) >= threshold:
                    values = scores[n, :, y, x].tolist()
                    labels[n, y, x] = values.index(max(values))
    return labels


def pseudo_label_loss(scores, judgement, size, threshold, upsampling=ALIGNED):
    """Cross entropy with a model's own predictions where a discriminator trusts them, as methods form it."""
    own = ScoreMap(scores, upsampling)
    return cross_entropy(own, pseudo_labels(own, ScoreMap(judgement, upsampling), size, threshold))


@modes
def test_pseudo_labels_equal_a_loop_over_pixels(flags):
    upsampling = Upsampling(**flags)
    scores, judgement = ScoreMap(random(2, 5, 3, 4), upsampling), ScoreMap(2 * random(2, 1, 2, 2, seed=1), upsampling)
    expected = loop_pseudo_labels(scores.at((11, 9)), judgement.at((11, 9)), 0.4)
    found = pseudo_labels(scores, judgement, (11, 9), 0.4)
    assert 0 < (found == IGNORE).sum() < found.numel()
    assert torch.equal(found.long(), expected)
    loss = pseudo_label_loss(scores.values, judgement.values, (11, 9), 0.4, upsampling)
    reference = torch.nn.functional.cross_entropy(scores.at((11, 9)), expected, ignore_index=IGNORE)
    torch.testing.assert_close(loss, reference, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("threshold", "share"), [(0.2, 1.0), (0.5, 1.0), (1.0, 0.0)])
def test_share_of_pixels_that_an_undecided_discriminator_trusts(threshold, share):
    labels = pseudo_labels(ScoreMap(random(2, 5, 3, 4)), ScoreMap(torch.zeros(2, 1, 1, 1)), (8, 9), threshold)
    assert (labels != IGNORE).double().mean().item() == share


def test_pseudo_label_gradient_is_the_numerical_one_with_labels_held_fixed_and_never_reaches_the_discriminator():
    scores, judgement = random(2, 5, 3, 4).requires_grad_(), random(2, 1, 2, 2, seed=1).requires_grad_()
    pseudo_label_loss(scores, judgement, (8, 9), 0.4).backward()
    labels = pseudo_labels(ScoreMap(scores, ALIGNED), ScoreMap(judgement, ALIGNED), (8, 9), 0.4)
    fixed = scores.detach().clone().requires_grad_()
    cross_entropy(ScoreMap(fixed, ALIGNED), labels).backward()
    assert torch.equal(scores.grad, fixed.grad)
    assert judgement.grad is None
    assert torch.autograd.gradcheck(lambda s: pseudo_label_loss(s, judgement, (8, 9), 0.4), (scores,), eps=1e-7)


def test_pseudo_labels_that_nobody_trusts_cost_nothing():
    scores = random(2, 5, 3, 4).requires_grad_()
    loss = pseudo_label_loss(scores, torch.full((2, 1, 1, 1), -50.0), (8, 9), 0.2)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(scores.grad, torch.zeros_like(scores))


def test_pseudo_label_loss_does_not_depend_on_the_names_of_classes():
    scores, judgement, order = random(2, 5, 3, 4), random(2, 1, 2, 2, seed=1), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(
        pseudo_label_loss(scores[:, order], judgement, (8, 9), 0.4),
        pseudo_label_loss(scores, judgement, (8, 9), 0.4),
    )


def test_pseudo_label_loss_in_half_precision_is_finite():
    scores = (100 * random(1, 5, 4, 4)).half().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pseudo_label_loss(scores, torch.zeros(1, 1, 1, 1).half(), (16, 16), 0.2)
    loss.backward()
    assert loss.dtype == torch.float32
    assert scores.grad.isfinite().all()
