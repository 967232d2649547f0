"""Which devices are said to be slow in half precision."""

import logging

import pytest
import torch

from semiverse.models import computes_in, warn_of_slow_halves

UNKNOWN = torch.device("meta")


@pytest.fixture(autouse=True)
def unsaid():
    warn_of_slow_halves.cache_clear()
    yield
    warn_of_slow_halves.cache_clear()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_device_of_which_nothing_is_known_is_said_to_be_slow_once(kind, caplog):
    assert not computes_in(kind, UNKNOWN)
    with caplog.at_level(logging.WARNING, "semiverse"):
        warn_of_slow_halves(kind, UNKNOWN)
        warn_of_slow_halves(kind, UNKNOWN)
    (said,) = caplog.messages
    assert said.startswith(f"{str(kind).removeprefix('torch.')} was asked for") and "choose float32" in said


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_processor_is_said_to_be_slow_where_it_has_no_such_instructions(kind, caplog):
    with caplog.at_level(logging.WARNING, "semiverse"):
        warn_of_slow_halves(kind, torch.device("cpu"))
    assert bool(caplog.messages) is not computes_in(kind, torch.device("cpu"))
