"""What images of each domain look like to an encoder, and which domain another image resembles."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

_FARTHEST = 16.0
"""Squared distance in deviations beyond which a feature says no more: it is a feature that training images lack."""


class DomainStatistics(NamedTuple):
    """Mean and deviation of pooled features of each domain's images.

    Args:
        mean: (domains, D).
        deviation: (domains, D), positive: with N images a share N / (N + 16) of a variance is the domain's own, the
            rest that of all domains, as few images say little of it.
        sharpness: What the mean squared distance in deviations is multiplied by, (1,), so that probabilities are honest
            on images that the means do not know.
    """

    mean: Tensor
    deviation: Tensor
    sharpness: Tensor

    @classmethod
    def estimate(cls, vectors: Sequence[Tensor]) -> Self:
        """From vectors of each domain's images, (N, D) each, N at least 1.

        The sharpness is the lowest with which every second image is about as likely as it can be (0.02 nats), with
        statistics of the others.
        """
        halves = [(these[::2], these[1::2]) for these in vectors]
        sharpness = torch.ones(1)
        if all(len(second) for _, second in halves):
            mean, deviation = _moments([first for first, _ in halves])
            tried = 2.0 ** torch.arange(-4, 11)
            likelihoods = []
            for one in tried:
                known = cls(mean, deviation, one[None])
                right = [known.probabilities(second)[:, place] for place, (_, second) in enumerate(halves)]
                likelihoods.append(torch.stack([p.clamp(min=1e-6).log().mean() for p in right]).mean())
            enough = torch.stack(likelihoods) >= max(likelihoods) - 0.02
            sharpness = tried[int(enough.int().argmax())][None]
        return cls(*_moments(vectors), sharpness)

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> Self:
        """From the tensors of a file."""
        return cls(*(tensors[name] for name in cls._fields))

    def probabilities(self, vectors: Tensor) -> Tensor:
        """Pooled features of images, (N, D) → probability of each domain, (N, domains)."""
        distance = ((vectors[:, None] - self.mean) / self.deviation).square().clamp(max=_FARTHEST).mean(dim=2)
        scores = -0.5 * distance - self.deviation.log().mean(dim=1)
        return (self.sharpness * scores).softmax(dim=1)


def _moments(vectors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    mean = torch.stack([these.mean(dim=0) for these in vectors])
    own = torch.stack([(these - these.mean(dim=0)).square().mean(dim=0) for these in vectors])
    count = torch.tensor([len(these) for these in vectors])[:, None]
    trust = count / (count + 16)
    return mean, (trust * own + (1 - trust) * own.mean(dim=0) + 1e-8).sqrt()
