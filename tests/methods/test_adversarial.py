"""Adversarial semi-supervised learning against plain torch, and who moves in which half of a step."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.labels import IGNORE
from semiverse.methods import Adversarial, Supervised
from semiverse.mixture import Domain, DomainMixture, Draws
from semiverse.models import ModelConfig
from tests.methods.worlds import (
    TINY,
    first_batch,
    gradients,
    learner,
    mixture,
    moved,
    players,
    stopped,
    take_step,
    validated,
)

DEEPLAB = ModelConfig(encoder="deeplab_resnet101", decoder="aspp_sum", width=1 / 16)
THREE = ("streets", "rooms", "dusk")  # dusk has the label space of streets


def adversarial(data=None, config=TINY, kind=Adversarial, **options):
    return learner(lambda model: kind(model, **options), data, config)


def larger():
    """Images of 64 x 96 pixels: discriminators give them 2 x 3 judgements."""
    kinds = {"streets": SyntheticStreets, "rooms": SyntheticRooms}
    domains = {name: Domain(kind(images=4, val_images=1, size=(64, 96)), labeled=2) for name, kind in kinds.items()}
    return DomainMixture(domains, batch_size=2, workers=0)


def full_batch(method, step=0):
    return first_batch(method.data, step, Draws(unlabeled_from=0, ground_truth=True))


def logits_of(method, images, domain):
    return method.model.classify(method.model.features(images, domain), domain).values


def map_of(method, logits, size):
    corners = method.model.config.align_corners
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=corners).softmax(1)


def judged(method, maps, domain):
    """The judgement of every pixel, (N, H, W)."""
    network = method.adversary.discriminators.networks[method.model.space_key(domain)]
    corners = method.model.config.align_corners
    return F.interpolate(network(maps), size=maps.shape[-2:], mode="bilinear", align_corners=corners)[:, 0]


def state(module):
    return copy.deepcopy(module.state_dict())


class Watched(Adversarial):
    """Notes all gradients after each half of a step, and which discriminators may learn meanwhile."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        self.seen, self.learning = [], []

    def terms(self, batch):
        yield from self.noted(super().terms(batch))

    def opponents(self):
        (whole,) = super().opponents()
        return [whole._replace(terms=lambda batch: self.noted(whole.terms(batch)))]

    def noted(self, terms):
        for term in terms:
            self.learning.append({parameter.requires_grad for parameter in self.adversary.parameters()})
            yield term
        self.seen.append({name: None if grad is None else grad.clone() for name, grad in gradients(self).items()})


# The halves of a step


def test_each_half_gives_gradients_to_its_own_parameters_and_leaves_the_others_alone():
    method = adversarial(kind=Watched)
    take_step(method, going_on=take_step(method))
    opponents = {name for name, _ in method.named_parameters() if name.startswith("adversary.")}
    first, second, third, fourth = method.seen
    assert opponents and all(first[name] is None for name in opponents)
    assert all(first[name].abs().sum() > 0 for name in first.keys() - opponents)
    for half, before in ((second, first), (third, second), (fourth, third)):
        own = opponents if half is not third else first.keys() - opponents
        assert all(torch.equal(half[name], before[name]) for name in half.keys() - own)
        assert not any(torch.equal(half[name], before[name]) for name in own if before[name] is not None)
    assert method.learning == [{False}] * 4 + [{True}] * 6 + [{False}] * 4 + [{True}] * 6


@pytest.mark.slow
@pytest.mark.parametrize("still", [0, 1], ids=["model", "discriminators"])
def test_a_learning_rate_of_zero_stops_one_side_and_does_not_touch_the_other(still):
    both, one = (adversarial(discriminator_lr=1e-3) for _ in range(2))
    start = dict(copy.deepcopy(one).named_parameters())
    take_step(both, lr=1e-2)
    take_step(one, going_on=stopped(players(one, lr=1e-2), still))
    found, expected = dict(one.named_parameters()), dict(both.named_parameters())
    learning = {name for name in found if name.startswith("adversary.") == (still == 0)}
    assert moved(start, found) == learning
    assert all(torch.equal(found[name], expected[name]) for name in learning)


