"""How a training starts: a method with its model, data and length, and what the run notes, such as which labels."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning_fabric import seed_everything
from lightning_fabric.loggers.tensorboard import TensorBoardLogger

from semiverse.configuration.records import checked
from semiverse.data import digest
from semiverse.distributed import is_first_process
from semiverse.files import bearable, write_atomically
from semiverse.methods import Method, Optimizer
from semiverse.methods.method import declared
from semiverse.mixture import DomainMixture
from semiverse.mixture.domain import labeling_facts
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run
from semiverse.training.failure import LABELED
from semiverse.training.loggers import finish_loggers
from semiverse.training.loop import fit
from semiverse.training.options import build_fabric, process_number, quiet, total_steps
from semiverse.training.recorder import Recorder

log = logging.getLogger(__name__)


def build_method(
    data: DomainMixture,
    method: Callable[[SegmentationModel], Method],
    model: ModelConfig,
    options: Mapping[str, Any],
    seed: int,
) -> Method:
    """A method that is ready to train; whatever can be refused without training is refused here.

    Raises:
        ValueError: If data, method, model and trainer do not go together.
    """
    with quiet():
        seed_everything(seed, workers=True, verbose=False)
        built = method(SegmentationModel(model, data.label_spaces, data.resolutions))
        built.attach(data, total_steps(options, data.steps_per_epoch))
        data.training(lambda: 0, built.draws(), processes=process_number(build_fabric(options)))
    return built


def refuse_mixed_sizes(data: DomainMixture) -> None:
    """Whole images of one batch have to be of one size.

    Raises:
        ValueError: If training images of a domain are not, and nothing cuts them.
    """
    for name, domain in data.domains.items():
        if domain.crop_or(data.crop) is not None or data.batch_size == 1:
            continue
        sizes = sorted({domain.resolution.of(*size) for size in data.training_sizes(name)})
        if len(sizes) > 1:
            option = "data.crop" if domain.crop is None else f"data.domains.{name}.crop"
            raise ValueError(
                f"domain {name}: training images have {len(sizes)} sizes (height, width), such as {sizes[0]} and "
                f"{sizes[-1]}; expected one, as whole images form a batch: set {option}, or "
                f"data.domains.{name}.resolution.size"
            )


def note_labeled(run: Run, data: DomainMixture) -> None:
    """Write ids, rule, seed and digest of the labelled images of every domain to ``labeled.json``."""
    facts = {name: labeling_facts(data.domains[name], records, data.seed) for name, records in data.labeled.items()}
    write_atomically(run.folder / LABELED, json.dumps(facts, indent=1) + "\n")


def refuse_other_labels(run: Run, data: DomainMixture) -> None:
    """Make sure that the labelled images are those that a run began with.

    The configuration is the same, but the files may not be: with one image more a draw gives others, and a list may
    have been edited.

    Raises:
        ValueError: If they are not.
    """
    path = run.folder / LABELED
    if not path.is_file():
        return
    kept: dict[str, dict[str, Any] | list[str]] = run.read_json(path)
    for name, records in data.labeled.items():
        with run.part(path):
            ids, facts = [record.id for record in records], kept[name]
            listed = facts if isinstance(facts, list) else facts["ids"]
            known = checked(listed, list[str], f"{path}: what domain {name} had labelled")
            digested = digest(known) if isinstance(facts, list) else str(facts["sha256"])  # a list: of version 0.1
        if digested != digest(ids):
            gone, added = sorted({*known} - {*ids}), sorted({*ids} - {*known})
            changes = [f"{len(gone)} of {len(known)} left, such as {bearable(gone[0])}"] if gone else []
            changes += [f"{len(added)} came, such as {bearable(added[0])}"] if added else []
            raise ValueError(
                f"domain {name}: the labelled images are not those that {run.folder} began with "
                f"({', '.join(changes) or 'the same in another order'}); expected the "
                "same, as a run must not change its labels: restore the files or the list "
                f"({path} names the images), or choose another --out"
            )


def divide(run: Run, data: DomainMixture) -> None:
    """Hold images out as the run did when it began, or anew, and say of which domains that is."""
    run.restore_held_out(data)
    if is_first_process():
        for name, line in data.divided().items():
            log.info("domain %s: %s", name, line)


def note_start(run: Run, method: Method, seed: int) -> None:
    """Write what the run starts from, and what its method declares."""
    run.note_environment(seed)
    run.note_held_out(method.data)
    note_labeled(run, method.data)
    write_atomically(run.method, json.dumps(declared(type(method)), indent=1) + "\n")


def fit_run(
    method: Method,
    optimizer: Optimizer,
    options: Mapping[str, Any],
    recorder: Recorder,
    seed: int,
    callbacks: Sequence[object],
    loggers: Sequence[object] = (),
) -> None:
    """Train or go on training in a run folder; arguments and errors are those of ``fit``."""
    with quiet():
        events = TensorBoardLogger(recorder.run.folder, name="tensorboard", version="")
        try:
            fit(build_fabric(options, callbacks, [events, *loggers]), method, optimizer, recorder, seed)
        finally:
            finish_loggers(loggers, recorder.run.finished)
