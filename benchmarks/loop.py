"""What the training loop costs: a step of the demo's size, two domains of 8 labelled images of 96 x 128 pixels each.

The reference is the bare step of the same network (DRN-D-22 at a quarter of its width): forward, the same cross
entropy, backward and the step of torch's SGD. Ours is all that the loop does for a step of ``Supervised``: gradients
term by term, the look at each loss, learning rates by group, seeds, what a failure would need, counting. Both in
bfloat16 with channels last, on batches that are made beforehand.
"""

import copy
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from benchmarks.measure import Goal, compare
from semiverse.allocation import memory_kept
from semiverse.data import Sample
from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.losses import cross_entropy
from semiverse.methods import Method, Optimizer, Supervised
from semiverse.mixture import TrainBatch
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run
from semiverse.training.failure import BeforeStep
from semiverse.training.loop import Players, step_seed
from semiverse.training.recorder import Recorder

SPACES = {"streets": SyntheticStreets.labels, "rooms": SyntheticRooms.labels}
IMAGES, SIZE, LR = 8, (96, 128), 0.03
BATCHES, ROUNDS, STEPS = 4, 12, 10_000


class _Data:
    """What the loop asks the mixture of a supervised training for."""

    steps_per_epoch = 1


def _batch() -> TrainBatch:
    def sample(classes: int) -> Sample:
        images = torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8)
        masks = torch.randint(0, classes, (IMAGES, SIZE[0] // 16, SIZE[1] // 16), dtype=torch.uint8)
        return Sample(images, masks.repeat_interleave(16, 1).repeat_interleave(16, 2), "")

    return TrainBatch({name: sample(len(space)) for name, space in SPACES.items()}, {})


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    batches = [_batch() for _ in range(BATCHES)]
    method = Supervised(SegmentationModel(ModelConfig(encoder="drn_d_22", width=0.25), SPACES))
    method.data, method.total_steps = _Data(), STEPS  # type: ignore[assignment]
    method.model.to(memory_format=torch.channels_last)
    method.train()
    bare = copy.deepcopy(method.model)
    sgd = torch.optim.SGD(bare.parameters(), LR, momentum=0.9, weight_decay=1e-4)

    def reference() -> None:
        batch = batches[method.steps_done % BATCHES]
        with torch.autocast("cpu", torch.bfloat16):
            sgd.zero_grad()
            for domain, sample in batch.labeled.items():
                logits = bare.classify(bare.features(sample.image, domain), domain)
                cross_entropy(logits, sample.mask).backward()
            sgd.step()

    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    with Loop(fabric, method) as ours:
        return compare(reference, lambda: ours.step(batches[method.steps_done % BATCHES]), ROUNDS, Goal(time=1 / 1.05))


class Loop:
    """The body of ``semiverse.training.loop.fit``, one step at a time."""

    def __init__(self, fabric: Fabric, method: Method, lr: float = LR) -> None:
        self.fabric, self.method = fabric, method
        self.players = Players(fabric, method, Optimizer(lr=lr).over(method.optimizer))
        self.before, self.recorder = BeforeStep(method), Recorder(Run(Path("loop")), "last", every=STEPS)
        self.inside = ExitStack()

    def __enter__(self) -> "Loop":
        self.inside.enter_context(memory_kept(self.fabric.device))
        self.inside.enter_context(self.recorder.watch(self.method, self.fabric))
        return self

    def __exit__(self, *error: Any) -> None:
        self.inside.__exit__(*error)

    def step(self, batch: TrainBatch) -> None:
        """Everything between two batches, but for validations and checkpoints."""
        batch = self.fabric.to_device(batch)
        self.before.remember()
        torch.manual_seed(step_seed(0, self.fabric.global_rank, self.method.steps_done))
        with self.fabric.autocast():
            self.players.step(batch)
        self.recorder.count(batch)
        self.fabric.call("on_step_end", method=self.method, batch=batch)
