"""The loop of a training, from the step that it has reached to the last one.

Fabric gives devices, precision and processes; everything that happens, and when, stands here.
"""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.distributed.tensor import DTensor

from semiverse.allocation import memory_kept
from semiverse.distributed import average_gradients, mean_over_processes
from semiverse.evaluation.confusion import ConfusionMatrix
from semiverse.methods import Method, Opponent, Optimizer
from semiverse.methods.optimizer import parameter_groups
from semiverse.mixture import TrainBatch
from semiverse.mixture.loading import raise_stop
from semiverse.models import SegmentationModel, quicker_with_channels_last, warn_of_slow_halves
from semiverse.run import Run
from semiverse.training.failure import BeforeStep, NonFiniteLossError, write_failure
from semiverse.training.recorder import Checkpoint, Recorder
from semiverse.training.sharding import FullyShardedStrategy, shard, together
from semiverse.upsampling import argmax


class Callback:
    """What users can hang into a training: any object with some of these methods; each is called in every process."""

    def on_step_end(self, method: Method, batch: TrainBatch) -> None:
        """A step is done; ``method.steps_done`` counts it."""

    def on_validation_end(self, method: Method, row: dict[str, float]) -> None:
        """A row of metrics.csv was written."""

    def on_end(self, method: Method, run: Run) -> None:
        """The last step was done, and the model is saved."""


def fit(fabric: Fabric, method: Method, optimizer: Optimizer, recorder: Recorder, seed: int) -> None:
    """Train or go on training, and write the model.

    Args:
        fabric: Devices, precision and processes.
        method: What is minimised; it knows its data and length, and was prepared.
        optimizer: How the model moves, every value known.
        recorder: Writes the run.
        seed: Of everything drawn while training.

    Raises:
        KeyboardInterrupt: If training was stopped from outside, by Ctrl-C or SIGTERM; the last checkpoint is what the
            next call starts from.
        NonFiniteLossError: If a loss is not finite; the run folder's ``failure`` then repeats that step.
    """
    fabric.launch()
    place(fabric, method)
    players = Players(fabric, method, optimizer)
    checkpoint = Checkpoint(fabric, method, players.optimizers, recorder)
    checkpoint.load(recorder.run.last)
    batches = method.data.training(lambda: method.steps_done, method.draws(), fabric.global_rank, fabric.world_size)
    before, last = BeforeStep(method), method.total_steps
    method.train()
    with interruptible(), memory_kept(fabric.device), recorder.watch(method, fabric):
        while method.steps_done < last:
            for batch in batches:  # of one epoch, from the step that training has reached
                batch = fabric.to_device(batch)
                before.remember()
                torch.manual_seed(step_seed(seed, fabric.global_rank, method.steps_done))
                try:
                    with fabric.autocast():
                        players.step(batch)
                except NonFiniteLossError as error:
                    before.restore()
                    checkpoint.save(recorder.run.failure.last)
                    if fabric.is_global_zero:
                        write_failure(recorder.run, error)
                    error.args = (f"{error}; {recorder.run.failure.failed} says how to repeat that step",)
                    raise
                recorder.count(batch)
                fabric.call("on_step_end", method=method, batch=batch)
                if method.steps_done % recorder.every == 0 or method.steps_done == last:
                    with together(method):
                        scores = validate(fabric, method)
                    row = recorder.write_row(scores, players.learning_rate, checkpoint)
                    fabric.call("on_validation_end", method=method, row=row)
                elif method.steps_done % recorder.save_every == 0:
                    checkpoint.save(recorder.run.last)
                if method.steps_done == last:
                    break
    recorder.finish()
    fabric.call("on_end", method=method, run=recorder.run)
    fabric.barrier("finished")


def place(fabric: Fabric, method: Method) -> None:
    """Bring a method to its device, in its precision and the order of memory that suits it, or a share of it."""
    precision = str(fabric.strategy.precision.precision)
    if "16" in precision and fabric.is_global_zero:
        kind = torch.bfloat16 if "bf16" in precision else torch.float16
        warn_of_slow_halves(kind, torch.device(fabric.device.type))
    fabric.to_device(fabric.strategy.precision.convert_module(method))
    if isinstance(fabric.strategy, FullyShardedStrategy):
        shard(method, fabric.device)
    else:
        for model in (one for one in method.modules() if isinstance(one, SegmentationModel)):  # a teacher's too
            if "32" not in precision or (fabric.device.type == "cpu" and quicker_with_channels_last(model)):
                model.to(memory_format=torch.channels_last)


