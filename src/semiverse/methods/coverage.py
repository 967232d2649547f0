"""Which classes the labels of a teacher leave out, although labelled images show them."""

from collections.abc import Mapping, Sequence
from warnings import warn

import torch
from torch import Tensor
from torch.distributed import all_reduce

from semiverse.distributed import is_first_process, process_count
from semiverse.labels import IGNORE, LabelSpace
from semiverse.methods.teacher_labels import Labels

LONG = 0.2
"""Share of a training after which a class that gets no label is said to be forgotten."""
LEAST_STEPS = 50
"""Of so few steps nothing can be said: each shows some images only."""


class Coverage:
    """Remembers when each class was last labelled by a teacher, and warns once of those that are not any more.

    A training that is resumed counts from where it is resumed.

    Args:
        spaces: Label space of each domain.
        total_steps: Length of the training.
    """

    def __init__(self, spaces: Mapping[str, LabelSpace], total_steps: int) -> None:
        self.spaces = spaces
        self.long = max(LEAST_STEPS, int(LONG * total_steps))
        self.every = max(1, self.long // 4)
        self._taught: dict[str, Tensor] = {}
        self._labeled: dict[str, Tensor] = {}
        self._said: set[tuple[str, str]] = set()

    def teach(self, domain: str, mask: Tensor) -> None:
        """Note the classes of a labelled batch, (N, H, W); all domains of the same label space learn them."""
        space = self.spaces[domain]
        shown = _counts(mask, len(space)) > 0
        for name in (name for name, other in self.spaces.items() if other == space):
            self._taught[name] = self._taught[name] | shown if name in self._taught else shown

    def note(self, domain: str, labels: Labels, step: int) -> Tensor:
        """Note the labels of a step; the share of the pixels inside its images that gets each class, (C,) double."""
        learned = _counts(labels.learned, len(self.spaces[domain]), labels.counts)
        counts = torch.cat([learned, (labels.mask != IGNORE).sum()[None].to(learned)])
        if process_count() > 1:
            all_reduce(counts)
        found, inside = counts[:-1], counts[-1]
        last = self._labeled.setdefault(domain, torch.full_like(found, step))
        self._labeled[domain] = torch.where(found > 0, step, last)
        return found.double() / inside.clamp(min=1)

    def check(self, steps: int, remedies: Sequence[str]) -> None:
        """Warn of classes that have labels and have got none from the teacher for a fifth of the training.

        Args:
            steps: Done so far; only now and then one looks, as each look waits for the device.
            remedies: What may help.
        """
        if steps % self.every or not is_first_process():
            return
        for domain, last in self._labeled.items():
            forgotten = (last <= steps - self.long) & self._taught.get(domain, torch.zeros_like(last, dtype=torch.bool))
            names = [
                title for title, is_so in zip(self.spaces[domain].classes, forgotten.tolist(), strict=True) if is_so
            ]
            new = [title for title in names if (domain, title) not in self._said]
            self._said |= {(domain, title) for title in new}
            if new:
                warn(
                    f"domain {domain}: for {self.long} steps the teacher has been sure of no pixel of "
                    f"{', '.join(new)}, which labelled images show; expected some of each class, or it may be "
                    f"forgotten: {', or '.join(remedies)}",
                    stacklevel=2,
                )


def _counts(mask: Tensor, classes: int, counts: Tensor | None = None) -> Tensor:
    """Pixels of every class, (C,) int64, or the sum of what they count, (C,) double."""
    weights = None if counts is None else counts.double().flatten()
    return torch.bincount(mask.flatten(), weights, minlength=IGNORE + 1)[:classes]
