"""Label embeddings against the equations, written the slow way in float64."""

import pytest
import torch
import torch.nn.functional as F

from semiverse.labels import LabelSpace
from semiverse.models import LabelEmbeddings

STREETS = LabelSpace("streets", ("road", "car", "sky"))
ROOMS = LabelSpace("rooms", ("floor", "bed"))


def embeddings(centroids: int = 2, **options) -> LabelEmbeddings:
    torch.manual_seed(0)
    module = LabelEmbeddings(6, 4, {"streets": STREETS, "rooms": ROOMS}, centroids, **options).double()
    torch.nn.init.normal_(module.projection.bias)
    return module


def pixels() -> torch.Tensor:
    return torch.randn(2, 6, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_rows_have_length_one_and_name_their_classes():
    module = embeddings()
    assert tuple(module.rows("streets").shape) == (6, 4)
    torch.testing.assert_close(module.rows("streets").norm(dim=1), torch.ones(6, dtype=torch.float64))
    assert module.row_classes("streets").tolist() == [0, 0, 1, 1, 2, 2]


def test_rows_start_random_and_seeded():
    spaces = {"streets": STREETS}
    first, same, other = (LabelEmbeddings(6, 4, spaces, seed=seed).rows("streets") for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_projection_starts_at_the_deviation_of_the_public_code():
    torch.manual_seed(0)
    module = LabelEmbeddings(512, 128, {"streets": STREETS})
    assert module.projection.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.02)
    assert module.projection.bias.abs().max() == 0


@pytest.mark.parametrize("normalize", [False, True])
def test_scores_are_inner_products_of_projected_pixels_and_rows(normalize):
    module = embeddings(normalize_features=normalize, temperature=0.5)
    features = pixels()
    found = module.scores(features, ["rooms", "streets"]).values
    rows = torch.cat([module.rows("rooms"), module.rows("streets")])
    assert tuple(found.shape) == (2, 10, 3, 5)
    for n in range(2):
        for y in range(3):
            for x in range(5):
                projected = module.projection.weight[:, :, 0, 0] @ features[n, :, y, x] + module.projection.bias
                if normalize:
                    projected = projected / projected.norm()
                torch.testing.assert_close(found[n, :, y, x], rows @ projected / 0.5)


def test_no_score_exceeds_the_length_of_its_pixel():
    module = embeddings()
    lengths = module.projection(pixels()).norm(dim=1, keepdim=True)
    assert (module.scores(pixels(), ["streets", "rooms"]).values.abs() <= lengths + 1e-12).all()


def test_gradient_reaches_projection_and_features_as_without_folding():
    module = embeddings()
    features = pixels().requires_grad_()
    module.scores(features, ["streets"]).values.pow(2).sum().backward()
    found = [features.grad, module.projection.weight.grad, module.projection.bias.grad]
    other = pixels().requires_grad_()
    module.zero_grad()
    torch.einsum("rd,ndhw->nrhw", module.rows("streets"), module.projection(other)).pow(2).sum().backward()
    for one, two in zip(found, [other.grad, module.projection.weight.grad, module.projection.bias.grad], strict=True):
        torch.testing.assert_close(one, two)
    assert not any(buffer.requires_grad for buffer in module.buffers())


def test_upsampled_scores_equal_scores_of_upsampled_features():
    module = embeddings()
    for corners in (False, True):
        scale = {"size": (24, 40), "mode": "bilinear", "align_corners": corners}
        late = F.interpolate(module.scores(pixels(), ["streets"]).values, **scale)
        early = module.scores(F.interpolate(pixels(), **scale), ["streets"]).values
        torch.testing.assert_close(late, early)


def test_logits_are_the_best_score_over_the_rows_of_a_class():
    module = embeddings(centroids=3)
    scores = module.scores(pixels(), ["streets"]).values
    expected = torch.stack([scores[:, 3 * c : 3 * c + 3].max(dim=1).values for c in range(3)], dim=1)
    torch.testing.assert_close(module.logits(pixels(), "streets").values, expected)


def test_absent_classes_have_no_rows_and_never_win():
    module = embeddings()
    values = torch.randn(3, 2, 4, dtype=torch.float64)
    values[1] = torch.nan  # what a mean over no pixel is
    module.set_rows("streets", values, torch.tensor([True, False, True]))
    assert module.row_classes("streets").tolist() == [0, 0, 2, 2]
    torch.testing.assert_close(module.rows("streets"), F.normalize(values[[0, 2]].flatten(0, 1), dim=1))
    assert tuple(module.scores(pixels(), ["streets", "rooms"]).values.shape) == (2, 8, 3, 5)
    logits = module.logits(pixels() * 1e6, "streets").values
    assert set(logits.argmax(dim=1).unique().tolist()) <= {0, 2}
    assert F.interpolate(logits.float(), size=(40, 40), mode="bilinear").isfinite().all()
    assert module.logits(pixels(), "streets").values[:, 1].max() < -1e30


@pytest.mark.parametrize(
    ("values", "present"),
    [
        (torch.zeros(3, 1, 4), torch.ones(3, dtype=torch.bool)),
        (torch.zeros(3, 2, 4), torch.ones(2, dtype=torch.bool)),
        (torch.zeros(3, 2, 4), torch.zeros(3, dtype=torch.bool)),
        (torch.full((3, 2, 4), torch.nan), torch.ones(3, dtype=torch.bool)),
    ],
)
def test_rows_that_do_not_fit_are_refused(values, present):
    module = embeddings()
    before = module.rows("streets")
    with pytest.raises(ValueError, match="expected"):
        module.set_rows("streets", values, present)
    assert torch.equal(module.rows("streets"), before)


@pytest.mark.parametrize("theta", [0.0, 0.5, 1.0])
def test_update_mixes_the_unnormalised_rows_that_were_seen(theta):
    module = embeddings()
    table = module.spaces["streets"]
    old = table.accumulator.clone()
    means = torch.randn(3, 2, 4, dtype=torch.float64) * 7
    seen = torch.tensor([[True, True], [False, False], [False, True]])
    module.update("streets", means, seen, theta)
    for c, k in ((0, 0), (0, 1), (2, 1)):
        torch.testing.assert_close(table.accumulator[c, k], theta * old[c, k] + (1 - theta) * means[c, k])
    assert torch.equal(table.accumulator[~seen], old[~seen])
    torch.testing.assert_close(module.rows("streets").norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_theta_one_changes_no_bit():
    module = embeddings()
    table = module.spaces["streets"]
    table.accumulator[0, 0, 0] = -0.0
    before = table.accumulator.clone()
    for _ in range(3):
        module.update("streets", torch.full((3, 2, 4), torch.inf), torch.ones(3, 2, dtype=torch.bool), 1.0)
    assert torch.equal(table.accumulator.view(torch.int64), before.view(torch.int64))


def test_mean_of_an_unseen_class_does_not_matter_and_absent_classes_stay_absent():
    module = embeddings()
    values = torch.randn(3, 2, 4, dtype=torch.float64)
    module.set_rows("streets", values, torch.tensor([True, True, False]))
    means = torch.full((3, 2, 4), torch.nan)
    means[0] = 1.0
    module.update("streets", means, torch.tensor([[True, True], [False, False], [False, False]]), 0.25)
    assert module.rows("streets").isfinite().all()
    assert module.row_classes("streets").tolist() == [0, 0, 1, 1]


def test_two_updates_keep_the_length_of_what_they_average():
    """Mixing happens before normalisation: a long mean counts for more (Eq. 7)."""
    module = LabelEmbeddings(2, 2, {"rooms": ROOMS})
    module.set_rows("rooms", torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.ones(2, dtype=torch.bool))
    module.update("rooms", torch.tensor([[[0.0, 3.0]], [[0.0, 1.0]]]), torch.ones(2, 1, dtype=torch.bool), 0.5)
    torch.testing.assert_close(module.rows("rooms")[0], torch.tensor([1.0, 3.0]) / 10**0.5)


def test_bfloat16_autocast_gives_scores_close_to_exact_ones():
    module = embeddings().float()
    features = pixels().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module.scores(features, ["streets"]).values
    torch.testing.assert_close(found.float(), module.scores(features, ["streets"]).values, atol=0.15, rtol=0.05)


def test_unknown_label_space_and_sizes_are_refused():
    with pytest.raises(ValueError, match="expected one of streets, rooms"):
        embeddings().rows("gardens")
    for options in ({"embed_dim": 0}, {"centroids": 0}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match="expected positive"):
            LabelEmbeddings(6, **{"embed_dim": 4, "label_spaces": {"rooms": ROOMS}, **options})
