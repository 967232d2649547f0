"""Learning with latent classes: hand-computed co-occurrences, oracles in plain torch, ablations, limits."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from semiverse.labels import IGNORE
from semiverse.losses import latent_given_class
from semiverse.methods import Adversarial, Latent, Supervised
from semiverse.mixture import Domain, Draws
from semiverse.models import ModelConfig
from tests.methods.worlds import TINY, first_batch, gradients, learner, mixture, moved, players, take_step, validated

DEEPLAB = ModelConfig(encoder="deeplab_resnet101", decoder="aspp_sum", width=1 / 16)
NOTHING = {"labeled_adversary": 0.0, "unlabeled_adversary": 0.0, "pseudo_weight": 0.0}


def latent(data=None, config=TINY, **options):
    return learner(lambda model: Latent(model, **({"latent_classes": 5} | options)), data, config)


def full_batch(method, step=0):
    return first_batch(method.data, step, Draws(unlabeled_from=0, ground_truth=True))


def both_logits(method, images, domain):
    """Logits of classes and of latent classes at the size of the images."""
    features = method.model.features(images, domain)
    found = (
        method.model.classify(features, domain),
        method.latent_branch.logits(features, method.model.space_key(domain)),
    )
    corners = method.model.config.align_corners
    return [F.interpolate(v, size=images.shape[-2:], mode="bilinear", align_corners=corners) for v, _ in found]


def give_latent(method, domain, probabilities):
    """Make the latent branch say the same at every pixel."""
    head = method.latent_branch.heads[domain]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(probabilities).log())


def groups_of(data):
    """Every class is in the group of its first letter."""
    return {name: {title: title[0] for title in space.classes} for name, space in data.label_spaces.items()}


# The objective


@pytest.mark.parametrize("config", [TINY, DEEPLAB], ids=["drn", "deeplab"])
def test_labelled_loss_equals_plain_torch(config):
    method = latent(config=config, latent_weight=0.7, labeled_adversary=0.0, unlabeled_adversary=0.0).double().eval()
    sample = full_batch(method).labeled["streets"]
    sample.mask[0, :9] = IGNORE
    semantic, hidden = both_logits(method, sample.image, "streets")
    labels = F.one_hot(sample.mask.long(), 256).movedim(-1, 1)[:, :8].double()
    counts = torch.einsum("nchw,nlhw->cl", labels, hidden.softmax(1))
    joint = counts / (sample.mask != IGNORE).sum()
    entropy = -torch.xlogy(joint, joint / joint.sum(0)).sum()
    expected = F.cross_entropy(semantic, sample.mask.long(), ignore_index=IGNORE) + 0.7 * entropy
    found = method.labeled_loss(sample, "streets")
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    # batch size 2 of 4 labelled images: half of the batch's counts
    torch.testing.assert_close(method.latent_branch.co_occurrence("streets"), counts / 2)


@pytest.mark.parametrize("config", [TINY, DEEPLAB], ids=["drn", "deeplab"])
def test_unlabelled_loss_equals_plain_torch(config):
    options = {"consistency_weight": 0.3, "consistency_from": 0, "labeled_adversary": 0.0, "unlabeled_adversary": 0.0}
    method = latent(config=config, **options).double().eval()
    occurrence = method.latent_branch.co_occurrence("rooms").uniform_()
    images = full_batch(method).unlabeled["rooms"].image
    semantic, hidden = both_logits(method, images, "rooms")
    given = occurrence / occurrence.sum(1, keepdim=True)
    implied = torch.einsum("cl,nchw->nlhw", given, semantic.softmax(1))
    expected = -0.3 * (hidden.softmax(1) * implied.log()).sum(1).mean()
    assert method.unlabeled_loss(images, "rooms").item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_adversary_is_added_to_both():
    plain = latent(**NOTHING, consistency_from=0)
    method = latent(labeled_adversary=0.5, unlabeled_adversary=0.25, consistency_from=0)
    method.model.load_state_dict(plain.model.state_dict())
    batch = full_batch(method)
    differences = [(one - other).item() for one, other in zip(method.terms(batch), plain.terms(batch), strict=True)]
    means = method.means.take()
    kinds = ("streets/unlabeled", "streets/labeled", "rooms/unlabeled", "rooms/labeled")
    expected = [w * means[f"{kind}_adversarial"] for kind, w in zip(kinds, (0.25, 0.5) * 2, strict=True)]
    assert differences == pytest.approx(expected, abs=1e-5)


def test_consistency_begins_when_it_should_and_counts_nothing_before():
    method = latent()
    method.total_steps = 20000
    batch = full_batch(method)
    for step, wanted in ((0, False), (4999, False), (5000, True)):
        method.steps_done = step
        without = copy.deepcopy(method)
        without.consistency_weight = 0.0
        pairs = [
            (term.item(), other.item()) for term, other in zip(method.terms(batch), without.terms(batch), strict=True)
        ]
        assert [one != other for one, other in pairs] == [wanted, False, wanted, False]
        means = method.means.take()
        assert ("rooms/consistency" in means) == wanted and "rooms/unlabeled_adversarial" in means


def test_unlabelled_images_are_read_from_the_first_step_that_uses_them_on():
    weights = {"labeled_adversary": 0.01, "unlabeled_adversary": 0.0, "consistency_from": 3, "pseudo_from": 5}
    assert latent().draws() == Draws(unlabeled_from=0, ground_truth=True)
    assert latent(**weights).draws().unlabeled_from == 3
    assert latent(**weights, pseudo_weight=0.1).draws().unlabeled_from == 3  # the earlier one
    assert latent(**(weights | {"pseudo_from": 1}), pseudo_weight=0.1).draws().unlabeled_from == 1
    assert latent(**weights, consistency_weight=0.0).draws().unlabeled_from is None
    assert latent(**NOTHING).draws() == Draws(unlabeled_from=2)  # a quarter of ten steps


@pytest.mark.parametrize(
    ("gradient", "learning"),
    [("semantic", {"heads"}), ("latent", {"latent_branch"}), ("both", {"heads", "latent_branch"})],
)
def test_consistency_teaches_the_branch_that_is_asked_for_and_the_trunk(gradient, learning):
    method = latent(gradient=gradient, consistency_from=0)
    take_step(method)  # so that co-occurrences are known
    method.zero_grad()
    images = full_batch(method, 1).unlabeled["streets"].image
    features = method.model.features(images, "streets")
    logits = method.model.classify(features, "streets"), method.latent_branch.logits(features, "streets")
    method.consistency_loss(*logits, images, "streets").backward()
    found = {name for name, gradient in gradients(method).items() if gradient is not None and gradient.abs().sum() > 0}
    assert {name.split(".")[1] for name in found} == {"networks"} | learning
    assert not any("rooms" in name or name.startswith("adversary") for name in found)
    assert not method.latent_branch.co_occurrence("streets").requires_grad


def test_entropy_of_latent_classes_teaches_the_latent_branch_and_the_trunk_alone():
    method = latent()
    sample = full_batch(method).labeled["streets"]
    features = method.model.features(sample.image, "streets")
    method.latent_loss(method.latent_branch.logits(features, "streets"), sample, "streets").backward()
    found = {name for name, gradient in gradients(method).items() if gradient is not None and gradient.abs().sum() > 0}
    assert {name.split(".")[1] for name in found} == {"networks", "latent_branch"}


# Co-occurrence


@pytest.mark.parametrize(("average_over", "rate"), [("labeled", 0.5), ("all", 0.25)])
def test_co_occurrence_after_two_batches_is_the_hand_computed_one(average_over, rate):
    # two of four labelled images a batch, or of eight in all; 12 pixels of class 0, 4 of class 3, the others ignored
    method = latent(latent_classes=2, average_over=average_over)
    first, second = full_batch(method).labeled["streets"], full_batch(method, 1).labeled["streets"]
    for sample in (first, second):
        sample.mask.fill_(IGNORE)
    first.mask[0, 0, :12], first.mask[1, 5, :4] = 0, 3
    give_latent(method, "streets", [0.75, 0.25])
    method.labeled_loss(first, "streets")
    expected = torch.zeros(8, 2)
    expected[0], expected[3] = torch.tensor([9.0, 3.0]) * rate, torch.tensor([3.0, 1.0]) * rate
    torch.testing.assert_close(method.latent_branch.co_occurrence("streets"), expected)
    second.mask[1, :2, :5] = 3
    give_latent(method, "streets", [0.1, 0.9])
    method.labeled_loss(second, "streets")
    expected *= 1 - rate
    expected[3] += torch.tensor([1.0, 9.0]) * rate
    torch.testing.assert_close(method.latent_branch.co_occurrence("streets"), expected)
    assert method.latent_branch.co_occurrence("rooms").abs().sum() == 0


def test_a_batch_of_all_labelled_images_replaces_the_average():
    method = latent(mixture(labeled=1), latent_classes=2)  # two views of the only image
    give_latent(method, "streets", [0.5, 0.5])
    sample = full_batch(method).labeled["streets"]
    for _ in range(2):
        method.labeled_loss(sample, "streets")
        pixels = torch.bincount(sample.mask.flatten().long(), minlength=256)[:8].float()
        torch.testing.assert_close(method.latent_branch.co_occurrence("streets"), pixels[:, None].expand(8, 2) / 2)


def test_validation_moves_no_statistics_and_counts_effective_latent_classes_of_seen_classes():
    method = latent(latent_classes=4)
    take_step(method)
    occurrence = method.latent_branch.co_occurrence("streets")
    occurrence.zero_()
    occurrence[2] = torch.tensor([9.5, 0.0, 0.5, 0.0])
    occurrence[5] = torch.tensor([0.0, 4.0, 3.0, 3.0])  # and six classes were never seen
    method.latent_branch.co_occurrence("rooms").zero_()
    before = copy.deepcopy(method.state_dict())
    scores = validated(method)
    assert not moved(before, method.state_dict())
    counts = {name: score for name, score in scores.items() if "effective" in name}
    assert counts == {
        "streets/effective_latent_classes_0.1": 4,
        "streets/effective_latent_classes_0.9": 1,
        "rooms/effective_latent_classes_0.1": 0,
        "rooms/effective_latent_classes_0.9": 0,
    }
    assert "streets/miou" in scores and "sum_miou" in scores


# Relations to other methods


@pytest.mark.slow
def test_without_the_latent_branch_it_is_adversarial_learning_without_pseudo_labels():
    data = mixture()
    method = latent(data, latent_weight=0.0, consistency_weight=0.0)
    options = {"labeled_adversary": 0.01, "unlabeled_adversary": 0.001, "pseudo_weight": 0.0}
    other = learner(lambda model: Adversarial(model, **options), data)
    going_on = None, None
    for _ in range(3):
        going_on = [take_step(each, None, own) for each, own in zip((method, other), going_on, strict=True)]
    state, expected = method.state_dict(), other.state_dict()
    assert not moved(expected, {name: state[name] for name in expected})
    assert {name.split(".")[0] for name in expected} == {"model", "adversary"}


def test_without_weights_it_is_supervised_learning_bit_for_bit():
    data = mixture()
    method = latent(data, **NOTHING, latent_weight=0.0, consistency_weight=0.0)
    baseline = learner(Supervised, data)
    assert method.draws() == Draws() and not method.opponents() and method.adversary.discriminators is None
    going_on = [
        players(method),
        players(baseline, lr=2.5e-4, weight_decay=5e-4, decay="step", head_factor=10.0),
    ]
    for _ in range(3):
        for each, own in zip((method, baseline), going_on, strict=True):
            take_step(each, going_on=own)
    state, expected = method.model.state_dict(), baseline.model.state_dict()
    assert not moved(expected, {name: state[name] for name in expected})


def test_latent_classes_work_without_any_adversary():
    method = latent(**NOTHING, consistency_from=0)
    before = dict(copy.deepcopy(method).named_parameters())
    take_step(method)
    assert method.adversary.discriminators is None and not method.opponents()
    assert moved(before, dict(method.named_parameters())) == set(before)
    assert {"streets/consistency", "rooms/latent"} <= method.means.take().keys()


# Ablations


@pytest.mark.parametrize("branch", ["groups", "classes"])
def test_given_super_classes_or_classes_are_learned_by_cross_entropy(branch):
    data = mixture()
    method = latent(data, branch=branch, groups=groups_of(data), latent_weight=0.5, **NOTHING, consistency_from=0)
    sample = full_batch(method).labeled["streets"]
    sample.mask[0, :9] = IGNORE
    semantic, hidden = both_logits(method, sample.image, "streets")
    titles = data.label_spaces["streets"].classes
    letters = list(dict.fromkeys(title[0] for title in titles))
    numbers = [letters.index(title[0]) for title in titles] if branch == "groups" else list(range(8))
    assert hidden.shape[1] == max(numbers) + 1
    target = torch.full((256,), IGNORE)
    target[:8] = torch.tensor(numbers)
    expected = F.cross_entropy(semantic, sample.mask.long(), ignore_index=IGNORE)
    expected = expected + 0.5 * F.cross_entropy(hidden, target[sample.mask.long()], ignore_index=IGNORE)
    assert method.labeled_loss(sample, "streets").item() == pytest.approx(expected.item(), rel=1e-5)
    pixels = torch.bincount(sample.mask.flatten().long(), minlength=256)[:8] / 2
    torch.testing.assert_close(method.latent_branch.co_occurrence("streets").sum(1), pixels)
    take_step(method)
    given = latent_given_class(method.latent_branch.co_occurrence("streets"))
    assert given.shape == (8, max(numbers) + 1)


def test_twins_are_both_taught_judged_and_drawn_together():
    method = latent(branch="twin", consistency_from=0)
    batch = full_batch(method)
    images = batch.unlabeled["streets"].image
    features = method.model.features(images, "streets")
    one, two = method.model.classify(features, "streets"), method.latent_branch.logits(features, "streets")
    loss = method.consistency_loss(one, two, images, "streets")
    up = [F.interpolate(v, size=(32, 48), mode="bilinear").log_softmax(1) for v, _ in (one, two)]
    divergence = [F.kl_div(a, b, log_target=True, reduction="none").sum(1).mean() for a, b in (up, reversed(up))]
    assert loss.item() == pytest.approx(sum(divergence).item(), rel=1e-5)
    loss.backward()
    for head in (method.model.heads["streets"], method.latent_branch.heads["streets"]):
        assert head.weight.grad.abs().sum() > 0
    list(method.terms(batch))
    assert [prediction.mask is None for prediction in method.adversary.predictions] == [True, True, False, False] * 2
    assert not torch.equal(method.adversary.predictions[0].logits.values, method.adversary.predictions[1].logits.values)
    method.model.heads["streets"].load_state_dict(method.latent_branch.heads["streets"].state_dict())
    same = method.latent_branch.logits(features, "streets")
    assert method.consistency_loss(same, same, images, "streets").item() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("branch", ["latent", "groups", "classes", "twin"])
def test_every_branch_takes_steps_that_move_all_that_learns(branch):
    data = mixture(names=("streets", "rooms", "dusk"))
    data.domains["dusk"] = Domain(data.domains["dusk"].dataset, labeled=0)
    method = latent(
        data, branch=branch, groups={k: v for k, v in groups_of(data).items() if k != "dusk"}, consistency_from=0
    )
    before = dict(copy.deepcopy(method).named_parameters())
    take_step(method, going_on=take_step(method))
    assert moved(before, dict(method.named_parameters())) == set(before)
    assert set(method.latent_branch.outputs) == {"streets", "rooms"}
    assert "dusk/consistency" in method.means.take()


def test_a_label_space_that_nobody_labels_is_left_alone():
    data = mixture()
    data.domains["rooms"] = Domain(data.domains["rooms"].dataset, labeled=0)
    method = latent(data, consistency_from=0)
    take_step(method)
    assert not any(name.startswith("rooms/") for name in method.means.take())
    assert validated(method)["rooms/effective_latent_classes_0.1"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("branch", ["latent", "twin"])
def test_a_step_in_half_precision_is_finite_and_its_losses_are_not_halved(branch):
    method = latent(branch=branch, consistency_from=0)
    batch = full_batch(method)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = [*method.terms(batch), *method.opponents()[0].terms(batch)]
        take_step(method, batch)
    assert all(term.dtype == torch.float32 and term.isfinite() for term in terms)
    assert method.latent_branch.co_occurrence("rooms").dtype == torch.float32
    assert all(value.isfinite().all() for value in method.state_dict().values())


def test_groups_may_be_given_under_any_domain_of_a_label_space():
    data = mixture(names=("streets", "dusk"))
    tables = [latent(data, branch="groups", groups={n: groups_of(data)[n]}).group_tables for n in ("streets", "dusk")]
    assert tables[0] == tables[1] and list(tables[0]) == ["streets"]


@pytest.mark.parametrize(
    ("options", "config", "message"),
    [
        ({"branch": "groups"}, TINY, "no grouping of label space"),
        ({"branch": "groups", "groups": {"sea": {}}}, TINY, "no domain 'sea'"),
        ({"branch": "groups", "groups": {"rooms": {"wall": "up"}}}, TINY, "no group for"),
        ({}, replace(TINY, none_class=True), "none_class: true: set it to false"),
        (NOTHING, replace(TINY, none_class=True), "none_class: true: set it to false"),
    ],
)
def test_wrong_options_are_refused(options, config, message):
    with pytest.raises(ValueError, match=message):
        latent(config=config, **options)


def test_latent_loss_at_the_start_lies_between_zero_and_the_entropy_of_the_classes():
    method = latent()
    take_step(method)
    means = method.means.take()
    for domain, space in method.data.label_spaces.items():
        assert 0 < means[f"{domain}/latent"] <= math.log(len(space))
