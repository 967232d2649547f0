"""How long a training is and what it runs on: the ``trainer`` section, checked, and the Fabric that it stands for."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.single_device import SingleDeviceStrategy

from semiverse.models import computes_in
from semiverse.training.sharding import FullyShardedStrategy

LENGTH = ("max_steps", "max_epochs")
FABRIC = ("accelerator", "devices", "num_nodes", "strategy", "precision")
"""Options that are Fabric's business."""
KNOWN = (*LENGTH, *FABRIC, "deterministic", "benchmark")
INSTEAD = {
    "val_check_interval": "validate_every",
    "check_val_every_n_epoch": "validate_every",
    "gradient_clip_val": "optimizer.clip",
    "accumulate_grad_batches": "data.batch_size",
    "default_root_dir": "out",
    "min_steps": "max_steps",
    "min_epochs": "max_epochs",
    "max_time": "max_steps",
    "limit_train_batches": "max_steps",
    "callbacks": "callbacks, beside trainer,",
    "profiler": "a callback that calls torch.profiler",
}


ROUND = 4
"""A round of self-training is so many times as long as the first run: it has many more images to learn from."""


def trainer_options(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of a training, checked: its length, and what it runs on.

    One device unless more are asked for; several share every batch.

    Raises:
        ValueError: If there is no such option, with the nearest right one, or a value is wrong.
    """
    options = dict(given or {})
    for name in options:
        if name not in KNOWN:
            near = get_close_matches(name, KNOWN, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            hint = f": set {INSTEAD[name]} instead" if name in INSTEAD else hint
            raise ValueError(f"trainer has no option {name!r}; expected {', '.join(KNOWN)}{hint}")
    for name in LENGTH:
        value = options.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"trainer {name} is {value!r}; expected a whole number of at least 1: correct it")
    if all(options.get(name) is None for name in LENGTH):
        options["max_epochs"] = 200  # Kalluri et al. (2019), 4.1
    options.setdefault("devices", 1)
    return options


def with_precision(given: Mapping[str, Any] | None, begun: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Options of a training with the precision that ``auto`` stands for.

    It is ``bf16-mixed`` where the device computes in bfloat16 itself and ``32-true`` elsewhere; a run that has begun,
    with the options ``begun``, goes on in its own, wherever that is.
    """
    if not given or given.get("precision") != "auto":
        return None if given is None else dict(given)
    if begun and begun.get("precision"):
        return {**given, "precision": begun["precision"]}
    accelerator = str(given.get("accelerator", "auto"))
    cuda = torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")
    device = torch.device("cuda" if cuda else "cpu" if accelerator in ("auto", "cpu") else "meta")
    return {**given, "precision": "bf16-mixed" if computes_in(torch.bfloat16, device) else "32-true"}


def networks_options(trainer: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Options for the networks that a run starts from: its own, or given ones on the same devices.

    All processes of a run come to its networks together; each would write their folder if they trained them alone.
    """
    shared = {name: trainer[name] for name in ("devices", "num_nodes", "strategy") if trainer and name in trainer}
    return {**shared, **given} if given else trainer


def rounds_options(trainer: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options for the rounds of self-training: those of the first run, but for what is given.

    A length that is given takes the place of its length; where nothing is given, rounds are ``ROUND`` times as long.
    """
    own = dict(trainer or {})
    if given is None:
        first = trainer_options(trainer)
        return own | {name: ROUND * first[name] for name in LENGTH if first.get(name) is not None}
    replaced = LENGTH if any(name in given for name in LENGTH) else ()
    return {name: value for name, value in own.items() if name not in replaced} | dict(given)


def total_steps(options: Mapping[str, Any], steps_per_epoch: int) -> int:
    """Steps of a training of this length; of two lengths the shorter one."""
    lengths: list[int] = [options.get("max_steps") or 0, (options.get("max_epochs") or 0) * steps_per_epoch]
    return min(length for length in lengths if length)


def build_fabric(
    options: Mapping[str, Any], callbacks: Sequence[object] = (), loggers: Sequence[object] = ()
) -> Fabric:
    """The devices, precision and processes of a training; nothing is started yet.

    Args:
        options: What ``trainer_options`` gave.
        callbacks: Objects whose methods are called at named moments, see ``Callback``.
        loggers: Where numbers go beside the run's own files: objects with ``log_metrics``.

    Raises:
        ValueError: If Fabric refuses a value, such as a device that the machine lacks.
    """
    options = with_precision(options) or {}
    passed_on = {name: options[name] for name in FABRIC if options.get(name) is not None}
    torch.backends.cudnn.benchmark = bool(options.get("benchmark", torch.backends.cudnn.benchmark))
    if options.get("deterministic"):
        torch.use_deterministic_algorithms(True)
    if passed_on.get("strategy") == "fsdp":
        passed_on["strategy"] = FullyShardedStrategy()
    try:
        fabric = Fabric(**passed_on, callbacks=list(callbacks), loggers=cast(list[Logger], list(loggers)))
        if not isinstance(fabric.strategy, SingleDeviceStrategy | DDPStrategy):
            raise ValueError("no such strategy is known to the loop, only auto, ddp and fsdp")
        if isinstance(fabric.strategy, FullyShardedStrategy) and options.get("precision") in (16, "16", "16-mixed"):
            raise ValueError("losses of float16 are not scaled with fsdp; bf16-mixed needs no scale")
        return fabric
    except Exception as error:  # Fabric's own kinds have no common base
        given = ", ".join(f"{name}: {options[name]}" for name in passed_on)
        message = f"trainer ({given}) cannot be used: {error}; expected what this machine has: change it"
        raise ValueError(message) from error


def process_number(fabric: Fabric) -> int:
    """How many processes will train together, known before any of them is started."""
    strategy = fabric.strategy
    return int(getattr(strategy, "num_processes", 1)) * int(getattr(strategy, "num_nodes", 1))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back advice of Fabric and torch that users cannot act on, unless the library's logger is set to debug."""
    if logging.getLogger("semiverse").isEnabledFor(logging.DEBUG):
        yield
        return
    with warnings.catch_warnings(), ExitStack() as afterwards:
        warnings.filterwarnings("ignore", module=r"(lightning_fabric|lightning_utilities|torch)\b")
        for talker in map(logging.getLogger, ("lightning_fabric", "lightning.fabric", "torch")):
            afterwards.callback(talker.setLevel, talker.level)
            talker.setLevel(logging.ERROR)
        yield
