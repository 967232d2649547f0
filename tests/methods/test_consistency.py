"""Weak-to-strong consistency: the checks of its parts by hand, and what a step leaves alone."""

import copy
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from semiverse.data import Sample
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE, LabelSpace
from semiverse.methods import Consistency, Supervised, Universal
from semiverse.methods.complementary_dropout import dropped
from semiverse.methods.coverage import Coverage
from semiverse.methods.mixing import View, paste_classes
from semiverse.methods.strong_views import AREA, StrongView, generator, partners, paste, pasted_classes
from semiverse.methods.teacher_labels import Labels, predicted
from semiverse.methods.trust import (
    Trust,
    class_thresholds,
    labels_by_power,
    labels_by_share,
    note_confidence,
    note_learned,
    note_moments,
    smooth_labels,
    sure_from,
    thresholds_by_count,
)
from semiverse.mixture import Balance, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.models.batch_norm import DomainBatchNorm2d
from tests.methods.worlds import TINY, first_batch, learner, mixture, moved, networks_of, players, take_step, validated

PLAIN = StrongView(colored=0.0, grey=0.0, blur=0.0, box=0.0)


def consistency(data=None, total_steps=10, **options):
    options = {"ramp": (0.0, 0.0), "threshold": 0.05, "strong": PLAIN} | options
    return learner(lambda model: Consistency(model, **options), data, total_steps=total_steps).train()


def adapting(**options):
    """Streets with labels, and streets at dusk without any."""
    data = mixture(names=("streets", "dusk"), **({"crop": (32, 48)} | options))
    data.domains["dusk"].labeled = 0
    return data


def one_view(method, batch, domain, labels, number=0):
    return method.mixing.view(batch, domain, {domain: labels}, method.steps_done, number)


def loss_of_view(method, batch, domain, labels, number=0):
    return method.consistency_loss(one_view(method, batch, domain, labels, number), domain, number)


def rows(model):
    return {
        name: value.clone() for name, value in model.named_buffers() if name.endswith(("running_mean", "running_var"))
    }


@pytest.mark.parametrize(("done", "share"), [(1, 0.0), (2, 0.5), (100, 0.99), (250, 0.996), (10_001, 0.996)])
def test_teacher_keeps_this_share_of_itself(done, share):
    method = consistency(decay=0.996, total_steps=20_000)
    method.steps_done = done
    before = copy.deepcopy(method.average.state_dict())
    with torch.no_grad():
        for parameter in method.model.parameters():
            parameter.add_(1.0)
    method.after_step()
    for name, value in method.average.named_parameters():
        expected = share * before[name] + (1 - share) * method.model.get_parameter(name)
        assert torch.allclose(value, expected, atol=1e-6), name
    assert not any(parameter.requires_grad for parameter in method.average.parameters())


def test_three_moves_of_a_half_leave_an_eighth():
    method = consistency(decay=0.5, total_steps=100)
    with torch.no_grad():
        for one, value in ((method.average, 0.0), (method.model, 1.0)):
            for parameter in one.parameters():
                parameter.fill_(value)
    for step in (100, 101, 102):
        method.steps_done = step
        method.after_step()
    assert {round(float(parameter.detach().mean()), 6) for parameter in method.average.parameters()} == {0.875}


def test_denominator_is_all_valid_pixels():
    """Four valid pixels of confidence .99, .96, .5, .2 and four of padding, each with cross entropy 1: 2 / 4."""
    method = consistency(threshold=0.95)
    classes = len(method.model.label_spaces["streets"])
    mask = torch.tensor([[[0, 0, 0, 0], [IGNORE] * 4]], dtype=torch.uint8)
    sure = torch.tensor([[[True, True, False, False], [False] * 4]])
    # logits such that -log P(class 0) is 1 everywhere
    p = math.exp(-1)
    logits = torch.full((classes,), math.log((1 - p) / (classes - 1)))
    logits[0] = math.log(p)
    method.model.classify = lambda features, _: _constant(logits, features)
    view = View(torch.zeros(1, 3, 32, 64, dtype=torch.uint8), torch.zeros(1, 32, 64), {"streets": Labels(mask, sure)})
    assert method.consistency_loss(view, "streets", 0).item() == pytest.approx(0.5)


def _constant(logits, features):
    from semiverse.upsampling import ScoreMap, Upsampling

    return ScoreMap(logits[None, :, None, None].expand(1, -1, 1, 1).clone().requires_grad_(), Upsampling())


