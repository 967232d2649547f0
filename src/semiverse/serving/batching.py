"""Requests that wait at the same time become one batch."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from torch import Tensor

from semiverse.inference.predictor import Predictor, Question, Segmentation

PATIENCE = 0.005
"""Seconds that the first request of a batch waits for others."""


class Busy(RuntimeError):
    """As many requests wait as may wait."""


@dataclass
class _Job:
    image: Tensor
    questions: tuple[Question, ...]
    answer: Future[list[Segmentation]] = field(default_factory=Future)

    @property
    def kind(self) -> tuple[object, ...]:
        """Jobs of one kind can share a batch."""
        return tuple(self.image.shape), self.questions


class Batches:
    """One thread that segments what waits, images of one size and one question together.

    Args:
        predictor: What segments.
        size: Most images of a batch.
        waiting: Most requests that wait; a further one is refused.
        count: Told the number of images of every batch.
    """

    def __init__(
        self, predictor: Predictor, size: int = 8, waiting: int = 64, count: Callable[[int], None] = lambda _: None
    ) -> None:
        self.predictor, self.size, self._count = predictor, size, count
        self._coming: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._left: list[_Job] = []  # of another kind than the batch that was formed when they came
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="segmenting", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._coming.qsize() + len(self._left)

    def ask(self, image: Tensor, questions: Sequence[Question]) -> Future[list[Segmentation]]:
        """Have an image, (3, H, W) uint8, segmented; an answer to each question comes when its turn does.

        Raises:
            Busy: If too many wait already, or the service ends.
        """
        job = _Job(image, tuple(questions))
        if self._closed:
            raise Busy("the service ends")
        try:
            self._coming.put_nowait(job)
        except queue.Full:
            raise Busy(f"{self._coming.maxsize} requests wait already") from None
        return job.answer

    def close(self) -> None:
        """Answer what waits, and end."""
        self._closed = True
        self._coming.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            job = self._left.pop(0) if self._left else self._coming.get()
            if job is None:
                return
            batch = self._gathered(job)
            self._count(len(batch))
            try:
                answers = self.predictor.segment([one.image for one in batch], job.questions)
            except Exception as error:
                for one in batch:
                    one.answer.set_exception(error)
                continue
            for one, answer in zip(batch, answers, strict=True):
                _give(one.answer, answer)

    def _gathered(self, first: _Job) -> list[_Job]:
        """A job with others of its kind; those of other kinds are kept for the next batches, in their order."""
        alike = [job for job in self._left if job.kind == first.kind][: self.size - 1]
        self._left = [job for job in self._left if not any(job is one for one in alike)]
        batch, until = [first, *alike], time.monotonic() + PATIENCE
        while len(batch) < self.size and len(self._left) < self.size:
            try:
                job = self._coming.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                self._coming.put(None)
                break
            (batch if job.kind == first.kind else self._left).append(job)
        return batch


def _give(answer: Future[list[Segmentation]], found: list[Segmentation]) -> None:
    """Set a result, unless whoever asked has gone."""
    try:
        answer.set_result(found)
    except InvalidStateError:
        return
