"""What stands beside the bar, and random numbers that a step alone decides."""

from types import SimpleNamespace

import torch

from semiverse.methods.method import Means
from semiverse.training.loop import step_seed
from semiverse.training.recorder import short_means


def test_bar_shows_the_first_losses_averaged_over_domains():
    means = Means()
    for name, values in {"a/supervised": (1.0, 2.0), "b/supervised": (3.0,), "a/entropy": (0.5,)}.items():
        for value in values:
            means.add(name, torch.tensor(value))
    assert short_means(SimpleNamespace(means=means)) == "supervised 2.250, entropy 0.500"


def drawn(seed: int, rank: int, step: int) -> list[float]:
    torch.rand(step + 3)  # whatever was drawn before
    torch.manual_seed(step_seed(seed, rank, step))
    return torch.rand(4).tolist()


def test_random_numbers_of_a_step_depend_on_seed_process_and_step_alone():
    assert drawn(0, 0, 5) == drawn(0, 0, 5)
    others = [drawn(1, 0, 5), drawn(0, 1, 5), drawn(0, 0, 6)]
    assert drawn(0, 0, 5) not in others and len({tuple(other) for other in others}) == 3