def test_nothing_is_learned_from_a_teacher_who_is_never_sure():
    method = consistency(threshold=1.1)
    batch = first_batch(method.data)
    labels = method.labels(batch.unlabeled["streets"], "streets")
    loss = loss_of_view(method, batch, "streets", labels)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in method.model.parameters())
    assert method.means.take()["streets/sure"] == 0


def test_uniform_logits_cost_log_c():
    method = consistency(threshold=0.0)
    with torch.no_grad():
        for head in method.model.heads.values():
            head.weight.zero_()
    batch = first_batch(method.data)
    labels = method.labels(batch.unlabeled["streets"], "streets")
    loss = loss_of_view(method, batch, "streets", labels)
    assert loss.item() == pytest.approx(math.log(len(method.model.label_spaces["streets"])), rel=1e-5)


def test_boxes_have_the_published_size_and_lie_inside():
    shares = []
    for step in range(1000):
        box = StrongView(box=1.0).boxed((48, 64), generator(0, step, "streets"))
        assert 0 <= box[0].start < box[0].stop <= 48 and 0 <= box[1].start < box[1].stop <= 64
        shares.append((box[0].stop - box[0].start) * (box[1].stop - box[1].start) / (48 * 64))
    assert AREA[0] * 0.8 < min(shares) and max(shares) < AREA[1] * 1.1 and np.ptp(shares) > 0.25
    assert all(StrongView(box=0.0).boxed((48, 64), generator(0, step)) is None for step in range(20))


@pytest.mark.parametrize(("count", "expected"), [(3, [2, 1, 0]), (2, [1, 0]), (4, [2, 3, 0, 1]), (1, [0])])
def test_partners(count, expected):
    assert partners(count) == expected


def test_two_processes_pair_the_images_that_one_does():
    whole = partners(8)
    for rank in (0, 1):
        share = list(range(rank, 8, 2))
        assert [share[i] for i in partners(4)] == [whole[place] for place in share]


def test_a_box_brings_everything_of_the_partner():
    images, masks = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5), torch.arange(40).view(2, 4, 5)
    new_images, new_masks = paste([images, masks], [(slice(1, 3), slice(0, 2)), None])
    assert torch.equal(new_images[0, :, 1:3, :2], images[1, :, 1:3, :2])
    assert torch.equal(new_masks[0, 1:3, :2], masks[1, 1:3, :2])
    assert torch.equal(new_images[1], images[1]) and torch.equal(new_masks[1], masks[1])
    assert torch.equal(new_masks[0, 0], masks[0, 0]) and torch.equal(new_masks[0, 1:3, 2:], masks[0, 1:3, 2:])


@pytest.mark.parametrize(("present", "pasted"), [(5, 3), (4, 2), (1, 1)])
def test_half_of_the_classes_are_pasted_rounded_up_and_none_that_is_ignored(present, pasted):
    mask = torch.tensor([[*range(present), IGNORE, IGNORE]], dtype=torch.uint8)
    chosen = pasted_classes(mask, 10, generator(0, 0))
    assert int(chosen.sum()) == pasted and not chosen[mask == IGNORE].any()


def test_strong_view_without_strength_is_the_image_and_with_it_moves_no_pixel():
    image = torch.zeros(3, 40, 40, dtype=torch.uint8)
    image[:, 10:20, 10:20] = 200
    assert torch.equal(PLAIN.recolored(image, generator(0, 0)), image)
    for step in range(20):
        changed = StrongView(grey=0.0, blur=0.0, colored=1.0).recolored(image, generator(0, step)).float()
        inside = changed[:, 10:20, 10:20]
        assert inside.std(dim=(1, 2)).max() == 0 and changed[:, :10].std(dim=(1, 2)).max() == 0
    views = [StrongView().recolored(image, generator(0, step)) for step in (0, 1, 0)]
    assert torch.equal(views[0], views[2])


def test_running_statistics_know_only_weak_labelled_views():
    method = consistency(strong=StrongView())
    batch = first_batch(method.data)
    before = rows(method.model), rows(method.average)
    for domain, sample in batch.unlabeled.items():
        labels = method.labels(sample, domain)
        loss_of_view(method, batch, domain, labels).backward()
    assert not moved(before[0], rows(method.model)) and not moved(before[1], rows(method.average))
    model = method.model
    list(zip(range(1), method.terms(batch), strict=False))  # the supervised term of the first domain
    layer = next(module for module in model.modules() if isinstance(module, DomainBatchNorm2d))
    first = next(name for name in before[0] if name.endswith("running_mean"))
    assert not torch.equal(layer.running_mean[0], before[0][first][0])
    assert torch.equal(layer.running_mean[1], before[0][first][1])


