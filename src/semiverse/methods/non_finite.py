"""A loss that is not a number, and everything known about it."""

from typing import Any

from semiverse.mixture import TrainBatch


class NonFiniteLossError(FloatingPointError):
    """A term of the objective is not finite; nothing that learns has moved in its step.

    Args:
        step: Number of steps done before.
        term: Which one: the function it is from and its place among what that gave, from 0.
        value: What the term is, over all processes.
        recorded: Names of the losses recorded since the last validation that are not finite.
        batch: Where the term comes from.
        remedy: What to try, for the message.
    """

    def __init__(self, step: int, term: str, value: float, recorded: list[str], batch: TrainBatch, remedy: str) -> None:
        kinds = {"labeled": batch.labeled, "unlabeled": batch.unlabeled, "ground_truth": batch.ground_truth}
        images = {kind: {name: sample.id for name, sample in samples.items()} for kind, samples in kinds.items()}
        self.facts: dict[str, Any] = {
            "step": step,
            "term": term,
            "value": str(value),  # as JSON knows no such number
            "losses": recorded,
            "images": {kind: samples for kind, samples in images.items() if samples},
        }
        named = f" ({', '.join(recorded)})" if recorded else ""
        super().__init__(
            f"the loss {term}{named} is {value} at step {step}, on images {self.facts['images']}; expected a finite "
            f"number: {remedy}"
        )
