"""Tiny mixtures, models and learners for the tests of methods."""

from dataclasses import replace

import torch

from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.methods import Method
from semiverse.mixture import Domain, DomainMixture, TrainBatch
from semiverse.models import ModelConfig, SegmentationModel

TINY = ModelConfig(width=1 / 16)  # 32 feature channels


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
    """A method with its data, outside any training: gradients are what plain autograd makes them."""
    data = data or mixture()
    torch.manual_seed(seed)
    made = method(SegmentationModel(config, data.label_spaces, data.resolutions))
    made.data, made.total_steps = data, total_steps
    return made


def first_batch(data, step=0, ground_truth=False, unlabeled_from=0) -> TrainBatch:
    return next(iter(data.training(lambda: step, unlabeled_from, ground_truth=ground_truth)))


def take_step(method, batch=None, optimizers=None):
    """One whole step as in training, with optimisers that go on from their last step if they are given."""
    optimizers = optimizers or method.configure_optimizers()
    method.optimizers, method.manual_backward = lambda: optimizers, torch.Tensor.backward
    wanted = (method.steps_done, method.needs_ground_truth, method.unlabeled_from)
    method.training_step(batch or first_batch(method.data, *wanted), 0)
    return optimizers


def networks_of(data, seed=7):
    """Networks of each domain that were not trained: enough for wiring."""
    torch.manual_seed(seed)
    return SegmentationModel(replace(TINY, separate=True), data.label_spaces, data.resolutions).eval()


def gradients(module) -> dict[str, torch.Tensor | None]:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def moved(before, after) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}