def test_statistics_of_a_domain_without_labels_are_learned_from_weak_views():
    data = mixture(names=("streets", "dusk"))
    data.domains["dusk"].labeled = 0
    method = consistency(data)
    before = rows(method.model)
    list(method.terms(first_batch(method.data)))
    assert {name for name in before if not torch.equal(before[name][1], rows(method.model)[name][1])} == set(before)


def test_classes_of_a_source_are_pasted_with_their_true_labels_and_targets_are_never_read():
    data = adapting()
    method = consistency(data, mix="classes", threshold=0.999)
    batch = first_batch(data)
    labels = method.labels(batch.unlabeled["dusk"], "dusk")
    mixed = one_view(method, batch, "dusk", labels).labels["dusk"]
    pasted = mixed.sure & ~labels.sure
    assert pasted.any() and torch.equal(mixed.mask[pasted], batch.labeled["streets"].mask[pasted])
    assert (batch.unlabeled["dusk"].mask == IGNORE).all()


def test_without_weight_the_student_is_that_of_supervised_training_bit_for_bit():
    options = {"algorithm": "sgd", "lr": 0.01, "decoder_factor": 1.0, "head_factor": 1.0, "weight_decay": 1e-4}
    options |= {"decay": "step"}
    one, other = consistency(weight=0.0), learner(Supervised)
    going_on = [players(one, **options), players(other, **options)]
    for _ in range(3):
        for method, player in zip((one, other), going_on, strict=True):
            torch.manual_seed(method.steps_done)
            take_step(method, going_on=player)
    assert not moved(other.model.state_dict(), one.model.state_dict())
    follower = consistency(decay=0.0)
    take_step(follower)
    assert not moved(follower.model.state_dict(), follower.average.state_dict())


def test_thresholds_of_classes_follow_the_confidence_in_them():
    mean = torch.full((11,), 1 / 11)
    assert class_thresholds(mean, 0.9, 0.0).tolist() == pytest.approx([0.9] * 11)  # at first all are alike
    expected = mean.clone()
    expected[0] = 0.99 * mean[0] + 0.01 * 0.8
    expected[1] = 0.99 * mean[1] + 0.01 * 0.1
    mask = torch.tensor([[[0, 0, 1, IGNORE]]], dtype=torch.uint8)
    note_confidence(mean, mask, torch.tensor([[[1.0, 0.6, 0.1, 0.9]]]))
    assert torch.allclose(mean, expected)
    assert torch.allclose(class_thresholds(mean, 0.9, 0.5), (0.9 * expected / expected.max()).clamp(0.5, 0.9))
    note_confidence(mean, torch.full_like(mask, IGNORE), torch.ones(1, 1, 4))
    assert torch.allclose(mean, expected)


def test_thresholds_are_in_proportion_as_those_of_freematch_are():
    mean = torch.tensor([0.4, 0.3, 0.2, 0.1])
    assert class_thresholds(mean, 0.8, 0.0).tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert class_thresholds(mean, 0.8, 0.5).tolist() == pytest.approx([0.8, 0.6, 0.5, 0.5])
    assert class_thresholds(mean, 0.8, None).tolist() == pytest.approx([0.8] * 4)
    assert class_thresholds(mean, 0.8, 0.9).tolist() == pytest.approx([0.8] * 4)  # a floor above the top is the top


ROW = torch.tensor([[[0, 1, 1, IGNORE]]], dtype=torch.uint8)


def test_labels_below_the_mean_confidence_count_less_as_in_softmatch():
    labels = smooth_labels(ROW, torch.tensor([[[0.7, 0.9, 0.8, 0.7]]]).double(), torch.tensor([0.8, 0.01]).double())
    assert labels.counts.flatten().tolist() == pytest.approx([math.exp(-2), 1.0, 1.0, 0.0])
    assert labels.learned.flatten().tolist() == [0, 1, 1, IGNORE]


def test_mean_and_variance_of_the_confidence_move_towards_those_inside_the_images():
    moments, confidence = torch.tensor([0.5, 1.0]), torch.tensor([[[0.7, 0.9, 0.8, 0.1]]])
    note_moments(moments, ROW, confidence)
    assert moments.tolist() == pytest.approx([0.99 * 0.5 + 0.01 * 0.8, 0.99 * 1.0 + 0.01 * 0.01])
    before = moments.clone()
    note_moments(moments, torch.full_like(ROW, IGNORE), confidence)
    assert torch.equal(moments, before)


