"""Lightning's Trainer as a run uses it: its options checked beforehand, its talk kept from users."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Trainer

LENGTH = ("max_steps", "max_epochs")
PASSED_ON = ("accelerator", "devices", "num_nodes", "strategy", "precision", "deterministic", "benchmark", "profiler")
"""Options that are Lightning's business; everything else a run decides itself."""
INSTEAD = {
    "val_check_interval": "validate_every",
    "check_val_every_n_epoch": "validate_every",
    "gradient_clip_val": "clip of the method",
    "accumulate_grad_batches": "data.batch_size",
    "default_root_dir": "out",
    "min_steps": "max_steps",
    "min_epochs": "max_epochs",
    "max_time": "max_steps",
    "limit_train_batches": "max_steps",
}
EPOCHS = 200
"""Length of a training where none is given (Kalluri et al. (2019), 4.1)."""


def trainer_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of a training, checked: its length, and what is passed on to Lightning's Trainer.

    One device unless more are asked for; several share every batch.

    Raises:
        ValueError: If there is no such option, with the nearest right one, or a value is wrong.
    """
    options = dict(given or {})
    for name in options:
        if name not in (*LENGTH, *PASSED_ON):
            near = get_close_matches(name, (*LENGTH, *PASSED_ON), n=1)
            hint = (
                f": set {INSTEAD[name]} instead" if name in INSTEAD else f"; did you mean {near[0]!r}?" if near else ""
            )
            raise ValueError(f"trainer has no option {name!r}; expected {', '.join((*LENGTH, *PASSED_ON))}{hint}")
    for name in LENGTH:
        value = options.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"trainer {name} is {value!r}; expected a whole number of at least 1: correct it")
    if options.get("max_steps") is None and options.get("max_epochs") is None:
        options["max_epochs"] = EPOCHS
    options.setdefault("devices", 1)
    if options["devices"] != 1 and options.get("strategy", "auto") in ("auto", "ddp"):
        # Each term of an objective is back-propagated by itself and reaches only a part of the parameters.
        options["strategy"] = "ddp_find_unused_parameters_true"
    return options


def total_steps(options: Mapping[str, Any], steps_per_epoch: int) -> int:
    """Steps of a training of this length; of two lengths the shorter one."""
    lengths: list[int] = []
    if options.get("max_steps") is not None:
        lengths.append(options["max_steps"])
    if options.get("max_epochs") is not None:
        lengths.append(options["max_epochs"] * steps_per_epoch)
    return min(lengths)


def is_first_process() -> bool:
    """Whether this process is the one, of those that train together, which reads, prints and writes for all."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def build_trainer(options: Mapping[str, Any], **ours: Any) -> Trainer:  # noqa: ANN401
    """A Trainer that goes on until it is told to stop, and leaves everything but the loop to us.

    Args:
        options: What ``trainer_options`` gave.
        ours: Further arguments of the Trainer.

    Raises:
        ValueError: If Lightning refuses a value, such as a device that the machine lacks.
    """
    passed_on = {name: value for name, value in options.items() if name not in LENGTH}
    try:
        return Trainer(
            **passed_on,
            max_epochs=-1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=None,
            **ours,
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        listed = ", ".join(f"{name}: {value}" for name, value in passed_on.items())
        raise ValueError(
            f"trainer ({listed}) cannot be used: {error}; expected what this machine has: change it"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back the advice and warnings of Lightning and torch, which users of this library cannot act on.

    Nothing is kept back where the library's own logger is set to debug.
    """
    if logging.getLogger("semiverse").isEnabledFor(logging.DEBUG):
        yield
        return
    talkers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "torch")]
    levels = [talker.level for talker in talkers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|lightning_utilities|torch)\b")
        for talker in talkers:
            talker.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for talker, level in zip(talkers, levels, strict=True):
                talker.setLevel(level)
