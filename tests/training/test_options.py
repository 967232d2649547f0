"""Options of a training: what is passed on to Fabric and what is not."""

import logging
import warnings

import pytest
import torch
from lightning_fabric.strategies import ModelParallelStrategy

from semiverse.training.options import (
    build_fabric,
    process_number,
    quiet,
    rounds_options,
    total_steps,
    trainer_options,
    with_precision,
)


def test_without_options_a_training_has_200_epochs_on_one_device():
    assert trainer_options(None) == {"max_epochs": 200, "devices": 1}


def test_number_of_processes_is_known_before_any_is_started():
    for options, processes in (({}, 1), ({"devices": 2}, 2), ({"devices": 2, "num_nodes": 3}, 6)):
        fabric = build_fabric(trainer_options({"accelerator": "cpu", **options}))
        assert process_number(fabric) == processes


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"max_steps": 7}, 7),
        ({"max_epochs": 2}, 10),
        ({"max_steps": 7, "max_epochs": 2}, 7),
        ({"max_steps": 70, "max_epochs": 2}, 10),
        (None, 1000),
    ],
)
def test_length_is_the_shorter_of_steps_and_epochs(given, steps):
    assert total_steps(trainer_options(given), steps_per_epoch=5) == steps


@pytest.mark.parametrize(
    ("trainer", "given", "both"),
    [
        (None, None, {"max_epochs": 800}),
        ({"max_steps": 3}, None, {"max_steps": 12}),
        ({"max_epochs": 3, "precision": "64-true"}, None, {"max_epochs": 12, "precision": "64-true"}),
        ({"max_steps": None, "max_epochs": 3}, None, {"max_steps": None, "max_epochs": 12}),
        ({"max_steps": 30, "max_epochs": 2}, None, {"max_steps": 120, "max_epochs": 8}),
        (None, {}, {}),
        ({"max_steps": 3}, {}, {"max_steps": 3}),
        (None, {"max_steps": 3}, {"max_steps": 3}),
        ({"max_epochs": 3, "precision": "64-true"}, {"max_steps": 12}, {"precision": "64-true", "max_steps": 12}),
        ({"max_steps": 3, "devices": 2}, {"devices": 1}, {"max_steps": 3, "devices": 1}),
        ({"max_steps": 3}, {"max_steps": None, "devices": 1}, {"max_steps": None, "devices": 1}),
    ],
)
def test_rounds_have_the_options_of_the_first_run_but_for_their_own(trainer, given, both):
    assert rounds_options(trainer, given) == both


@pytest.mark.parametrize("name", ["logger", "callbacks", "max_time", "fast_dev_run", "limit_train_batches", "profiler"])
def test_options_that_a_run_decides_itself_are_refused(name):
    with pytest.raises(ValueError, match=f"no option '{name}'; expected max_steps"):
        trainer_options({name: 1})


def test_automatic_precision_is_half_where_the_processor_has_the_instructions():
    auto = {"max_steps": 1, "precision": "auto", "accelerator": "cpu"}
    known = {"AVX512": "bf16-mixed", "AVX2": "32-true", "DEFAULT": "32-true"}
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in known or torch.cpu.get_capabilities().get("avx_ne_convert"):
        pytest.skip(f"nothing is known of processors with {capability}")
    assert with_precision(auto) == {**auto, "precision": known[capability]}
    assert build_fabric(trainer_options(auto)).strategy.precision.precision == known[capability]


@pytest.mark.parametrize("accelerator", ["mps", "tpu"])
def test_automatic_precision_is_full_where_nothing_is_known(accelerator):
    assert with_precision({"precision": "auto", "accelerator": accelerator})["precision"] == "32-true"


@pytest.mark.parametrize("begun", ["bf16-mixed", "32-true", "64-true"])
def test_a_run_goes_on_in_the_precision_in_which_it_began(begun):
    assert with_precision({"precision": "auto"}, {"precision": begun}) == {"precision": begun}
    assert with_precision({"precision": "16-mixed"}, {"precision": begun}) == {"precision": "16-mixed"}
    assert with_precision(None, {"precision": begun}) is None


@pytest.mark.parametrize("value", [0, -1, 1.5, "ten", True])
def test_length_that_is_no_positive_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"max_steps is .* whole number"):
        trainer_options({"max_steps": value})


def test_value_that_fabric_refuses_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"trainer \(accelerator: cpu, precision: 7.*cannot be used"):
        build_fabric({"accelerator": "cpu", "precision": "7"})


def test_strategies_that_the_loop_cannot_take_are_refused():
    other = ModelParallelStrategy(parallelize_fn=lambda module, _: module)
    with pytest.raises(ValueError, match=r"cannot be used: .* only auto, ddp and fsdp"):
        build_fabric(trainer_options({"accelerator": "cpu", "strategy": other}))
    with pytest.raises(ValueError, match=r"strategy: fsdp.*\) cannot be used: .*bf16-mixed"):
        build_fabric(trainer_options({"accelerator": "cpu", "strategy": "fsdp", "precision": "16-mixed"}))


def test_advice_of_fabric_is_kept_back_and_comes_again_afterwards(caplog):
    talker = logging.getLogger("lightning_fabric")
    talker.setLevel(logging.INFO)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            assert not talker.isEnabledFor(logging.WARNING)
            warnings.warn_explicit("advice", UserWarning, "file.py", 1, module="lightning_fabric.strategies")
            warnings.warn_explicit("ours", UserWarning, "file.py", 1, module="semiverse.mixture.mixture")
    assert talker.level == logging.INFO
    assert [str(warning.message) for warning in caught] == ["ours"]
    logging.getLogger("semiverse").setLevel(logging.DEBUG)
    try:
        with quiet():
            assert talker.isEnabledFor(logging.INFO)
    finally:
        logging.getLogger("semiverse").setLevel(logging.NOTSET)