def test_all_labels_count_as_much_as_the_share_of_sure_ones_as_in_dacs():
    mask = torch.tensor([[[0, 1, 1, 0, IGNORE]]], dtype=torch.uint8)
    labels = labels_by_share(mask, torch.tensor([[[0.99, 0.97, 0.9, 0.5, 0.99]]]), 0.968)
    assert labels.counts.flatten().tolist() == pytest.approx([0.5] * 4 + [0.0])


def test_what_a_label_counts_is_its_factor_in_the_loss():
    method = consistency(trust="smooth")
    batch = first_batch(method.data)
    mask = method.labels(batch.unlabeled["streets"], "streets").mask
    labels = Labels(mask, torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)))
    loss = loss_of_view(method, batch, "streets", labels)
    model, sample = method.model, batch.unlabeled["streets"]
    logits = model.classify(model.features(sample.image, "streets"), "streets").at(tuple(mask.shape[1:]))
    each = torch.nn.functional.cross_entropy(logits, mask.long(), ignore_index=IGNORE, reduction="none")
    assert loss.item() == pytest.approx(((each * labels.counts).sum() / (mask != IGNORE).sum()).item(), rel=1e-4)
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


def test_labels_count_by_the_square_of_their_confidence_as_in_ael():
    mask = torch.tensor([[[0, 1, IGNORE]]], dtype=torch.uint8)
    labels = labels_by_power(mask, torch.tensor([[[0.9, 0.3, 0.7]]]).double())
    assert (labels.counts / labels.counts.sum()).flatten().tolist() == pytest.approx([0.9, 0.1, 0.0])
    assert labels.counts.sum().item() == pytest.approx(2)  # one a pixel on average
    nothing = labels_by_power(torch.full_like(mask, IGNORE), torch.ones(1, 1, 3))
    assert not nothing.counts.any()


def test_thresholds_by_the_number_of_labels_are_those_of_flexmatch():
    found = thresholds_by_count(torch.tensor([0.4, 0.2, 0.0, 0.4]), 0.9)
    assert found.tolist() == pytest.approx([0.9, 0.3, 0.0])
    found = thresholds_by_count(torch.tensor([0.25, 0.25, 0.0, 0.5]), 0.9)  # the pixels without labels are more
    assert found.tolist() == pytest.approx([0.3, 0.3, 0.0])
    assert thresholds_by_count(torch.tensor([0.0, 0.0, 1.0]), 0.9).tolist() == [0.0, 0.0]  # at first all are labels


def test_shares_of_labels_move_towards_those_inside_the_images():
    learned, mask = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([[[0, 1, 1, 1, IGNORE]]], dtype=torch.uint8)
    note_learned(learned, mask, torch.tensor([[[True, True, True, False, True]]]))
    assert learned.tolist() == pytest.approx([0.01 * 0.25, 0.01 * 0.5, 0.99 + 0.01 * 0.25])
    before = learned.clone()
    note_learned(learned, torch.full_like(mask, IGNORE), torch.ones(1, 1, 5, dtype=torch.bool))
    assert torch.equal(learned, before)


@pytest.mark.parametrize("trust", ["smooth", "share", "power", "curriculum"])
def test_labels_of_the_teacher_count_as_the_method_is_told(trust):
    method = consistency(trust=trust)
    sample = first_batch(method.data).unlabeled["streets"]
    logits = method.teacher.classify(method.teacher.features(sample.image, "streets", sample.padding), "streets")
    classes = len(method.model.label_spaces["streets"])
    mask, confidence = predicted(logits, sample.image, sample.padding, classes)
    threshold = float(confidence.median())
    method.trust = Trust(trust, threshold)
    expected = labels_by_share(mask, confidence, threshold)
    if trust == "power":
        expected = labels_by_power(mask, confidence)
    if trust == "curriculum":
        learned = torch.tensor([0.0] * classes + [1.0])
        note_learned(learned, mask, confidence >= threshold)
        expected = sure_from(mask, confidence, thresholds_by_count(learned, threshold))
    if trust == "smooth":
        moments = torch.tensor([1 / classes, 1.0])
        note_moments(moments, mask, confidence)
        expected = smooth_labels(mask, confidence, moments)
    found = method.labels(sample, "streets")
    assert torch.equal(found.mask, mask) and torch.allclose(found.sure, expected.sure)
    if trust == "share":
        assert found.sure.unique().tolist() == pytest.approx([0.5], abs=0.01)