class Players:
    """The model and its opponents, each with its optimiser: how a step is taken.

    In the first half of a step the opponents stand still and the model learns; in the second half they look at what it
    predicted in the first, cut off from it. All move at the end, so that a loss which is not finite in either half
    leaves them as they were.

    Args:
        fabric: Devices, precision and processes.
        method: What is minimised.
        optimizer: How the model moves.
    """

    def __init__(self, fabric: Fabric, method: Method, optimizer: Optimizer) -> None:
        self.fabric, self.method, self.optimizer = fabric, method, optimizer
        self.opponents: list[Opponent] = list(method.opponents())
        theirs = {p for opponent in self.opponents for p in opponent.network.parameters()}
        learning = [p for p in method.parameters() if p.requires_grad and p not in theirs]
        own = optimizer.build(parameter_groups(method.model, optimizer, learning))
        built = [own, *(opponent.build() for opponent in self.opponents)]
        self.optimizers = [cast(torch.optim.Optimizer, fabric.setup_optimizers(one)) for one in built]
        """The model's, then those of its opponents."""

    @property
    def learning_rate(self) -> float:
        """Of the encoder, in the step that comes next."""
        return (self.optimizer.lr or 0.0) * self._share

    def step(self, batch: TrainBatch) -> None:
        """One step on a batch."""
        method = self.method
        own, *others = self.optimizers
        for opponent in self.opponents:
            opponent.network.requires_grad_(False)
        self._back_propagate(method.terms(batch), own, batch)
        for opponent, optimizer in zip(self.opponents, others, strict=True):
            opponent.network.requires_grad_(True)
            self._back_propagate(opponent.terms(batch), optimizer, batch)
        rates = [self.optimizer.lr or 0.0, *(opponent.lr for opponent in self.opponents)]
        share, clip = self._share, self.optimizer.clip
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share * group["factor"]
            average_gradients(p for g in optimizer.param_groups for p in g["params"] if not isinstance(p, DTensor))
            if clip is not None:
                self.fabric.clip_gradients(method, optimizer, max_norm=clip, error_if_nonfinite=False)
            optimizer.step()
        method.steps_done += 1
        method.after_step()

    @property
    def _share(self) -> float:
        """Share of their start values that learning rates have in the step that comes next."""
        method = self.method
        return self.optimizer.share(method.steps_done, method.total_steps, method.data.steps_per_epoch)

    def _back_propagate(self, terms: Iterator[Tensor], optimizer: torch.optim.Optimizer, batch: TrainBatch) -> None:
        """Form the gradients of an optimiser's parameters, term by term; nothing moves yet."""
        optimizer.zero_grad()
        for place, term in enumerate(terms):
            value = float(mean_over_processes(term))  # so that all of them stop where one has to
            if not math.isfinite(value):
                wrong = [name for name, total in self.method.means.sums.items() if not torch.isfinite(total)]
                remedy = f"lower optimizer.lr ({self.optimizer.lr}) or set optimizer.clip"
                term_of = f"{getattr(terms, '__name__', 'terms')}[{place}]"
                raise NonFiniteLossError(self.method.steps_done, term_of, value, wrong, batch, remedy)
            self.fabric.backward(term)


@torch.inference_mode()
def validate(fabric: Fabric, method: Method) -> dict[str, float]:
    """Mean IoU of every domain by decoder, by label embedding where there are any, by further models of the method.

    Returns:
        Scores by name: ``DOMAIN/miou``, their sum over the domains that have labels to validate with, and more.
    """
    method.eval()
    model, data, further = method.result(), method.data, method.further_results()
    columns = ["miou"] if model.label_embeddings is None else ["miou", "miou_by_embedding"]
    columns += [f"miou_by_{name}" for name in further]
    counted = {
        f"{domain}/{column}": ConfusionMatrix(len(space), fabric.device)
        for column in columns
        for domain, space in model.label_spaces.items()
        if domain in data.validated
    }
    for domain, loader in data.validation(fabric.global_rank, fabric.world_size).items():
        for sample in loader:
            sample = fabric.to_device(sample)
            with fabric.autocast():
                features = model.features(sample.image, domain)
                logits = [model.classify(features, domain)]
                if model.label_embeddings is not None:
                    logits.append(model.label_embeddings.logits(features, model.space_key(domain)))
                logits += [other.classify(other.features(sample.image, domain), domain) for other in further.values()]
                for column, one in zip(columns, logits, strict=True):
                    best = argmax(one, (sample.mask.shape[1], sample.mask.shape[2]))
                    counted[f"{domain}/{column}"].update(best, sample.mask)
                method.observe(features, domain)
    mious = {name: matrix.compute().miou for name, matrix in counted.items()}
    scores = {name: miou for name, miou in mious.items() if name.endswith("/miou")}
    scores["sum_miou"] = sum(miou for miou in scores.values() if not math.isnan(miou))
    scores |= mious
    scores |= method.measures()
    method.train()
    return scores


def step_seed(seed: int, rank: int, step: int) -> int:
    """Seed of the random numbers of a step: what happens between steps, or another start, then changes nothing."""
    return int(np.random.SeedSequence([seed, rank, step]).generate_state(1, np.uint64)[0])


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, by which schedulers stop a job, end a training as Ctrl-C does, whichever process gets it first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    if before == signal.SIG_DFL:  # the command line has its own already
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except RuntimeError as error:  # torch tells of its loading processes wherever the training is
        raise_stop(error)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
