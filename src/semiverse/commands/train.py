"""Train a model on a mixture of domains."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from semiverse.configuration import describe
from semiverse.distributed import is_first_process
from semiverse.doctor.examine import refuse_problems
from semiverse.files import check_number
from semiverse.methods import Method, Optimizer, Supervised
from semiverse.mixture import DomainMixture
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run
from semiverse.training.loggers import build_loggers
from semiverse.training.loop import Callback
from semiverse.training.options import networks_options, trainer_options, with_precision
from semiverse.training.recorder import Recorder
from semiverse.training.start import build_method, divide, fit_run, note_start, refuse_mixed_sizes, refuse_other_labels

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
    optimizer: Optimizer = Optimizer(),
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Any] = (),
) -> Path:
    """Train a model; the same call on an unfinished run resumes it.

    Args:
        data: Domains, label budgets and batches.
        method: What is minimised: a method class, or one with options filled in, still waiting for the model.
        model: The network.
        trainer: Length and device: max_steps or max_epochs (200), and precision, accelerator, devices, num_nodes,
            strategy (auto, ddp or fsdp) of Lightning Fabric, deterministic and benchmark of torch. precision auto:
            bf16-mixed where the device computes in bfloat16 itself, else 32-true.
        out: The run folder.
        seed: Of initialisation and everything drawn while training; data.seed draws budgets and batches.
        keep: Whether the model folder holds the weights with the highest sum of mIoU in validation, or the last ones.
        validate_every: Steps between validations, one more follows the last step; None: a tenth of the run.
        networks: Run folder of the supervised networks of every domain, trained there if it is empty, for methods that
            start from them; runs that name the same folder share it. None: inside the run.
        networks_trainer: Trainer options of those networks, on the devices of this run if none are given; None: those
            of this run.
        check: Read every file before training and refuse to start on a bad one.
        optimizer: How the model moves; what is not given is as the method's authors have it.
        callbacks: Objects that are called after steps, after validations and at the end.
        loggers: Where numbers go beside the run's own files: class_path and init_args of CSVLogger, TensorBoardLogger,
            WandbLogger, MLFlowLogger or of any class with log_metrics; the run folder is filled in. Or such objects.

    Returns:
        The run folder.

    Raises:
        ValueError: If an option, the data or the run folder does not fit, or another process trains in it; nothing has
            been written then.
        FileNotFoundError: If data is missing.
        OSError: If the run folder cannot be written; what it held before is untouched.
    """
    check_number("seed", seed, 0, 2**32 - 1)
    if validate_every is not None:
        check_number("validate_every", validate_every, 1)
    run = Run(Path(out))
    trainer = with_precision(trainer, run.read_config().get("trainer") if run.begun and run.config.is_file() else None)
    options = trainer_options(trainer)
    trainer_options(networks_trainer)
    called = method.func if isinstance(method, partial) else method
    kind: type[Method] = called if isinstance(called, type) else Method
    optimizer, model = optimizer.over(kind.optimizer), model.resolved
    values = {"data": data, "method": method, "model": model, "optimizer": optimizer, "trainer": trainer, "seed": seed}
    values |= {"keep": keep, "validate_every": validate_every, "networks": networks}
    config = describe(values | {"networks_trainer": networks_trainer, "check": check})
    config["data"] = config["data"]["init_args"]
    run.refuse_another(config)
    if run.finished:
        if is_first_process():
            run.unlock()
            log.info("%s is finished: nothing to do", run.folder)
        return run.folder
    divide(run, data)
    if check and is_first_process():
        refuse_problems(data)
        refuse_mixed_sizes(data)
        data.warn_of_missing_classes()
    learner = build_method(data, method, model, options, seed)
    if run.last.is_file():
        refuse_other_labels(run, data)
    recorder = Recorder(run, keep, validate_every or -(-learner.total_steps // 10))
    with run.alone() if is_first_process() else nullcontext():
        if is_first_process():
            run.claim(config)
        if not run.last.is_file():
            if is_first_process():
                note_start(run, learner, seed)
            same: dict[str, Any] = {"keep": keep, "validate_every": validate_every, "optimizer": optimizer}
            same |= {"seed": seed, "trainer": networks_options(trainer, networks_trainer)}
            learner.prepare(partial(supervised_networks, learner, networks or run.folder / "networks", **same))
        further = build_loggers(loggers, run) if is_first_process() else []
        fit_run(learner, optimizer, options, recorder, seed, callbacks, further)
    return run.folder


def supervised_networks(learner: Method, folder: Path, **options: Any) -> SegmentationModel:  # noqa: ANN401
    """Networks that each domain's labels trained alone, with the optimiser of the method that asks for them.

    A finished run in the folder is taken as it is if its configuration is the same, an unfinished one is resumed.
    """
    config = replace(learner.model.config, separate=True, batch_norm="per_domain", none_class=False)
    if is_first_process():
        log.info("supervised networks of every domain, to start from: %s", folder)
    if Run(folder).finished:
        refuse_other_labels(Run(folder), learner.data)
    train(learner.data, Supervised, config, out=folder, check=False, **options)
    return SegmentationModel.load(folder)
