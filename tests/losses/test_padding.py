"""Pixels beyond the image, as a mask says, count in no loss: slow loops in double precision, gradients, limits."""

import math

import pytest
import torch

from semiverse.labels import IGNORE
from semiverse.losses import adversarial_loss, assignment_entropy, consistency, entropy, symmetric_divergence
from semiverse.upsampling import ScoreMap, Upsampling
from tests.losses.maps import modes, random

SIZE = (11, 13)
GIVEN = random(4, 3, seed=7).softmax(1)
# of the first image the lower right lies outside, of the second the left
BEYOND = torch.zeros(2, *SIZE, dtype=torch.uint8)
BEYOND[0, 7:] = BEYOND[0, :, 9:] = BEYOND[1, :, :4] = IGNORE


def shares(values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def of_pixel(kind, scores):
    """The loss of one pixel with these scores, of four classes and of three latent classes or four classes more."""
    p, q = shares(scores[:4]), shares(scores[4:])
    if kind == "entropy":
        return -sum(one * math.log(one) for one in p)
    if kind == "consistency":
        implied = [sum(GIVEN[c, k].item() * p[c] for c in range(4)) for k in range(3)]
        return -sum(q[k] * math.log(implied[k]) for k in range(3))
    return sum((p[c] - q[c]) * (math.log(p[c]) - math.log(q[c])) for c in range(4))


LOSSES = {
    "entropy": lambda one, _, mask, total: entropy(one, SIZE, [4], mask, total)[0],
    "consistency": lambda one, two, mask, total: consistency(one, two, GIVEN, SIZE, "both", mask, total),
    "divergence": lambda one, two, mask, total: symmetric_divergence(one, two, SIZE, mask, total),
}
losses = pytest.mark.parametrize("kind", LOSSES)


def maps(kind, flags, seed=0, cells=(3, 4)):
    second = 4 if kind == "divergence" else 3
    values = 2 * random(2, 4, *cells, seed=seed), 2 * random(2, second, *cells, seed=seed + 1)
    return [ScoreMap(one.requires_grad_(), Upsampling(**flags)) for one in values]


@losses
@modes
def test_a_mean_over_pixels_of_images_equals_a_loop_over_them(kind, flags):
    one, two = maps(kind, flags)
    both = torch.cat([one.at(SIZE), two.at(SIZE)], dim=1).detach()
    inside = [(n, y, x) for n in range(2) for y in range(11) for x in range(13) if BEYOND[n, y, x] == 0]
    assert len(inside) == 7 * 9 + 11 * 9
    expected = sum(of_pixel(kind, both[n, :, y, x].tolist()) for n, y, x in inside)
    found = LOSSES[kind](one, two, BEYOND, None)
    assert found.item() == pytest.approx(expected / len(inside), rel=1e-12)
    assert LOSSES[kind](one, two, BEYOND, 50.0).item() == pytest.approx(expected / 50, rel=1e-12)


@losses
@modes
def test_its_gradient_is_the_numerical_one(kind, flags):
    one, two = maps(kind, flags)

    def loss(first, second=two.values):
        return LOSSES[kind](one._replace(values=first), two._replace(values=second), BEYOND, None)

    values = (one.values,) if kind == "entropy" else (one.values, two.values)
    assert torch.autograd.gradcheck(loss, values)


@losses
def test_scores_beyond_the_image_change_nothing_and_get_no_gradient(kind):
    one, two = maps(kind, {}, cells=SIZE)  # every pixel is a cell
    other = [own._replace(values=torch.where((BEYOND == IGNORE)[:, None], 9.0, own.values)) for own in (one, two)]
    loss = LOSSES[kind](one, two, BEYOND, None)
    assert loss.item() == pytest.approx(LOSSES[kind](*other, BEYOND, None).item(), rel=1e-14)
    loss.backward()
    for own in (one, two)[: 1 if kind == "entropy" else 2]:
        outside = (BEYOND == IGNORE)[:, None].expand_as(own.values)
        assert own.values.grad[outside].abs().max() == 0 < own.values.grad[~outside].abs().min()


@losses
def test_where_everything_is_image_a_mask_changes_no_bit_and_where_nothing_is_the_loss_is_zero(kind):
    one, two = maps(kind, {})
    plain, masked = (LOSSES[kind](one, two, mask, None) for mask in (None, torch.zeros_like(BEYOND)))
    assert torch.equal(plain, masked)
    gradients = [torch.autograd.grad(loss, one.values)[0] for loss in (plain, masked)]
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0
    nothing = LOSSES[kind](one, two, torch.full_like(BEYOND, IGNORE), None)
    assert nothing.item() == 0.0 and not torch.autograd.grad(nothing, one.values)[0].any()


def test_labelled_pixels_and_pixels_of_images_are_counted_alike_by_the_adversary():
    judgement = random(2, 1, *SIZE)
    expected = [math.log1p(math.exp(-v)) for v in judgement[:, 0][BEYOND == 0].tolist()]
    found = adversarial_loss(judgement, 1.0, BEYOND)
    assert found.item() == pytest.approx(sum(expected) / len(expected), rel=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_entropy_of_the_mean_assignment_is_that_of_cells_in_images(align_corners):
    scores = random(2, 7, 3, 4)
    rows, columns = ((0, 5, 10), (0, 4, 8, 12)) if align_corners else ((1, 5, 9), (1, 4, 8, 11))
    cells = [(n, i, j) for n in range(2) for i in range(3) for j in range(4) if not BEYOND[n, rows[i], columns[j]]]
    assert 0 < len(cells) < 24
    for group, channels in enumerate((slice(0, 4), slice(4, 7))):
        assigned = [shares(scores[n, channels, i, j].tolist()) for n, i, j in cells]
        means = [sum(column) / len(cells) for column in zip(*assigned, strict=True)]
        expected = -sum(mean * math.log(mean) for mean in means)
        found = assignment_entropy(ScoreMap(scores, Upsampling(align_corners)), [4, 3], BEYOND)
        assert found[group].item() == pytest.approx(expected, rel=1e-12)
    everything = torch.zeros_like(BEYOND)
    torch.testing.assert_close(
        assignment_entropy(ScoreMap(scores), [4, 3], everything), assignment_entropy(ScoreMap(scores), [4, 3])
    )
    assert not assignment_entropy(ScoreMap(scores), [4, 3], torch.full_like(BEYOND, IGNORE)).any()