def test_pasted_classes_count_fully():
    method = consistency(trust="share", threshold=2.0)
    mask = torch.tensor([[[2, 3]]], dtype=torch.uint8)
    view = View(
        torch.zeros(1, 3, 1, 2, dtype=torch.uint8), torch.zeros(1, 1, 2), {"streets": Labels(mask, mask * 0.25)}
    )
    source = Sample(torch.ones(1, 3, 1, 2, dtype=torch.uint8), torch.tensor([[[1, IGNORE]]], dtype=torch.uint8), "")
    pasted = paste_classes(view, source, len(method.model.label_spaces["streets"]), [np.random.default_rng(0)])
    assert pasted.labels["streets"].mask.flatten().tolist() == [1, 3]
    assert pasted.labels["streets"].sure.flatten().tolist() == [1.0, 0.75]


def test_a_floor_is_of_thresholds_alone():
    for trust in ("curriculum", "smooth", "share", "power"):
        with pytest.raises(ValueError, match=rf"trust {trust} and floor 0\.5; expected one of them"):
            consistency(trust=trust, floor=0.5)


def test_blocks_are_hidden_as_in_mic():
    strong, image = StrongView(hide=0.7), torch.zeros(3, 512, 512, dtype=torch.uint8)
    shares = []
    for number in range(1000):
        blocks = strong.hidden(image[:, ::64, ::64], np.random.default_rng(number))
        shares.append(blocks.double().mean().item())
    assert np.mean(shares) == pytest.approx(0.7, abs=0.01)
    hidden = strong.hidden(image, np.random.default_rng(0))
    blocks = hidden.unfold(0, 64, 64).unfold(1, 64, 64)
    assert blocks.shape == (8, 8, 64, 64) and torch.equal(blocks.amin((2, 3)), blocks.amax((2, 3)))
    assert torch.equal(blocks[:, :, 0, 0], strong.hidden(image[:, ::64, ::64], np.random.default_rng(0)))
    assert strong.hidden(image[:, :50, :70], np.random.default_rng(0)).shape == (50, 70)


def test_hidden_blocks_get_the_mean_colour_and_nothing_else_changes():
    images = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    padding, mean = torch.zeros(2, 32, 48, dtype=torch.uint8), torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
    plain, hiding = StrongView(), StrongView(hide=0.5)
    whole = plain.recolored_batch(images, padding, mean, [np.random.default_rng(n) for n in range(2)])
    found = hiding.recolored_batch(images, padding, mean, [np.random.default_rng(n) for n in range(2)])
    gone = (found == (255 * mean).to(torch.uint8)).all(1, keepdim=True)
    assert torch.equal(torch.where(gone, 0, found), torch.where(gone, 0, whole))
    assert 0.2 < gone.double().mean() < 0.8


