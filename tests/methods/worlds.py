"""Tiny mixtures, models and learners for the tests of methods."""

from dataclasses import replace

import torch
from lightning_fabric import Fabric

from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.methods import Method, Optimizer
from semiverse.mixture import Domain, DomainMixture, Draws, TrainBatch
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.training.loop import Players, validate

TINY = ModelConfig("drn_d_22", width=1 / 16, head_deviation=None)  # 32 features; predictions differ from the start


def mixture(labeled=4, batch_size=2, names=("streets", "rooms"), **options):
    size = (32, 48)
    makers = {
        "streets": lambda: SyntheticStreets(images=8, val_images=2, size=size),
        "rooms": lambda: SyntheticRooms(images=8, val_images=2, size=size),
        "dusk": lambda: SyntheticStreets(style="dusk", images=8, val_images=2, size=size),
    }
    domains = {name: Domain(makers[name](), labeled=labeled) for name in names}
    return DomainMixture(domains, batch_size=batch_size, workers=0, **options)


def learner(method, data=None, config=TINY, seed=0, total_steps=10) -> Method:
    """A method with its data, outside any training."""
    data = data or mixture()
    torch.manual_seed(seed)
    made = method(SegmentationModel(config, data.label_spaces, data.resolutions))
    made.attach(data, total_steps)
    return made


def first_batch(data, step=0, draws=Draws(unlabeled_from=0)) -> TrainBatch:
    return next(iter(data.training(lambda: step, draws)))


def players(method, **optimizer) -> Players:
    """What takes the steps of a method; options of the optimiser that are not given are its authors'."""
    return Players(Fabric(accelerator="cpu", devices=1), method, Optimizer(**optimizer).over(method.optimizer))


def take_step(method, batch=None, going_on=None, **optimizer) -> Players:
    """One whole step as in training, by players that go on from their last step if they are given."""
    going_on = going_on or players(method, **optimizer)
    going_on.step(batch or first_batch(method.data, method.steps_done, method.draws()))
    return going_on


def stopped(going_on, number) -> Players:
    """Players of which one stands still: 0 is the model, those after it are its opponents."""
    for group in going_on.optimizers[number].param_groups:
        group["factor"] = 0.0
    return going_on


def validated(method) -> dict[str, float]:
    """Scores of a method on the validation images of its data."""
    return validate(Fabric(accelerator="cpu", devices=1), method)


def networks_of(data, seed=7):
    """Networks of each domain that were not trained: enough for wiring."""
    torch.manual_seed(seed)
    return SegmentationModel(replace(TINY, separate=True), data.label_spaces, data.resolutions).eval()


def gradients(module) -> dict[str, torch.Tensor | None]:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def moved(before, after) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}
