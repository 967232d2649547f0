"""What a call of ``predict`` asks of images: seen as which domains, and in whose classes."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from semiverse.inference.domains import recognize
from semiverse.inference.images import chosen_domain
from semiverse.inference.predictor import Question
from semiverse.models import SegmentationModel

ALL, AUTO = "all", "auto"


class Asked(NamedTuple):
    """The questions to one image.

    Args:
        questions: One or more.
        likeness: How likely the image is of their domain, where that was found by its looks; None: it was given.
    """

    questions: tuple[Question, ...]
    likeness: float | None = None


class Asking:
    """Turns the options of a call into questions.

    Args:
        model: Its domains.
        domain: One of them; ``all``: images are seen as each in turn; ``auto``: as the one that they resemble; None:
            the only one. A domain that is really called so is meant itself.
        labels: The domain whose classes are asked for; ``all``: those of each; None: those of the domain that images
            are seen as.

    Raises:
        ValueError: If a domain is unknown or has to be named, or the model cannot tell what an image resembles.
    """

    def __init__(self, model: SegmentationModel, domain: str | None, labels: str | None) -> None:
        self.model, names = model, list(model.label_spaces)
        if domain == AUTO and len(names) == 1:
            domain = names[0]  # whatever an image looks like
        self.auto = domain == AUTO and AUTO not in names
        every = domain == ALL and ALL not in names
        self.domains = names if every or self.auto else [chosen_domain(model, domain)]
        self.labels = names if labels == ALL and ALL not in names else None if labels is None else [labels]
        for name in (*self.domains, *(self.labels or ())):
            model.space_key(name)
        if self.auto and model.domain_statistics is None:
            raise ValueError(
                "the model keeps no statistics of its domains, as it is of an earlier version or unfinished; expected "
                f"some, to tell which domain an image is like: name one with --domain, of {', '.join(names)}"
            )
        self.several = every or (self.labels is not None and len(self.labels) > 1)

    def of(self, image: Tensor) -> Asked:
        """The questions to an image, (3, H, W) uint8."""
        if self.auto:
            domain, likeness = recognize(self.model, image)
            return Asked(self._questions([domain]), likeness)
        return Asked(self._questions(self.domains))

    @property
    def possible(self) -> tuple[Question, ...]:
        """All questions that may be asked."""
        return self._questions(self.domains)

    def folder(self, out: Path, question: Question) -> Path:
        """Where answers to a question go: a folder for each, if one image may have several."""
        if not self.several:
            return out
        names = [question.labels] if self.labels is None or len(self.domains) == 1 else list(question)
        return out.joinpath(*names)

    def _questions(self, domains: list[str]) -> tuple[Question, ...]:
        return tuple(Question(one, labels) for one in domains for labels in self.labels or [one])
