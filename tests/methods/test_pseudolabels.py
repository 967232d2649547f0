"""Pseudo-labels made once: what strong views of them are, what they cost, and what they leave alone."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.methods import Consistency, Supervised
from semiverse.methods.pseudolabels import strong_view
from semiverse.methods.strong_views import StrongView, generator
from semiverse.mixture import Balance
from semiverse.models.batch_norm import statistics_kept
from tests.fakes.basic import draw, write_mask, write_photo
from tests.methods.worlds import first_batch, learner, mixture, moved, take_step

PLAIN = StrongView(colored=0.0, grey=0.0, blur=0.0, box=0.0)


@pytest.fixture
def data(tmp_path):
    """Streets with pseudo-labels and rooms without."""
    return taught(mixture(balance=Balance()), tmp_path)


def taught(data, folder):
    for i in range(4):
        write_photo(folder / "images" / f"{i}.png", seed=i, size=(32, 48))
        write_mask(folder / "masks" / f"{i}.png", draw(i, (0, 1, 2, 5, IGNORE), (32, 48)))
    data.domains["streets"] = replace(data.domains["streets"], pseudolabels=folder)
    return data


def supervised(data, **options):
    return learner(lambda model: Supervised(model, **options), data).train()


def batch_of(method, step=0):
    return first_batch(method.data, step, method.draws())


def statistics(model):
    return {
        name: value.clone() for name, value in model.named_buffers() if name.endswith(("_mean", "_var"))
    }  # rows: streets, rooms


@pytest.mark.parametrize("kind", [Supervised, Consistency])
def test_the_term_is_the_weighted_cross_entropy_of_the_domains_head_times_its_weight(kind, data):
    method = learner(lambda model: kind(model, pseudo_weight=0.5, strong=PLAIN), data).train()
    batch = batch_of(method)
    sample = batch.pseudolabeled["streets"]
    with statistics_kept(method.model):
        logits = method.model.classify(method.model.features(sample.image, "streets"), "streets").at((32, 48))
    cost = F.cross_entropy(logits, sample.mask.long(), method.class_weights["streets"], ignore_index=IGNORE)
    assert len(set(method.class_weights["streets"].tolist())) > 2
    terms = list(method.terms(batch))
    assert len(terms) >= 3  # two domains with labels, one of them with pseudo-labels
    assert terms[2].item() == pytest.approx(0.5 * cost.item(), rel=1e-5)
    assert method.means.take()["streets/pseudolabeled"] == pytest.approx(cost.item(), rel=1e-5)


def test_running_statistics_are_those_of_labelled_images(data, tmp_path):
    with_them, without = supervised(data), supervised(mixture(balance=Balance()))
    for method in (with_them, without):
        for term in method.terms(batch_of(method)):
            term.backward()
    assert not moved(statistics(without.model), statistics(with_them.model))
    head = "heads.streets"
    gradients = [dict(method.model.named_parameters())[f"{head}.weight"].grad for method in (with_them, without)]
    assert not torch.equal(*gradients)


def test_a_domain_without_labels_has_statistics_of_its_pseudo_labelled_images(data):
    data.domains["streets"] = replace(data.domains["streets"], labeled=0)
    method = supervised(data)
    before, batch = statistics(method.model), batch_of(method)
    assert list(batch.labeled) == ["rooms"]
    list(method.terms(batch))
    assert all((value[0] != before[name][0]).any() for name, value in statistics(method.model).items())


def test_without_changes_a_strong_view_is_the_image(data):
    method = supervised(data)
    sample = batch_of(method).pseudolabeled["streets"]
    view = strong_view(method, sample, "streets", PLAIN)
    assert torch.equal(view.image, sample.image) and torch.equal(view.mask, sample.mask) and view.padding is None


def test_a_box_brings_image_labels_and_padding_of_the_partner(data):
    method, (height, width) = supervised(data), (32, 48)
    images = torch.stack([torch.full((3, height, width), value, dtype=torch.uint8) for value in (10, 20)])
    masks = torch.stack([torch.full((height, width), value, dtype=torch.uint8) for value in (1, 2)])
    padding = torch.zeros_like(masks)
    view = strong_view(method, Sample(images, masks, ["a", "b"], padding), "streets", replace(PLAIN, box=1.0))
    for i, mine in enumerate((1, 2)):
        draws = generator(method.data.seed, method.steps_done, "streets", "pseudolabeled", i)
        replace(PLAIN, box=1.0).recolored(images[i], draws)  # takes its numbers first
        box = replace(PLAIN, box=1.0).boxed((height, width), draws)
        expected = torch.full((height, width), mine, dtype=torch.uint8)
        expected[box] = 3 - mine
        assert torch.equal(view.mask[i], expected)
        assert torch.equal(view.image[i, 0], 10 * expected) and not view.padding.any()


def test_colours_change_images_and_no_label_and_padding_gets_the_mean_colour(data):
    method = supervised(data)
    sample = batch_of(method).pseudolabeled["streets"]
    padding = torch.zeros_like(sample.mask)
    padding[:, 20:] = IGNORE
    view = strong_view(method, sample._replace(padding=padding), "streets", replace(PLAIN, colored=1.0, color=1.0))
    assert torch.equal(view.mask, sample.mask) and torch.equal(view.padding, padding)
    assert not torch.equal(view.image[:, :, :20], sample.image[:, :, :20])
    assert all(len(torch.unique(image[:, 20:].flatten(1), dim=1).T) == 1 for image in view.image)  # one colour


@pytest.mark.parametrize("kind", [Supervised, Consistency])
def test_a_step_is_a_function_of_seed_and_step(kind, data):
    one, two = (learner(kind, data).train() for _ in range(2))
    for method in (one, two):
        take_step(method)
    assert not moved(dict(one.state_dict()), dict(two.state_dict()))


def test_a_negative_weight_is_refused(data):
    for kind in (Supervised, Consistency):
        with pytest.raises(ValueError, match=r"pseudo_weight -1.*expected 0 or more"):
            learner(lambda model, kind=kind: kind(model, pseudo_weight=-1), data)