@pytest.mark.slow
def test_discriminators_learn_the_loss_of_predictions_made_before_the_step():
    method = adversarial(larger(), kind=Watched)
    batch = full_batch(method)
    batch.labeled["streets"].mask[:, :10] = IGNORE
    batch.ground_truth["streets"].mask[0, :, 7:] = IGNORE
    old = copy.deepcopy(method)
    for domain in ("streets", "rooms"):
        labeled, truth, fakes, counted = batch.labeled[domain], batch.ground_truth[domain], [], []
        for sample, valid in ((batch.unlabeled[domain], None), (labeled, labeled.mask != IGNORE)):
            with torch.no_grad():
                maps = map_of(old, logits_of(old, sample.image, domain), sample.mask.shape[1:])
            fakes.append(judged(old, maps, domain))
            counted.append(torch.ones_like(fakes[-1], dtype=torch.bool) if valid is None else valid)
        fake = torch.cat(fakes)[torch.cat(counted)]
        maps = one_hot(truth.mask, len(method.data.label_spaces[domain]))
        real = judged(old, maps, domain)[truth.mask != IGNORE]
        loss = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        (0.5 * loss + 0.5 * F.binary_cross_entropy_with_logits(real, torch.ones_like(real))).backward()
    take_step(method, batch, lr=10.0)  # a rate that changes every prediction
    for name, expected in gradients(old.adversary).items():
        torch.testing.assert_close(method.seen[1][f"adversary.{name}"], expected, rtol=1e-3, atol=1e-7)


def test_discriminators_learn_from_nothing_but_the_predictions_of_their_step():
    method = adversarial()
    batch = full_batch(method)
    for _ in range(2):  # the second half of the first step never came
        list(method.terms(batch))
        assert len(method.adversary.predictions) == 4
    list(method.opponents()[0].terms(batch))
    assert method.adversary.predictions == []


def test_a_loss_of_the_discriminators_that_is_not_finite_leaves_the_model_as_it_was():
    class Broken(Adversarial):
        def opponents(self):
            (whole,) = super().opponents()
            return [whole._replace(terms=lambda batch: (term * torch.inf for term in whole.terms(batch)))]

    method = adversarial(kind=Broken)
    before = dict(copy.deepcopy(method).named_parameters())
    with pytest.raises(FloatingPointError, match="inf at step 0"):
        take_step(method)
    assert not moved(before, dict(method.named_parameters()))
    assert method.steps_done == 0


def norms(found):
    """Norm of the gradient of each side."""
    sides = {side: [one for name, one in found.items() if name.startswith(side)] for side in ("model.", "adversary.")}
    return {side: torch.stack([one.norm() for one in own]).norm().item() for side, own in sides.items()}


def test_clipping_limits_the_gradient_of_one_optimiser_and_leaves_that_of_the_other():
    free, limited = adversarial(kind=Watched), adversarial()
    take_step(free)
    whole = free.seen[1]  # after both halves
    (_, small), (side, large) = sorted(norms(whole).items(), key=lambda item: item[1])
    limit = (small + large) / 2
    take_step(limited, clip=limit)
    found = gradients(limited)
    assert norms(found)[side] == pytest.approx(limit, rel=1e-3)
    for name, gradient in found.items():
        if name.startswith(side):
            torch.testing.assert_close(gradient, whole[name] * (limit / large))
        else:
            assert torch.equal(gradient, whole[name])


def test_both_optimisers_move_by_the_clipped_gradient():
    method = adversarial()
    before = {name: value.detach().clone() for name, value in method.named_parameters()}
    going_on = take_step(method, clip=1e-8, weight_decay=0.0)
    found, rates = gradients(method), {}
    assert list(norms(found).values()) == pytest.approx([1e-8] * 2, rel=1e-2)
    for optimizer in going_on.optimizers:
        rates |= {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in method.named_parameters():
        step = found[name]
        if name.startswith("adversary."):  # Adam: 1e-8 is no longer much more than its epsilon
            step = step / (step.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), before[name] - rates[parameter] * step, rtol=0, atol=1e-8)
    assert method.steps_done == 1


