"""Self-training: a model labels what has no labels, and the next one learns from that too, for some rounds."""

import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from semiverse.commands.evaluate import evaluate
from semiverse.commands.train import train
from semiverse.distributed import is_first_process, wait_for_all
from semiverse.files import write_atomically
from semiverse.inference.labeling import Labeling, label_mixture
from semiverse.inference.pseudolabels import images_without_labels
from semiverse.methods import Method, Optimizer, Supervised
from semiverse.mixture import DomainMixture
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.reporting.rounds import ROUNDS, Round, as_values, read_round, rounds_table
from semiverse.reporting.tables import as_markdown
from semiverse.run import Run
from semiverse.training.options import rounds_options, trainer_options
from semiverse.training.start import build_method


def selftrain(
    data: DomainMixture,
    method: Callable[[SegmentationModel], Method] = Supervised,
    model: ModelConfig = ModelConfig(),
    trainer: dict[str, Any] | None = None,
    out: Path = Path("runs/selftrained"),
    rounds: int = 1,
    teacher: Path | None = None,
    pseudolabels: Labeling = Labeling(),
    seed: int = 0,
    keep: Literal["best", "last"] = "best",
    validate_every: int | None = None,
    check: bool = True,
    optimizer: Optimizer = Optimizer(),
    device: str = "auto",
    rounds_trainer: dict[str, Any] | None = None,
) -> Path:
    """Train, label the unlabelled images with the result, and train anew from both, for some rounds.

    The first run, ``first``, learns as ``semiverse train`` with the same options would. Then for each round the run
    before labels the unlabelled images of every domain that has some, and a run ``round1``, ``round2``, ... starts from
    the beginning with these labels as the ``pseudolabels`` of its domains. Every run is scored on the validation
    images; the scores and what each round gained are printed, and written to rounds.json, which ``semiverse report``
    shows. The same call goes on where it was stopped, and with more rounds it adds them.

    Args:
        data: Domains, label budgets and batches.
        method: What is minimised: Supervised or Consistency.
        model: The network.
        trainer: Length and device of every run, as for ``semiverse train``.
        out: Folder of the runs.
        rounds: How often images are labelled and a model is trained from that.
        teacher: A finished run, or a model, of the same domains, which labels in the first round; None: train one.
        pseudolabels: How images are labelled, and which pixels are kept.
        seed: Of initialisation and everything drawn while training; data.seed draws budgets and batches.
        keep: Whether the model of a run has the weights with the highest sum of mIoU in validation, or the last ones.
        validate_every: Steps between validations, one more follows the last step; None: a tenth of a run.
        check: Read every file before training and refuse to start on a bad one.
        optimizer: How the model moves; what is not given is as the method's authors have it.
        device: Where to label and to score; auto: a GPU if there is one. Training follows the trainer.
        rounds_trainer: Of the rounds, what differs from the trainer; {}: nothing. None: they are four times as long, as
            they see many more images than the first run.

    Returns:
        The last run folder.

    Raises:
        ValueError: If an option or the data does not fit, no domain has unlabelled images, the method does not learn
            from pseudo-labels, or a folder holds something made otherwise.
        FileNotFoundError: If data or the teacher is missing.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; expected at least 1: correct it")
    _refuse_given_labels(data)
    Run(teacher or out / "first").restore_held_out(data)
    images_without_labels(data)  # nothing is trained in vain
    later = rounds_options(trainer, rounds_trainer)
    trainer_options(later)
    _refuse_other_methods(build_method(data, method, model, trainer_options(trainer), seed))
    options: dict[str, Any] = {"method": method, "model": model, "seed": seed, "keep": keep}
    options |= {"validate_every": validate_every, "optimizer": optimizer, "check": check}
    run = train(data, **options, trainer=trainer, out=out / "first") if teacher is None else teacher
    known = [_scored(run, data, out, "first" if teacher is None else "teacher", device)]
    for number in range(1, rounds + 1):
        title = f"round{number}"
        labeled = label_mixture(run, data, out / title / "labels", pseudolabels, device)
        run = train(labeled, **options, trainer=later, out=out / title)
        known.append(_scored(run, data, out, title, device))
        _write(out, known)
    if is_first_process():
        print(as_markdown(rounds_table(known)))
    return run


def _refuse_given_labels(data: DomainMixture) -> None:
    """Make sure that nobody has given any pseudo-labels yet."""
    given = [name for name, domain in data.domains.items() if domain.pseudolabels is not None]
    if given:
        raise ValueError(
            f"domain {given[0]} has pseudolabels; expected none, as each round makes its own: leave them out, and name "
            "the run that made them with --teacher"
        )


def _refuse_other_methods(learner: Method) -> None:
    """Make sure that the method learns from pseudo-labels."""
    if not learner.draws().pseudolabeled:
        raise ValueError(
            f"{type(learner).__name__} does not learn from pseudo-labels; expected Supervised or Consistency: choose "
            "one of them with --method"
        )


def _scored(run: Path, data: DomainMixture, out: Path, title: str, device: str) -> Round:
    """What a run came to, scored unless it is already; a teacher's own files are left alone."""
    own = run.resolve().parent == out.resolve()
    file = run / "evaluation.json" if own else out / f"{title}.json"
    if is_first_process() and not file.is_file():
        with redirect_stdout(StringIO()):  # class-wise tables stand in the run's evaluation.json
            evaluate(run, data, device=device, out=file)
    wait_for_all()
    return read_round(title, run, file)


def _write(out: Path, known: Sequence[Round]) -> None:
    """Keep what is known of the rounds for programs and for the report."""
    if is_first_process():
        write_atomically(out / ROUNDS, json.dumps(as_values(known), indent=1) + "\n")
