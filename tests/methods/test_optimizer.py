"""The optimiser as a value: what it fills in, builds and refuses, and learning rates against hand-computed ones."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from semiverse.labels import LabelSpace
from semiverse.methods import Adaptation, Adversarial, Latent, Method, Optimizer, Supervised, Universal
from semiverse.methods.optimizer import AS_PUBLISHED, parameter_groups, polynomial
from semiverse.models import SegmentationModel
from tests.methods.worlds import TINY, learner, mixture, players, take_step

SPACES = {name: LabelSpace(name, tuple("abc"[:count])) for name, count in (("city", 3), ("home", 2))}


# Values.


def test_what_is_given_stands_and_what_is_not_is_the_default():
    filled = Optimizer("adamw", lr=0.01, warmup=5, clip=1.0).over(AS_PUBLISHED)
    assert filled == Optimizer("adamw", 0.01, 1.0, 1.0, 0.9, 1e-4, 0.9, "epoch", None, 5, 1.0)
    assert Optimizer().over(AS_PUBLISHED) == AS_PUBLISHED
    assert filled.over(AS_PUBLISHED) == filled


def test_zero_is_a_value_and_not_a_gap():
    zeros = {"decoder_factor": 0.0, "head_factor": 0.0, "momentum": 0.0, "weight_decay": 0.0, "power": 0.0, "warmup": 0}
    filled = Optimizer(**zeros).over(replace(AS_PUBLISHED, warmup=7))
    assert {name: getattr(filled, name) for name in zeros} == zeros


def test_only_limits_are_open_in_what_authors_train_with():
    published = {"algorithm": "sgd", "decoder_factor": 1.0, "momentum": 0.9, "power": 0.9, "warmup": 0}
    kalluri = published | {"lr": 1e-3, "head_factor": 1.0, "weight_decay": 1e-4, "decay": "epoch"}
    deeplab = published | {"lr": 2.5e-4, "head_factor": 10.0, "weight_decay": 5e-4, "decay": "step"}
    for methods, values in (((Method, Supervised, Universal), kalluri), ((Adversarial, Latent, Adaptation), deeplab)):
        for method in methods:
            assert method.optimizer == Optimizer(**values)
    assert {field.name for field in fields(Optimizer)} - set(kalluri) == {"decay_steps", "clip"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "adam"}, r"optimizer\.algorithm is 'adam'; expected sgd or adamw: choose one of them"),
        ({"decay": "never"}, r"optimizer\.decay is 'never'; expected epoch or step: choose one of them"),
        ({"lr": 0.0}, r"optimizer\.lr is 0\.0; expected a positive number: correct it"),
        ({"lr": -1.0}, r"optimizer\.lr is -1\.0; expected a positive number"),
        ({"clip": 0.0}, r"optimizer\.clip is 0\.0; expected a positive number"),
        ({"decay_steps": 0}, r"optimizer\.decay_steps is 0; expected a positive number"),
        ({"decoder_factor": -0.1}, r"optimizer\.decoder_factor is -0\.1; expected 0 or more: correct it"),
        ({"head_factor": -1}, r"optimizer\.head_factor is -1; expected 0 or more"),
        ({"momentum": -0.9}, r"optimizer\.momentum is -0\.9; expected 0 or more"),
        ({"momentum": 1.0}, r"optimizer\.momentum is 1\.0; expected 0 or more, below 1: correct it"),
        ({"weight_decay": -1e-4}, r"optimizer\.weight_decay is -0\.0001; expected 0 or more"),
        ({"power": -0.9}, r"optimizer\.power is -0\.9; expected 0 or more"),
        ({"warmup": -1}, r"optimizer\.warmup is -1; expected 0 or more"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Optimizer(**options)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["lr", "clip", "momentum", "weight_decay"])
def test_what_is_no_finite_number_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"optimizer\.{name} is {value}; expected"):
        Optimizer(**{name: value})


# What is built.


def test_stochastic_gradient_descent_has_momentum_and_weight_decay():
    weight = nn.Parameter(torch.tensor([2.0]))
    built = Optimizer(lr=0.1, momentum=0.5, weight_decay=0.25).over(AS_PUBLISHED).build([{"params": [weight]}])
    assert type(built) is SGD
    (group,) = built.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.1, 0.5, 0.25, False)
    for gradient, expected in ((1.0, 2.0 - 0.1 * 1.5), (0.0, 1.85 - 0.1 * (0.25 * 1.85 + 0.5 * 1.5))):
        weight.grad = torch.tensor([gradient])
        built.step()
        assert weight.item() == pytest.approx(expected, rel=1e-6)


def test_adamw_has_momentum_as_its_first_beta_and_weight_decay_apart_from_the_gradient():
    weight = nn.Parameter(torch.tensor([2.0]))
    options = {"algorithm": "adamw", "lr": 0.1, "momentum": 0.8, "weight_decay": 0.25}
    built = Optimizer(**options).over(AS_PUBLISHED).build([{"params": [weight]}])
    assert type(built) is AdamW
    (group,) = built.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.1, (0.8, 0.999), 0.25)
    weight.grad = torch.tensor([3.0])
    built.step()
    assert weight.item() == pytest.approx(2.0 - 0.1 * 0.25 * 2.0 - 0.1, rel=1e-6)  # a first step is one of length 1


def test_a_step_of_adamw_moves_everything_that_learns_at_the_rates_of_its_groups():
    method = learner(Supervised)
    before = {name: value.clone() for name, value in method.named_parameters()}
    going_on = take_step(method, algorithm="adamw", lr=1e-3, weight_decay=0.0, head_factor=4.0)
    assert isinstance(going_on.optimizers[0], AdamW)
    for name, value in method.named_parameters():
        largest = float((value - before[name]).abs().max().detach())
        rate = 4e-3 if "heads" in name else 1e-3
        # of the first step every length is the rate, or less where a gradient is next to nothing
        assert 0.5 * rate < largest < 1.001 * rate, name


# Learning rates.


def test_polynomial_decay_is_the_published_one():
    assert polynomial(0, 200) == 1.0
    assert polynomial(1, 200) == pytest.approx(0.9954989, rel=1e-6)
    assert polynomial(100, 200) == pytest.approx(0.5358867, rel=1e-6)
    assert polynomial(100, 200, power=2.0) == 0.25
    assert polynomial(200, 200) == polynomial(300, 200) == 0.0


def test_by_step_the_rate_falls_every_step():
    optimizer = Optimizer(decay="step", power=2.0).over(AS_PUBLISHED)
    assert [optimizer.share(step, 4, 3) for step in range(6)] == [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    published = Optimizer(decay="step").over(AS_PUBLISHED)
    values = {0: 2.5e-4, 5000: 1.929724e-4, 10000: 1.339717e-4, 19999: 3.365217e-8}
    for step, rate in values.items():
        assert 2.5e-4 * published.share(step, 20000, 7) == pytest.approx(rate, rel=1e-6)


def test_by_epoch_the_rate_stays_within_an_epoch_and_the_last_one_may_be_cut():
    optimizer = Optimizer(decay="epoch", power=1.0).over(AS_PUBLISHED)
    assert [optimizer.share(step, 8, 2) for step in range(9)] == [1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0.0]
    assert [optimizer.share(step, 7, 3) for step in range(7)] == pytest.approx([1.0] * 3 + [2 / 3] * 3 + [1 / 3])
    assert [optimizer.share(step, 2, 3) for step in range(2)] == [1.0, 1.0]  # less than an epoch


def test_a_schedule_may_be_longer_or_shorter_than_the_training():
    by_step = Optimizer(decay="step", power=1.0, decay_steps=8).over(AS_PUBLISHED)
    assert [by_step.share(step, 4, 1) for step in range(4)] == [1.0, 0.875, 0.75, 0.625]
    assert [by_step.share(step, 12, 1) for step in (7, 8, 11)] == [0.125, 0.0, 0.0]
    by_epoch = Optimizer(decay="epoch", power=1.0, decay_steps=8).over(AS_PUBLISHED)
    assert [by_epoch.share(step, 4, 2) for step in range(4)] == [1.0, 1.0, 0.75, 0.75]
    tsai = Optimizer(decay="step", decay_steps=250_000).over(AS_PUBLISHED)
    for step, rate in {50_000: 2.045130e-4, 100_000: 1.578615e-4, 149_999: 1.095968e-4}.items():
        assert 2.5e-4 * tsai.share(step, 150_000, 1) == pytest.approx(rate, rel=1e-6)


def test_warm_up_rises_to_the_decayed_rate():
    constant = Optimizer(decay="step", power=0.0, warmup=4).over(AS_PUBLISHED)
    assert [constant.share(step, 10, 1) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    falling = Optimizer(decay="step", power=1.0, warmup=2).over(AS_PUBLISHED)
    assert [falling.share(step, 4, 1) for step in range(4)] == [0.5, 0.75, 0.5, 0.25]
    by_epoch = Optimizer(decay="epoch", power=1.0, warmup=4).over(AS_PUBLISHED)
    assert [by_epoch.share(step, 4, 2) for step in range(4)] == [0.25, 0.5, 0.375, 0.5]  # every step, also within one
    once = Optimizer(decay="step", power=1.0, warmup=1).over(AS_PUBLISHED)
    assert [once.share(step, 4, 1) for step in range(2)] == [1.0, 0.75]


def test_every_group_and_opponent_takes_its_share_of_its_own_rate():
    method = learner(Adversarial)
    options = {"decoder_factor": 2.0, "head_factor": 5.0, "power": 1.0, "warmup": 2}
    going_on = players(method, lr=1e-3, **options)
    rates = []
    for share in (0.5, 0.9, 0.8):  # of ten steps
        assert going_on.learning_rate == pytest.approx(1e-3 * share)
        take_step(method, going_on=going_on)
        rates.append([group["lr"] for optimizer in going_on.optimizers for group in optimizer.param_groups])
        assert rates[-1] == pytest.approx([1e-3 * share, 2e-3 * share, 5e-3 * share, 1e-4 * share])


# Groups.


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, decoder="aspp"),
        replace(TINY, separate=True),
        replace(TINY, batch_norm="shared"),
    ],
    ids=["linear", "aspp", "separate", "shared"],
)
def test_every_learning_parameter_is_in_one_group_once(config):
    model = SegmentationModel(config, SPACES)
    behind = nn.Conv2d(4, 4, 1)
    learning = [*model.parameters(), *behind.parameters()]
    optimizer = Optimizer(decoder_factor=3.0, head_factor=10.0)
    groups = parameter_groups(model, optimizer, [*learning, *model.heads["city"].parameters()])
    assert [group["factor"] for group in groups] == [1.0, 3.0, 10.0]
    networks = list(model.networks.values())
    assert len(networks) == (2 if config.separate else 1)
    expected = [
        {id(p) for network in networks for p in network.encoder.parameters()},
        {id(p) for network in networks for p in network.decoder.parameters()},
        {id(p) for module in (model.heads, behind) for p in module.parameters()},
    ]
    found = [[id(p) for p in group["params"]] for group in groups]
    assert [set(group) for group in found] == expected
    together = [one for group in found for one in group]
    assert len(together) == len(set(together)) == len(learning)
    assert bool(expected[1]) == (config.decoder == "aspp")


def test_parameters_that_do_not_learn_are_in_no_group():
    model = SegmentationModel(TINY, SPACES)
    chosen = list(model.heads["home"].parameters())
    groups = parameter_groups(model, AS_PUBLISHED, chosen)
    assert [len(group["params"]) for group in groups] == [0, 0, len(chosen)]


@pytest.mark.parametrize("kind", [Supervised, Adversarial, Latent, Universal])
def test_a_method_trains_all_that_requires_a_gradient_but_its_opponents(kind):
    data = mixture()
    method = learner(kind if kind is not Universal else lambda model: Universal(model, embed_dim=8), data)
    method.model.heads["rooms"].requires_grad_(False)
    own, *others = ([p for group in o.param_groups for p in group["params"]] for o in players(method).optimizers)
    theirs = {p for opponent in method.opponents() for p in opponent.network.parameters()}
    assert {p for other in others for p in other} == theirs
    assert set(own) == {p for p in method.parameters() if p.requires_grad} - theirs
    assert len(own) == len(set(own))
