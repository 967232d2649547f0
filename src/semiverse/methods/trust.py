"""Which labels of a teacher count, and how much: the rules of FixMatch and those that came after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed import all_reduce

from semiverse.distributed import process_count
from semiverse.labels import IGNORE
from semiverse.methods.teacher_labels import Labels

MOMENTUM = 0.99
"""Of the mean confidence in each class; a training of more than some thousand steps could have 0.999."""
TrustRule = Literal["threshold", "curriculum", "smooth", "share", "power"]
"""How much labels of a teacher count."""


def sure_from(mask: Tensor, confidence: Tensor, thresholds: Tensor) -> Labels:
    """Labels that are sure where the confidence, (N, H, W), reaches the threshold of their class, (C,)."""
    least = F.pad(thresholds.to(confidence), (0, IGNORE + 1 - len(thresholds)))
    return Labels(mask, (confidence >= least[mask.long()]) & (mask != IGNORE))


def note_confidence(mean: Tensor, mask: Tensor, confidence: Tensor) -> None:
    """Move the mean confidence in each class, (C,), towards that of the pixels predicted as it; others stay."""
    inside = mask != IGNORE
    ones = torch.ones_like(confidence[inside], dtype=torch.float64)
    found = torch.stack(
        [torch.bincount(mask[inside], weights, len(mean)) for weights in (confidence[inside].double(), ones)]
    )
    if process_count() > 1:
        all_reduce(found)
    seen = found[1] > 0
    mean[seen] = torch.lerp((found[0] / found[1].clamp(min=1)).to(mean), mean, MOMENTUM)[seen]


def smooth_labels(mask: Tensor, confidence: Tensor, moments: Tensor) -> Labels:
    """All pixels count, the less the further their confidence lies below its mean (SoftMatch; Chen et al., ICLR 2023).

    A pixel of confidence c below the mean m counts exp(-(c - m)^2 / (2 v / 4)), others count 1.

    Args:
        mask: Predicted train ids, or ``IGNORE``, (N, H, W).
        confidence: Their probabilities, (N, H, W).
        moments: Moving mean m and variance v of the confidence, (2,).
    """
    below = (confidence.double() - moments[0]).clamp(max=0)
    counts = torch.exp(-below.square() / (2 * moments[1] / 4)).to(confidence.dtype)
    return Labels(mask, counts.masked_fill(mask == IGNORE, 0))


def note_moments(moments: Tensor, mask: Tensor, confidence: Tensor) -> None:
    """Move mean and variance of the confidence, (2,), towards those of a batch: of all pixels inside its images."""
    inside = confidence[mask != IGNORE].double()
    sums = torch.stack([torch.ones_like(inside).sum(), inside.sum(), inside.square().sum()])
    if process_count() > 1:
        all_reduce(sums)
    count, total, squares = sums
    if count > 1:
        mean = total / count
        variance = (squares - total * mean).clamp(min=0) / (count - 1)
        moments.copy_(torch.lerp(torch.stack([mean, variance]).to(moments), moments, MOMENTUM))


def labels_by_share(mask: Tensor, confidence: Tensor, threshold: float) -> Labels:
    """All pixels count alike: as much as is the share of the batch whose confidence reaches a threshold (DACS)."""
    inside = mask != IGNORE
    found = torch.stack([(inside & (confidence >= threshold)).sum(), inside.sum()]).double()
    if process_count() > 1:
        all_reduce(found)
    share = (found[0] / found[1].clamp(min=1)).to(confidence.dtype)
    return Labels(mask, inside * share)


def labels_by_power(mask: Tensor, confidence: Tensor, power: float = 2.0) -> Labels:
    """All pixels count in proportion to a power of their confidence, one on average (AEL; Hu et al., NeurIPS 2021)."""
    inside = mask != IGNORE
    raised = confidence.double().pow(power) * inside
    found = torch.stack([raised.sum(), inside.sum().double()])
    if process_count() > 1:
        all_reduce(found)
    return Labels(mask, (raised * found[1] / found[0].clamp(min=1e-12)).to(confidence.dtype))


def note_learned(learned: Tensor, mask: Tensor, sure: Tensor) -> None:
    """Move the shares of pixels that become labels of each class, and of those that do not, (C + 1,)."""
    inside = mask != IGNORE
    classes = torch.where(sure, mask.long(), len(learned) - 1)[inside]
    found = torch.bincount(classes, minlength=len(learned)).double()
    if process_count() > 1:
        all_reduce(found)
    if found.sum():
        learned.copy_(torch.lerp((found / found.sum()).to(learned), learned, MOMENTUM))


def thresholds_by_count(learned: Tensor, threshold: float) -> Tensor:
    """Least confidence of each class, (C,), the less the rarer its labels are (FlexMatch; Zhang et al., NeurIPS 2021).

    A class with the share b of the labels of the most frequent one, or of the pixels without any if these are more, has
    ``threshold`` b / (2 - b).

    Args:
        learned: Shares of pixels that become labels of each class, and of those that do not, (C + 1,).
        threshold: That of the most frequent one.
    """
    share = learned[:-1] / learned.max().clamp(min=1e-12)
    return threshold * share / (2 - share)


def class_thresholds(mean: Tensor, threshold: float, floor: float | None) -> Tensor:
    """Least confidence of each class, (C,): ``threshold`` times its mean confidence over the largest such mean.

    That is FreeMatch's rule (Wang et al., ICLR 2023) by confidence instead of by probability, as rare is not unsure.

    Args:
        mean: Mean confidence in each class, (C,).
        threshold: The largest of them.
        floor: The least of them; None: all are ``threshold``.
    """
    if floor is None:
        return torch.full_like(mean, threshold)
    return (threshold * mean / mean.max()).clamp(min(floor, threshold), threshold)


@dataclass(frozen=True)
class Trust:
    """Which labels of a teacher count, and how much. What it knows of earlier batches is kept by who asks.

    Args:
        rule: threshold: those of at least a confidence, all alike (FixMatch); curriculum: the same, with a threshold of
            each class by the number of its labels (FlexMatch); smooth: all, the less the further their confidence lies
            below its moving mean (SoftMatch); share: all alike, as much as is the share of a batch that reaches the
            threshold (DACS); power: all, by the square of their confidence (AEL).
        threshold: Confidence in [0, 1].
        floor: Least threshold of a class, for ``threshold`` alone; each then has its own, in proportion to the mean
            confidence in it.

    Raises:
        ValueError: If a floor is given to a rule that has none.
    """

    rule: TrustRule
    threshold: float
    floor: float | None = None

    def __post_init__(self) -> None:
        if self.rule != "threshold" and self.floor is not None:
            found = f"Consistency has trust {self.rule} and floor {self.floor}"
            raise ValueError(f"{found}; expected one of them: leave floor out")

    def initial(self, classes: int) -> dict[str, Tensor]:
        """What is known before the first batch, by name."""
        known = {"confidence": torch.full((classes,), 1 / classes)}
        if self.rule == "smooth":
            known["moments"] = torch.tensor([1 / classes, 1.0])
        if self.rule == "curriculum":
            known["learned"] = F.one_hot(torch.tensor(classes), classes + 1).float()
        return known

    def labels(self, mask: Tensor, confidence: Tensor, known: Mapping[str, Tensor]) -> Labels:
        """Labels from predictions of a batch, both (N, H, W); ``known`` is moved towards them."""
        if self.rule == "share":
            return labels_by_share(mask, confidence, self.threshold)
        if self.rule == "power":
            return labels_by_power(mask, confidence)
        if self.rule == "smooth":
            note_moments(known["moments"], mask, confidence)
            return smooth_labels(mask, confidence, known["moments"])
        if self.rule == "curriculum":
            note_learned(known["learned"], mask, confidence >= self.threshold)
            return sure_from(mask, confidence, thresholds_by_count(known["learned"], self.threshold))
        if self.floor is not None:
            note_confidence(known["confidence"], mask, confidence)
        return sure_from(mask, confidence, class_thresholds(known["confidence"], self.threshold, self.floor))