# The terms


@pytest.mark.parametrize("config", [TINY, DEEPLAB], ids=["drn", "deeplab"])
def test_terms_equal_plain_torch_in_double_precision(config):
    weights = {"labeled_adversary": 0.3, "unlabeled_adversary": 0.2, "pseudo_weight": 0.7}
    method = adversarial(larger(), config, **weights, pseudo_from=0, threshold=0.5).double().eval()
    batch, size, corners = full_batch(method), (64, 96), config.align_corners
    batch.labeled["streets"].mask[:, :10] = IGNORE
    network = method.adversary.discriminators.networks["streets"]
    with torch.no_grad():
        network.classifier.weight *= 1e3
        logits = logits_of(method, batch.unlabeled["streets"].image, "streets")
        judgement = judged(method, map_of(method, logits, size), "streets")
        network.classifier.bias -= judgement.median()  # so that about half of the pixels are trusted
        judgement -= judgement.median()
        trusted = judgement.sigmoid() >= 0.5
        assert 0.2 < trusted.double().mean() < 0.8
        up = F.interpolate(logits, size=size, mode="bilinear", align_corners=corners)
        pseudo = F.cross_entropy(up, up.argmax(1).masked_fill(~trusted, IGNORE), ignore_index=IGNORE)
        expected = 0.2 * F.softplus(-judgement).mean() + 0.7 * pseudo
        sample = batch.labeled["streets"]
        valid = sample.mask != IGNORE
        logits = logits_of(method, sample.image, "streets")
        up = F.interpolate(logits, size=size, mode="bilinear", align_corners=corners)
        labeled = F.cross_entropy(up, sample.mask.long(), ignore_index=IGNORE)
        labeled += 0.3 * F.softplus(-judged(method, up.softmax(1), "streets")[valid]).mean()
    found = list(method.terms(batch))
    assert found[0].item() == pytest.approx(expected.item(), rel=1e-6)
    assert found[1].item() == pytest.approx(labeled.item(), rel=1e-6)


def test_undecided_discriminators_cost_log_two_everywhere():
    method = adversarial()
    with torch.no_grad():
        for network in method.adversary.discriminators.networks.values():
            network.classifier.weight.zero_()
            network.classifier.bias.zero_()
    take_step(method)
    means = method.means.take()
    names = [name for name in means if "adversarial" in name or "discriminator_on" in name]
    assert len(names) == 8
    assert all(means[name] == pytest.approx(0.693147, abs=1e-6) for name in names)


def test_pseudo_labels_begin_when_they_should_and_the_adversary_at_once():
    method = adversarial(threshold=0.0)
    method.total_steps = 20000
    batch = full_batch(method)
    for step, wanted in ((0, False), (4999, False), (5000, True)):
        method.steps_done = step
        without = copy.deepcopy(method)
        without.adversary.pseudo = 0.0
        pairs = list(zip(method.terms(batch), without.terms(batch), strict=True))
        assert [term.item() != other.item() for term, other in pairs] == [wanted, False, wanted, False]
        means = method.means.take()
        assert ("streets/pseudo_label" in means) == wanted
        assert means["rooms/unlabeled_adversarial"] > 0
    assert method.draws() == Draws(unlabeled_from=0, ground_truth=True)
    shares = [means[f"streets/pseudo_labels/{title}"] for title in method.data.label_spaces["streets"].classes]
    assert sum(shares) == pytest.approx(1)


def test_unlabelled_images_are_read_from_the_first_step_that_uses_them_on():
    begins = {(0.0, 0.1, 3): 3, (0.0, 0.1, None): 2, (0.001, 0.1, 3): 0, (0.0, 0.0, 3): None}
    for (adversary, pseudo, start), expected in begins.items():
        method = adversarial(unlabeled_adversary=adversary, pseudo_weight=pseudo, pseudo_from=start)
        assert method.draws().unlabeled_from == expected


