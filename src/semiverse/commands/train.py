"""Train a model on a mixture of domains."""

import json
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import seed_everything
from pytorch_lightning.loggers import TensorBoardLogger

from semiverse.commands.check import refuse_problems
from semiverse.configuration import describe
from semiverse.files import write_atomically
from semiverse.methods import Method, Supervised
from semiverse.methods.declarations import declared
from semiverse.methods.non_finite import NonFiniteLossError
from semiverse.mixture import DomainMixture
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run
from semiverse.training.failure import FailureDump
from semiverse.training.labeled import note_labeled, refuse_other_labels
from semiverse.training.recorder import AtomicCheckpoints, Recorder, StepSeeds
from semiverse.training.trainer import build_trainer, is_first_process, quiet, total_steps, trainer_options

log = logging.getLogger(__name__)


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
        trainer: Length and device: max_steps or max_epochs (200), and precision, accelerator, devices, ... of
            Lightning's Trainer.
        out: The run folder.
        seed: Of initialisation and everything drawn while training; data.seed draws budgets and batches.
        keep: Whether the model folder holds the weights with the highest sum of mIoU in validation, or the last ones.
        validate_every: Steps between validations, one more follows the last step; None: a tenth of the run.
        networks: Run folder of the supervised networks of every domain, trained there if it is empty, for methods that
            start from them; runs that name the same folder share it. None: inside the run.
        networks_trainer: Trainer options of those networks; None: those of this run.
        check: Read every file before training and refuse to start on a bad one.

    Returns:
        The run folder.

    Raises:
        ValueError: If an option, the data or the run folder does not fit, or another process trains in it; nothing has
            been written then.
        FileNotFoundError: If data is missing.
        OSError: If the run folder cannot be written; what it held before is untouched.
    """
    options, run = trainer_options(trainer), Run(Path(out))
    trainer_options(networks_trainer)
    values = {"data": data, "method": method, "model": model, "trainer": trainer, "seed": seed, "keep": keep}
    values |= {"validate_every": validate_every, "networks": networks, "networks_trainer": networks_trainer}
    config = describe(values | {"check": check})
    config["data"] = config["data"]["init_args"]
    run.refuse_another(config)
    if run.finished:
        if is_first_process():
            log.info("%s is finished: nothing to do", run.folder)
        return run.folder
    if check and is_first_process():
        refuse_problems(data)
        refuse_mixed_sizes(data)
        data.warn_of_missing_classes()
    learner = build_learner(data, method, model, options, seed)
    if run.last.is_file():
        refuse_other_labels(run, data)
    recorder = Recorder(run, keep, validate_every or -(-learner.total_steps // 10))
    with run.alone() if is_first_process() else nullcontext():
        if is_first_process():
            run.claim(config)
        if not run.last.is_file():
            if is_first_process():
                note_start(run, data, seed)
                write_atomically(run.method, json.dumps(declared(type(learner)), indent=1) + "\n")
            own = networks or run.folder / "networks"
            learner.prepare(
                partial(supervised_networks, learner, networks_trainer or trainer, own, keep, validate_every, seed)
            )
        fit(learner, options, run, recorder, seed)
    return run.folder


def refuse_mixed_sizes(data: DomainMixture) -> None:
    """Whole images of one batch have to be of one size.

    Raises:
        ValueError: If training images of a domain are not, and nothing cuts them.
    """
    if data.crop is not None or data.batch_size == 1:
        return
    for name, domain in data.domains.items():
        known = [content.size for content in data.contents(name, domain.train) if content.size is not None]
        sizes = sorted({domain.resolution.of(*size) for size in known})
        if len(sizes) > 1:
            first, last = sizes[0], sizes[-1]
            raise ValueError(
                f"domain {name}: training images have {len(sizes)} sizes (height, width), such as {first} and {last}; "
                f"expected one, as whole images form a batch: set data.crop, or data.domains.{name}.resolution.size"
            )


def build_learner(
    data: DomainMixture,
    method: Callable[[SegmentationModel], Method],
    model: ModelConfig,
    options: dict[str, Any],
    seed: int,
) -> Method:
    """A method with its model, data and length; whatever can be refused without training is refused here.

    Raises:
        ValueError: If data, method, model and trainer do not go together.
    """
    with quiet():
        seed_everything(seed, workers=True, verbose=False)
        learner = method(SegmentationModel(model, data.label_spaces, data.resolutions))
        learner.data = data
        learner.total_steps = total_steps(options, data.steps_per_epoch)
        asked = build_trainer(options, logger=False)
        data.training(lambda: 0, learner.unlabeled_from, processes=asked.num_devices * asked.num_nodes)
    return learner


def note_start(run: Run, data: DomainMixture, seed: int) -> None:
    """Write what the run starts from."""
    run.note_environment(seed)
    note_labeled(run, data)


def fit(learner: Method, options: dict[str, Any], run: Run, recorder: Recorder, seed: int = 0) -> None:
    """Train or go on training, and write the model.

    Raises:
        KeyboardInterrupt: If training was stopped from outside; the last checkpoint is what the next call starts from.
        FloatingPointError: If a loss is not finite; the run folder's ``failure`` then repeats that step.
    """
    with quiet():
        lightning = build_trainer(
            options,
            logger=TensorBoardLogger(run.folder, name="tensorboard", version=""),
            callbacks=[recorder, StepSeeds(seed), FailureDump(run)],
            plugins=[AtomicCheckpoints()],
            val_check_interval=recorder.every,
        )
        try:
            lightning.fit(learner, ckpt_path=run.last if run.last.is_file() else None, weights_only=True)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C, which it then ignores for good, and of SIGTERM
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from stop
        except NonFiniteLossError as error:
            error.args = (f"{error}; {run.failure.failed} says how to repeat that step",)
            raise


def supervised_networks(
    learner: Method,
    trainer: dict[str, Any] | None,
    folder: Path,
    keep: Literal["best", "last"],
    validate_every: int | None,
    seed: int,
) -> SegmentationModel:
    """Networks that each domain's labels trained alone, with the optimiser of the method that asks for them.

    A finished run in the folder is taken as it is if its configuration is the same, an unfinished one is resumed.
    """
    same = {
        name: getattr(learner, name)
        for name in ("lr", "momentum", "weight_decay", "power", "decay", "clip", "head_lr", "zero_border")
    }
    config = replace(learner.model.config, separate=True, batch_norm="per_domain", none_class=False)
    if is_first_process():
        log.info("supervised networks of every domain, to start from: %s", folder)
    if Run(folder).finished:
        refuse_other_labels(Run(folder), learner.data)
    train(learner.data, partial(Supervised, **same), config, trainer, folder, seed, keep, validate_every, check=False)
    return SegmentationModel.load(folder)
