"""Train a model on a mixture of domains."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger

from semiverse.commands.check import refuse_problems
from semiverse.commands.recorder import AtomicCheckpoints, Recorder
from semiverse.configuration import describe
from semiverse.methods import Method, Supervised
from semiverse.mixture import DomainMixture
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run, write_atomically

OURS = ("logger", "callbacks", "plugins", "enable_checkpointing", "use_distributed_sampler", "default_root_dir")
"""Trainer options that the run folder decides."""


def train(
    data: DomainMixture,
    method: Callable[[SegmentationModel], Method] = Supervised,
    model: ModelConfig = ModelConfig(),
    trainer: dict[str, Any] | None = None,
    out: Path = Path("runs/first"),
    seed: int = 0,
    keep: Literal["best", "last"] = "best",
    validate_every: int | None = None,
    networks: Path | None = None,
    networks_trainer: dict[str, Any] | None = None,
    check: bool = True,
) -> Path:
    """Train a model; the same call on an unfinished run resumes it.

    Args:
        data: Domains, label budgets and batches.
        method: What is minimised: a method class, or one with options filled in, still waiting for the model.
        model: The network.
        trainer: Options of Lightning's Trainer, such as max_steps, max_epochs, precision, devices, accelerator.
        out: The run folder.
        seed: Of initialisation and everything drawn while training; data.seed draws budgets and batches.
        keep: Whether the model folder holds the weights with the highest sum of mIoU in validation, or the last ones.
        validate_every: Steps between validations; None: a tenth of the run.
        networks: Run folder of the supervised networks of every domain, trained there if it is empty, for methods that
            start from them; runs that name the same folder share it. None: inside the run.
        networks_trainer: Trainer options of those networks; None: those of this run.
        check: Read every file before training and refuse to start on a bad one.

    Returns:
        The run folder.

    Raises:
        ValueError: If an option, the data or the run folder does not fit; nothing has been written then.
        FileNotFoundError: If data is missing.
        PermissionError: If the run folder cannot be written.
    """
    options = trainer_options(trainer)
    values = {"data": data, "method": method, "model": model, "trainer": trainer, "seed": seed, "keep": keep}
    values |= {"validate_every": validate_every, "networks": networks, "networks_trainer": networks_trainer}
    config = describe(values | {"check": check})
    config["data"] = config["data"]["init_args"]
    run = Run(out)
    if run.finished:
        run.claim(config)
        return out
    if check:
        refuse_problems(data)
    seed_everything(seed, workers=True, verbose=False)
    learner = method(SegmentationModel(model, data.label_spaces, data.resolutions))
    learner.data = data
    learner.total_steps = options["max_steps"] if "max_steps" in options else options["max_epochs"] * data.steps_per_epoch
    run.claim(config)
    run.note_environment(seed)
    listed = {name: [record.id for record in records] for name, records in data.labeled.items()}
    write_atomically(out / "labeled.json", json.dumps(listed, indent=1) + "\n")
    if not run.last.is_file():
        data.warn_of_missing_classes()
        pretrain = partial(supervised_networks, learner, networks_trainer or trainer, networks or out / "networks", keep)
        learner.prepare(pretrain)
    fit(learner, options, run, Recorder(run, keep, validate_every or max(1, learner.total_steps // 10)))
    return out


def fit(learner: Method, options: dict[str, Any], run: Run, recorder: Recorder) -> None:
    """Train or go on training, and write the model."""
    started = time.perf_counter()
    lightning = Trainer(
        **options,
        logger=TensorBoardLogger(run.folder, name="tensorboard", version=""),
        callbacks=[recorder],
        plugins=[AtomicCheckpoints()],
        enable_checkpointing=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        check_val_every_n_epoch=None,
        val_check_interval=recorder.every,
    )
    lightning.fit(learner, ckpt_path=run.last if run.last.is_file() else None, weights_only=True)
    if lightning.interrupted:
        raise KeyboardInterrupt
    recorder.finish(lightning, learner, seconds=time.perf_counter() - started)


def supervised_networks(
    learner: Method, trainer: dict[str, Any] | None, folder: Path, keep: Literal["best", "last"]
) -> SegmentationModel:
    """Networks that each domain's labels trained alone, with the optimiser of the method that asks for them.

    A finished run in the folder is taken as it is if its configuration is the same, an unfinished one is resumed.
    """
    same = {name: getattr(learner, name) for name in ("lr", "momentum", "weight_decay", "power", "decay", "clip")}
    config = replace(learner.model.config, separate=True)
    train(learner.data, partial(Supervised, **same), config, trainer, folder, keep=keep, check=False)
    return SegmentationModel.load(folder)


def trainer_options(given: dict[str, Any] | None) -> dict[str, Any]:
    """Options of Lightning's Trainer; 200 epochs where no length is given (the paper's).

    Raises:
        ValueError: If there is no such option; the message has the nearest right one.
    """
    known = [name for name in signature(Trainer.__init__).parameters if name != "self" and name not in OURS]
    for name in given or {}:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"trainer has no option {name!r}; expected options of Lightning's Trainer{hint}")
    options = dict(given or {})
    if "max_steps" not in options:
        options.setdefault("max_epochs", 200)
    else:
        options.setdefault("max_epochs", -1)
    return options
