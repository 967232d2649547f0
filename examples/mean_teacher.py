"""A method outside the library: mean teacher (Tarvainen and Valpola, NeurIPS 2017), for segmentation.

A student learns from labels and has to agree with a teacher on unlabelled images that both see in other colours; the
teacher is the moving average of the student, and it is what is validated, saved and predicted with. In YAML:

    method: {class_path: examples.mean_teacher.MeanTeacher, init_args: {consistency: 1.0}}
    data: {augmentation: {color: 0.3}, ...}
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from semiverse.data import Sample
from semiverse.labels import IGNORE
from semiverse.methods import Curve, Method, Role
from semiverse.methods.method import ramp
from semiverse.mixture import Draws, TrainBatch
from semiverse.models import SegmentationModel


class MeanTeacher(Method):
    """Consistency with a teacher that is the moving average of the student.

    Args:
        model: The student.
        consistency: Weight of the squared difference of the probabilities of student and teacher.
        decay: Share of the old teacher in the new one, in [0, 1); at first less, so that a new teacher learns fast.
        warmup: Share of the training over which the consistency rises to its weight.
    """

    reads = {"consistency": Role("unlabeled", "unlabelled images, through a mean teacher")}
    records = {
        "consistency": Curve("Squared difference of student and teacher", "probability squared"),
        "agreement": Curve("Cells where student and teacher choose the same class", "% of cells", factor=100.0),
    }

    def __init__(
        self, model: SegmentationModel, consistency: float = 1.0, decay: float = 0.99, warmup: float = 0.3
    ) -> None:
        super().__init__(model)
        self.consistency, self.decay, self.warmup = consistency, decay, warmup
        self.teacher = copy.deepcopy(model).requires_grad_(False)

    def draws(self) -> Draws:
        """Two views of every unlabelled image; none without the consistency."""
        return Draws(unlabeled_from=0, views=2) if self.consistency else Draws()

    def terms(self, batch: TrainBatch) -> Iterator[Tensor]:
        """Cross entropy of labelled images, then the consistency of unlabelled ones."""
        for domain, sample in batch.labeled.items():
            logits = self.model.classify(self.model.features(sample.image, domain, sample.padding), domain)
            yield self.supervised_loss(logits, sample, domain)
        for domain, sample in batch.unlabeled.items():
            yield ramp(self.progress, 0.0, self.warmup) * self.consistency_loss(sample, batch.views[domain][0], domain)

    def consistency_loss(self, sample: Sample, other: Sample, domain: str) -> Tensor:
        """Squared difference of the probabilities of the student, and of the teacher in other colours, cell by cell."""
        with torch.no_grad():
            teacher = self.teacher.classify(self.teacher.features(other.image, domain, other.padding), domain)
        student = self.model.classify(self.model.features(sample.image, domain, sample.padding), domain)
        inside = ... if sample.padding is None else student.at_cells(sample.padding) != IGNORE
        found, wanted = student.values.softmax(dim=1), teacher.values.softmax(dim=1)
        loss = (found - wanted).square().sum(dim=1)[inside].mean()
        self.means.add(f"{domain}/consistency", loss)
        self.means.add(f"{domain}/agreement", (found.argmax(dim=1) == wanted.argmax(dim=1))[inside].double().mean())
        return loss

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the teacher towards the student; counters and statistics follow it."""
        decay = min(self.decay, 1 - 1 / (self.steps_done + 1))
        for mine, theirs in zip(self.teacher.state_dict().values(), self.model.state_dict().values(), strict=True):
            mine.copy_(decay * mine + (1 - decay) * theirs) if mine.is_floating_point() else mine.copy_(theirs)

    def result(self) -> SegmentationModel:
        """The teacher."""
        return self.teacher