def test_images_without_a_label_cost_nothing_but_their_own_adversary():
    method = adversarial()
    batch = full_batch(method)
    for sample in (*batch.labeled.values(), *batch.ground_truth.values()):
        sample.mask.fill_(IGNORE)
    terms = list(method.terms(batch))
    assert [float(term) for term in terms[1::2]] == [0.0, 0.0]
    terms = list(method.opponents()[0].terms(batch))
    assert [float(term) > 0 for term in terms] == [True, False] * 2 + [False] * 2


def test_without_weights_it_is_supervised_learning_bit_for_bit():
    data = mixture()
    method = adversarial(data, labeled_adversary=0.0, unlabeled_adversary=0.0, pseudo_weight=0.0)
    baseline = learner(Supervised, data)
    assert method.draws() == Draws() and not method.opponents() and method.adversary.discriminators is None
    going_on = [
        players(method),
        players(baseline, lr=2.5e-4, weight_decay=5e-4, decay="step", head_factor=10.0),
    ]
    for _ in range(3):
        for each, own in zip((method, baseline), going_on, strict=True):
            take_step(each, going_on=own)
    assert not moved(baseline.model.state_dict(), method.model.state_dict())


def test_learning_rates_are_the_published_ones_and_heads_learn_ten_times_as_fast():
    published = [(0, 2.5e-4, 1e-4), (5000, 1.929724e-4, 7.718895e-5), (10000, 1.339717e-4, 5.358867e-5)]
    for step, rate, opponents_rate in [*published, (19999, 3.365217e-8, 3.365217e-8 / 2.5)]:
        method = adversarial()
        method.total_steps, method.steps_done = 20000, step
        going_on = players(method)
        assert going_on.learning_rate == pytest.approx(rate, rel=1e-6)
        going_on.step(full_batch(method))
        model, opponents = going_on.optimizers
        encoder, decoder, heads = (group["lr"] for group in model.param_groups)
        assert encoder == decoder == pytest.approx(rate, rel=1e-6) and heads == pytest.approx(10 * rate, rel=1e-6)
        assert opponents.param_groups[0]["lr"] == pytest.approx(opponents_rate, rel=1e-6)
        assert model.param_groups[0]["weight_decay"] == 5e-4 and opponents.param_groups[0]["weight_decay"] == 0
        assert opponents.param_groups[0]["betas"] == (0.9, 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("config", [TINY, DEEPLAB], ids=["drn", "deeplab"])
def test_a_step_in_half_precision_is_finite_and_its_losses_are_not_halved(config):
    method = adversarial(config=config, pseudo_from=0, threshold=0.0)
    batch = full_batch(method)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert method.model.features(batch.labeled["rooms"].image, "rooms").dtype == torch.bfloat16
        terms = [*method.terms(batch), *method.opponents()[0].terms(batch)]
        take_step(method, batch)
    assert all(term.dtype == torch.float32 and term.isfinite() for term in terms)
    assert all(value.isfinite().all() for value in method.state_dict().values())


def test_validation_moves_no_statistics():
    method = adversarial()
    take_step(method)
    before = state(method)
    validated(method)
    assert not moved(before, method.state_dict())


# Domains


def test_domains_of_one_label_space_share_a_discriminator_and_others_do_not():
    method = adversarial(mixture(names=THREE))
    discriminators = method.adversary.discriminators
    assert list(discriminators.networks) == ["streets", "rooms"]
    classes = {name: network.conv1.in_channels for name, network in discriminators.networks.items()}
    assert classes == {name: len(method.data.label_spaces[name]) for name in classes}
    batch = full_batch(method)
    alone = {kind: {"dusk": getattr(batch, kind)["dusk"]} for kind in ("labeled", "ground_truth")}
    dusk_alone = batch._replace(**alone, unlabeled={})
    for term in method.terms(dusk_alone):
        term.backward()
    discriminators.zero_grad()
    for term in method.opponents()[0].terms(dusk_alone):
        term.backward()
    found = gradients(discriminators)
    assert {name.split(".")[1] for name, grad in found.items() if grad is not None} == {"streets"}


def test_two_domains_of_one_label_space_are_one_mean_for_their_discriminator():
    method = adversarial(mixture(names=THREE))
    batch = full_batch(method)
    batch.labeled["dusk"].mask[:, 5:] = IGNORE
    batch.ground_truth["dusk"].mask[:, 3:] = IGNORE
    list(method.terms(batch))
    fakes = [p for p in method.adversary.predictions if p.space == "streets"]
    assert len(fakes) == 4
    truth = {name: sample for name, sample in batch.ground_truth.items() if name != "rooms"}
    predicted = [(judged(method, map_of(method, p.logits.values, p.size), "streets"), p.mask) for p in fakes]
    real = [(judged(method, one_hot(sample.mask, 8), "streets"), sample.mask) for sample in truth.values()]
    expected = _mean_of_pixels(predicted, 0.0) + _mean_of_pixels(real, 1.0)
    method.adversary.predictions = fakes
    found = sum(method.opponents()[0].terms(batch._replace(ground_truth=truth)))
    assert found.item() == pytest.approx(expected.item() / 2, rel=1e-5)


def one_hot(mask, classes):
    return F.one_hot(mask.long(), 256).movedim(-1, 1)[:, :classes].float()


def _mean_of_pixels(judgements, label):
    counted = [j.flatten() if mask is None else j[mask != IGNORE] for j, mask in judgements]
    together = torch.cat(counted)
    return F.binary_cross_entropy_with_logits(together, torch.full_like(together, label))


def test_true_label_maps_are_of_images_drawn_for_themselves_and_again_when_resumed():
    data, draws = mixture(labeled=8), Draws(unlabeled_from=0, ground_truth=True)
    batches = {}
    for start in (0, 4):
        for step, batch in enumerate(data.training(lambda start=start: start, draws), start):
            batches[step] = batch
    apart = [batch.ground_truth["streets"].id != batch.labeled["streets"].id for batch in batches.values()]
    assert len(apart) == 8 and any(apart)
    for sample in batches[0].ground_truth.values():
        assert (sample.mask != IGNORE).any()
    for step in (2, 3, 6):
        again = first_batch(mixture(labeled=8), step, draws)
        for name, sample in again.ground_truth.items():
            assert sample.id == batches[step].ground_truth[name].id
            assert torch.equal(sample.mask, batches[step].ground_truth[name].mask)


@pytest.mark.parametrize(
    ("labeled", "used"),
    [
        ({"streets": 4, "rooms": 8, "dusk": 4}, {"streets", "dusk"}),  # rooms has no unlabelled image
        ({"streets": 4, "rooms": 4, "dusk": 0}, {"streets", "rooms", "dusk"}),  # dusk has the labels of streets
        ({"streets": 4, "rooms": 0, "dusk": 4}, {"streets", "dusk"}),  # nobody labels rooms
    ],
    ids=["all_labelled", "shared_classes", "nobody_labels"],
)
def test_unlabelled_images_are_used_wherever_somebody_has_labels(labeled, used):
    data = mixture(names=THREE)
    for name, budget in labeled.items():
        data.domains[name] = Domain(data.domains[name].dataset, labeled=budget, unlabeled=budget < 8)
    method = adversarial(data)
    take_step(method)
    means = method.means.take()
    assert {name.split("/")[0] for name in means if name.endswith("unlabeled_adversarial")} == used
    supervised = {name.split("/")[0] for name in means if name.endswith("supervised")}
    assert supervised == {name for name, budget in labeled.items() if budget}


def test_a_domain_may_be_called_like_anything_of_a_discriminator():
    domain = Domain(SyntheticStreets(images=4, val_images=1, size=(32, 48)), labeled=2)
    take_step(adversarial(DomainMixture(dict.fromkeys(("losses", "classes", "judge"), domain), 2, workers=0)))


def test_a_none_class_is_refused():
    with pytest.raises(ValueError, match="none_class: true: set it to false"):
        adversarial(config=replace(TINY, none_class=True))
