"""Weak-to-strong consistency: the checks of its parts by hand, and what a step leaves alone."""

import copy
import math

import numpy as np
import pytest
import torch

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.methods import Consistency, Supervised
from semiverse.methods.consistency import Labels
from semiverse.methods.strong_views import AREA, StrongView, generator, partners, paste, pasted_classes
from semiverse.mixture import Balance, TrainBatch
from semiverse.models import SegmentationModel
from semiverse.models.batch_norm import DomainBatchNorm2d
from tests.methods.worlds import TINY, first_batch, learner, mixture, moved, players, take_step

PLAIN = StrongView(colored=0.0, grey=0.0, blur=0.0, box=0.0)


def consistency(data=None, total_steps=10, **options):
    options = {"ramp": (0.0, 0.0), "threshold": 0.05, "strong": PLAIN} | options
    return learner(lambda model: Consistency(model, **options), data, total_steps=total_steps).train()


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
    sample = Sample(torch.zeros(1, 3, 2, 4, dtype=torch.uint8), mask, ["a"])
    batch = TrainBatch({}, {"streets": sample})
    method.strong_view = lambda *_: (sample.image.repeat(1, 1, 16, 16), None, Labels(mask, sure))
    assert method.consistency_loss(batch, "streets", Labels(mask, sure), 0).item() == pytest.approx(0.5)


def _constant(logits, features):
    from semiverse.upsampling import ScoreMap, Upsampling

    return ScoreMap(logits[None, :, None, None].expand(1, -1, 1, 1).clone().requires_grad_(), Upsampling())


def test_nothing_is_learned_from_a_teacher_who_is_never_sure():
    method = consistency(threshold=1.1)
    batch = first_batch(method.data)
    labels = method.labels(batch.unlabeled["streets"], "streets")
    loss = method.consistency_loss(batch, "streets", labels, 0)
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
    loss = method.consistency_loss(batch, "streets", labels, 0)
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
        method.consistency_loss(batch, domain, labels, 0).backward()
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
    data = mixture(names=("streets", "dusk"))
    data.domains["dusk"].labeled = 0
    method = consistency(data, mix="classes", threshold=0.999)
    batch = first_batch(data)
    labels = method.labels(batch.unlabeled["dusk"], "dusk")
    _, _, mixed = method.strong_view(batch, "dusk", labels, 0)
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
    method = consistency(threshold=0.9, floor=0.5)
    mean = method.get_buffer("confidence_streets")
    classes = len(mean)
    mask = torch.tensor([[[0, 0, 1, IGNORE]]], dtype=torch.uint8)
    before = mean.clone()
    taus = method._thresholds("streets", mask, torch.tensor([[[1.0, 0.6, 0.1, 0.9]]]))
    expected = before.clone()
    expected[0] = 0.99 * before[0] + 0.01 * 0.8
    expected[1] = 0.99 * before[1] + 0.01 * 0.1
    assert torch.allclose(mean, expected)
    assert torch.allclose(taus, (0.9 * expected / expected.max()).clamp(0.5, 0.9))
    fresh = consistency(threshold=0.9, floor=0.0)
    none = torch.full_like(mask, IGNORE)
    assert fresh._thresholds("streets", none, torch.ones(1, 1, 4)).tolist() == pytest.approx([0.9] * classes)


def test_pseudo_labels_are_weighted_as_labels():
    method = consistency(mixture(balance=Balance()), threshold=0.0)
    batch = first_batch(method.data)
    labels = method.labels(batch.unlabeled["streets"], "streets")
    labels = Labels(batch.labeled["streets"].mask, batch.labeled["streets"].mask != IGNORE)
    loss = method.consistency_loss(batch, "streets", labels, 0)
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
    method = consistency(views=2)
    maps = [torch.ones(4, 16, 2, 3), torch.ones(4, 8, 1, 1)]
    one, two = (method._dropped(maps, "streets", view) for view in (0, 1))
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
    from dataclasses import replace

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


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"floor": 1.5}, {"decay": 2.0}, {"threshold": -0.1}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"has {next(iter(options))}"):
        consistency(**options)