def test_pseudo_labels_are_weighted_as_labels():
    method = consistency(mixture(balance=Balance()), threshold=0.0)
    batch = first_batch(method.data)
    labels = method.labels(batch.unlabeled["streets"], "streets")
    labels = Labels(batch.labeled["streets"].mask, batch.labeled["streets"].mask != IGNORE)
    loss = loss_of_view(method, batch, "streets", labels)
    model, sample = method.model, batch.unlabeled["streets"]
    logits = model.classify(model.features(sample.image, "streets"), "streets")
    expected = torch.nn.functional.cross_entropy(
        logits.at(tuple(labels.mask.shape[1:])),
        labels.mask.long(),
        method.class_weights["streets"],
        ignore_index=IGNORE,
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_two_views_leave_out_what_the_other_has_and_half_of_the_images_keep_all():
    maps = [torch.ones(4, 16, 2, 3), torch.ones(4, 8, 1, 1)]
    one, two = (dropped(maps, 0, 0, "streets", view) for view in (0, 1))
    for first, second in zip(one, two, strict=True):
        assert torch.equal(first + second, 2 * torch.ones_like(first))
        whole = [bool((image == 1).all()) for image in first]
        assert sum(whole) == 2
        assert all(
            set(image.unique().tolist()) <= {0.0, 2.0} for image, all_ in zip(first, whole, strict=True) if not all_
        )


def test_a_given_teacher_stays_and_may_be_another_network(tmp_path):
    data = mixture()
    torch.manual_seed(3)
    SegmentationModel(replace(TINY, width=1 / 8), data.label_spaces).save(tmp_path / "model")
    method = consistency(data, teacher=tmp_path)
    before = copy.deepcopy(method.teacher.state_dict())
    take_step(method)
    assert not moved(before, method.teacher.state_dict())
    assert method.result() is method.model and not any("average" in name for name in method.state_dict())
    others = mixture(names=("streets",))
    with pytest.raises(ValueError, match="knows streets, but not domain rooms"):
        torch.manual_seed(3)
        SegmentationModel(TINY, others.label_spaces).save(tmp_path / "other" / "model")
        consistency(data, teacher=tmp_path / "other")


@pytest.mark.parametrize(
    "options",
    [
        {"weight": -1.0},
        {"floor": 1.5},
        {"decay": 2.0},
        {"threshold": -0.1},
        {"cross_mix": 1.1},
        {"adjust": -1.0},
        {"anchor": -1.0},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"has {next(iter(options))}"):
        consistency(**options)


# What is pasted from other domains.


def crossing(**options):
    data = mixture(crop=(32, 48))
    return consistency(data, strong=StrongView(colored=0.0, grey=0.0, blur=0.0, box=1.0), **options), data


def labeled_by(method, batch):
    return {domain: method.labels(sample, domain) for domain, sample in batch.unlabeled.items()}


def test_every_pixel_of_a_crossed_image_is_that_of_one_domain_with_its_labels_for_its_head():
    method, data = crossing(cross_mix=1.0)
    batch = first_batch(data)
    labels = labeled_by(method, batch)
    view = method.mixing.view(batch, "streets", labels, 0, 0)
    assert set(view.labels) == {"streets", "rooms"}
    foreign = view.labels["rooms"].mask != IGNORE
    assert 0 < foreign.double().mean() < 0.5 and (foreign == (view.labels["streets"].mask == IGNORE)).all()
    for domain, where in (("streets", ~foreign), ("rooms", foreign)):
        sample, given = batch.unlabeled[domain], labels[domain]
        assert torch.equal(view.images.movedim(1, -1)[where], sample.image.movedim(1, -1)[where])
        assert torch.equal(view.labels[domain].mask[where], given.mask[where])
        assert torch.equal(view.labels[domain].sure[where], given.sure[where])


def test_the_loss_of_a_crossed_view_is_the_mean_of_both_heads_over_all_its_pixels():
    method, data = crossing(cross_mix=1.0, threshold=0.0)
    batch, model = first_batch(data), method.model
    view = method.mixing.view(batch, "streets", labeled_by(method, batch), 0, 0)
    features = model.features(view.images, "streets")
    losses = torch.zeros(view.padding.shape)
    for domain, labels in view.labels.items():
        logits = model.classify(features, domain).at((32, 48))
        losses += torch.nn.functional.cross_entropy(logits, labels.mask.long(), ignore_index=IGNORE, reduction="none")
    assert method.consistency_loss(view, "streets", 0).item() == pytest.approx(losses.mean().item(), rel=1e-5)


def test_images_are_crossed_as_often_as_asked_and_statistics_stay_those_of_weak_views():
    method, data = crossing(cross_mix=0.25)
    batch = first_batch(data)
    labels = labeled_by(method, batch)
    views = [method.mixing.view(batch, "streets", labels, step, 0) for step in range(200)]
    crossed = torch.cat([(view.labels["rooms"].mask != IGNORE).flatten(1).any(dim=1) for view in views])
    assert crossed.double().mean().item() == pytest.approx(0.25, abs=0.05)
    before = rows(method.model)
    method.consistency_loss(views[0], "streets", 0).backward()
    assert not moved(before, rows(method.model))


def test_without_crossing_views_and_steps_are_what_they_were():
    one, other = crossing()[0], crossing(cross_mix=1e-12)[0]  # draws more, but nothing crosses
    batch = first_batch(one.data)
    for method in (one, other):
        take_step(method, batch)
    assert not moved(dict(one.named_parameters()), dict(other.named_parameters()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": None}, r"streets whole, rooms whole; expected crops of one size"),
        ({"own": (16, 48)}, r"streets \[32, 48\], rooms \[16, 48\]; expected crops of one size"),
        ({"names": ("streets",)}, r"cross_mix 0\.5 mixes .* but 1 have any; expected two or more"),
        ({"separate": True}, r"every domain has a network of its own"),
    ],
)
def test_what_cannot_be_crossed_is_refused(changes, message):
    data = mixture(names=changes.get("names", ("streets", "rooms")), crop=changes.get("crop", (32, 48)))
    if "own" in changes:
        data.domains["rooms"].crop = changes["own"]
    config = replace(TINY, separate=changes.get("separate", False))
    with pytest.raises(ValueError, match=message):
        learner(lambda model: Consistency(model, cross_mix=0.5), data, config)


def test_classes_are_not_pasted_into_images_of_another_size():
    with pytest.raises(ValueError, match=r"mix: classes .* dusk whole, streets whole"):
        consistency(adapting(crop=None), mix="classes")


def test_a_target_has_as_many_mixed_images_as_unlabelled_ones_whatever_its_source_has():
    data = adapting(unlabeled_batches=2)
    method = consistency(data, mix="classes")
    batch = first_batch(data)
    labels = method.labels(batch.unlabeled["dusk"], "dusk")
    view = one_view(method, batch, "dusk", labels)
    assert len(view.images) == 4 and len(batch.labeled["streets"].image) == 2
    pasted = (view.images != batch.unlabeled["dusk"].image).any(dim=1)
    assert pasted.flatten(1).any(dim=1).all()
    source = batch.labeled["streets"].mask[[0, 1, 0, 1]]
    assert torch.equal(view.labels["dusk"].mask[pasted], source[pasted])


def test_two_processes_draw_the_strong_views_that_one_does(monkeypatch):
    data = mixture(batch_size=4, crop=(32, 48))
    method = consistency(data, strong=StrongView(), cross_mix=0.5)
    batch = first_batch(data)
    labels = labeled_by(method, batch)
    whole = method.mixing.view(batch, "streets", labels, 3, 1)
    for rank in (0, 1):
        share = TrainBatch({}, {n: Sample(*(f[rank::2] for f in s[:3])) for n, s in batch.unlabeled.items()})
        known = {name: Labels(*(one[rank::2] for one in both)) for name, both in labels.items()}
        monkeypatch.setattr("semiverse.methods.strong_views.process_count", lambda: 2)
        monkeypatch.setattr("semiverse.methods.strong_views.process_rank", lambda rank=rank: rank)
        part = method.mixing.view(share, "streets", known, 3, 1)
        assert torch.equal(part.images, whole.images[rank::2])
        for name, both in part.labels.items():
            assert all(torch.equal(one, other[rank::2]) for one, other in zip(both, whole.labels[name], strict=True))


def test_nobody_looks_at_the_labels_of_a_target():
    data = adapting()
    batch = first_batch(data)
    found = []
    for garbage in (0, 7):
        method = consistency(data, mix="classes", strong=StrongView())
        poisoned = {n: s._replace(mask=torch.full_like(s.mask, garbage)) for n, s in batch.unlabeled.items()}
        take_step(method, batch._replace(unlabeled=poisoned))
        found.append(dict(method.state_dict()))
    assert not moved(*found)


# Scores of the teacher, and what becomes of them.


def test_adjusting_takes_the_log_of_the_weights_off_the_teachers_scores():
    data = mixture(balance=Balance())
    plain, adjusted = (consistency(data, threshold=0.0, adjust=adjust) for adjust in (0.0, 0.5))
    sample = first_batch(data).unlabeled["streets"]
    with torch.no_grad():
        teacher = plain.teacher
        scores = teacher.classify(teacher.features(sample.image, "streets"), "streets").at((32, 48))
    weights = data.class_weights["streets"]
    assert torch.equal(plain.labels(sample, "streets").mask.long(), scores.argmax(dim=1))
    expected = (scores - 0.5 * weights.log()[:, None, None]).argmax(dim=1)
    assert torch.equal(adjusted.labels(sample, "streets").mask.long(), expected)
    assert not torch.equal(expected, scores.argmax(dim=1))
    sure = consistency(data, threshold=0.2, adjust=0.5).labels(sample, "streets").sure
    lowered = (scores - 0.5 * weights.log()[:, None, None]).softmax(dim=1).amax(dim=1)
    assert torch.equal(sure, lowered >= 0.2)


def test_adjusting_needs_weights():
    with pytest.raises(ValueError, match=r"adjust is 0\.5, but classes have no weights; .* set data\.balance"):
        consistency(adjust=0.5)


def test_student_stands_beside_the_teacher_in_every_validation():
    method = consistency(decay=0.9)
    with torch.no_grad():
        for parameter in method.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    scores = validated(method)
    assert method.result() is method.average
    own = validated(learner_of(method.model, method.data))
    for domain in ("streets", "rooms"):
        assert scores[f"{domain}/miou_by_student"] == own[f"{domain}/miou"] != scores[f"{domain}/miou"]
    assert scores["sum_miou"] == pytest.approx(scores["streets/miou"] + scores["rooms/miou"])
    given = consistency()
    given.average = None
    given._given.append(method.average)
    assert given.further_results() == {}


def learner_of(model, data):
    method = Supervised(model)
    method.attach(data, 10)
    return method


def forgetting(total_steps=250):
    """What is said of labelled streets of two classes after so many steps, if a teacher labels one of them."""
    labels = LabelSpace("two", ("road", "pole"))
    found = Coverage({"streets": labels, "dusk": labels}, total_steps)
    found.teach("streets", torch.tensor([[[0, 1, IGNORE]]], dtype=torch.uint8))
    mask = torch.tensor([[[0, 0, 1, IGNORE]]], dtype=torch.uint8)
    sure = torch.tensor([[[True, False, False, False]]])
    return found, Labels(mask, sure)


def test_coverage_is_the_share_of_the_pixels_inside():
    found, labels = forgetting()
    assert found.note("dusk", labels, 0).tolist() == pytest.approx([1 / 3, 0])
    nothing = Labels(torch.full_like(labels.mask, IGNORE), torch.zeros_like(labels.sure))
    assert found.note("dusk", nothing, 1).tolist() == [0, 0]


def test_a_class_that_is_never_labelled_for_a_fifth_of_the_training_is_named_once():
    found, labels = forgetting()
    said = []
    for step in range(250):
        found.note("dusk", labels, step)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.check(step + 1, ("lower threshold",))
        said += [(step + 1, str(one.message)) for one in caught]
    ((step, message),) = said
    assert 50 <= step <= 62
    assert "domain dusk: for 50 steps" in message and "no pixel of pole, which" in message and "road" not in message
    assert message.endswith("lower threshold")


def test_nothing_is_said_of_classes_without_labels_or_that_are_labelled_now_and_then():
    found, labels = forgetting()
    found._taught.clear()
    both = Labels(labels.mask, labels.mask != IGNORE)
    other = forgetting()[0]
    for step in range(250):  # warnings are errors
        found.note("streets", labels, step)
        found.check(step + 1, ())
        other.note("streets", both if step % 40 == 0 else labels, step)
        other.check(step + 1, ())


def test_a_training_notes_what_is_taught_and_labelled():
    method = consistency()
    take_step(method)
    assert set(method.coverage._taught) == {"streets", "rooms"} == set(method.coverage._labeled)
    means = method.means.take()
    shares = [value for name, value in means.items() if name.startswith("streets/pseudo_labels/")]
    assert sum(shares) == pytest.approx(means["streets/sure"])


# Label embeddings.


def test_an_anchor_brings_label_embeddings_that_answer_in_any_label_space():
    data = mixture()
    method = consistency(data, anchor=1.0, embed_dim=8)
    method.prepare(lambda: networks_of(data))
    rows_of = [model.label_embeddings.rows("rooms") for model in (method.model, method.average)]
    assert torch.equal(*rows_of)
    before = copy.deepcopy(dict(method.named_parameters()))
    going_on = take_step(method)
    projection = "model.label_embeddings.projection.weight"
    assert projection in moved(before, dict(method.named_parameters()))
    assert {"streets/anchor", "rooms/anchor"} <= set(method.means.take())
    take_step(method, going_on=going_on)
    scores = validated(method)
    assert {"streets/miou_by_embedding", "rooms/miou_by_embedding"} <= set(scores)
    found = Predictor(method.result(), "embedding", device="cpu")(
        first_batch(data).labeled["streets"].image[0], "streets", "rooms"
    )
    assert found.labels == data.label_spaces["rooms"]


def test_anchor_term_is_that_of_universal():
    data = mixture()
    one = consistency(data, anchor=0.5, embed_dim=8, weight=0.0)
    other = learner(lambda model: Universal(model, alpha=0.0, beta=0.0, anchor=0.5, embed_dim=8, start=None), data)
    for method in (one, other):
        method.prepare(lambda: networks_of(data))
    other.load_state_dict(one.state_dict(), strict=False)
    batch = first_batch(data)._replace(unlabeled={})
    assert [term.item() for term in one.terms(batch)] == [term.item() for term in other.terms(batch)]


def test_without_an_anchor_there_are_no_label_embeddings_and_no_networks():
    method = consistency()
    method.prepare(None)
    assert method.model.label_embeddings is None and method.average.label_embeddings is None


def test_embeddings_of_more_dimensions_than_features_are_refused():
    with pytest.raises(ValueError, match="embed_dim is 64, but the network has 32 feature channels"):
        consistency(anchor=1.0, embed_dim=64)
