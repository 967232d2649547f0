"""Scores of predictions against masks, all from one matrix of counts."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from semiverse.distributed import sum_over_processes

Variant = Literal["default", "zero-absent", "present-only"]


class Scores(NamedTuple):
    """Agreement of predictions with masks.

    Args:
        iou: Intersection over union of each class, (C,) float64 in [0, 1]; NaN for a class that neither masks nor
            predictions hold.
        accuracy: Share of each class's pixels that were found, (C,) float64 in [0, 1]; NaN for a class without pixels.
        miou: Mean of ``iou`` over the classes that are not NaN.
        pixel_accuracy: Share of all labelled pixels that are right; NaN without labelled pixels.
    """

    iou: Tensor
    accuracy: Tensor
    miou: float
    pixel_accuracy: float


class ConfusionMatrix:
    """Counts of (true class, predicted class) over all labelled pixels; summed over processes.

    Args:
        num_classes: C, at most 255.
        device: Where maps are counted.

    Attributes:
        matrix: (C, C + 1) int64, of this process; the last column counts predictions that are no class: misses of the
            true class.
    """

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.num_classes = num_classes
        self.matrix = torch.zeros(num_classes, num_classes + 1, dtype=torch.int64, device=device)

    def update(self, prediction: Tensor, mask: Tensor) -> None:
        """Count one batch.

        Args:
            prediction: Predicted classes, (N, H, W) of any integer type; a value outside [0, C) is a miss.
            mask: Train ids, (N, H, W) of any integer type; pixels with a value outside [0, C), such as ``IGNORE``,
                are not counted.

        Raises:
            ValueError: If the two have different shapes.
        """
        self.matrix += confusion(prediction, mask, self.num_classes)

    def compute(self) -> Scores:
        """Scores of everything that all processes have counted so far; each of them has to ask."""
        return scores(sum_over_processes(self.matrix))


def confusion(prediction: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """Counts of one batch, (C, C + 1) int64; arguments as in ``ConfusionMatrix.update``.

    Both maps are clamped so that everything outside [0, C) becomes C. What the mask does not label is counted too, in
    a last row that is dropped: cheaper than taking those pixels out.
    """
    check_shapes(prediction, mask)
    bins = num_classes + 1
    key_type = torch.int16 if bins * bins <= torch.iinfo(torch.int16).max else torch.int32
    key = clamped(mask, num_classes).to(key_type).mul_(bins)
    key += clamped(prediction, num_classes)
    counts = torch.bincount(key.flatten(), minlength=bins * bins)
    return counts.view(bins, bins)[:num_classes]


def check_shapes(prediction: Tensor, mask: Tensor) -> None:
    """Refuse to compare maps of different shapes."""
    if prediction.shape != mask.shape:
        raise ValueError(
            f"the prediction has shape {tuple(prediction.shape)} and the mask {tuple(mask.shape)}; "
            "bring the prediction to the mask's size first"
        )


def clamped(classes: Tensor, num_classes: int) -> Tensor:
    """The map with everything outside [0, C) set to C."""
    if classes.dtype != torch.uint8:
        classes = classes.masked_fill(classes < 0, num_classes)
    return classes.clamp(max=num_classes)


def scores(matrix: Tensor) -> Scores:
    """Scores of a matrix of counts, (C, C) or (C, C + 1) with true classes in rows."""
    right, true, union = _parts(matrix)
    iou = right / union
    return Scores(iou, right / true, float(iou.nanmean()), float(right.sum() / true.sum()))


def miou(matrix: Tensor, variant: Variant = "default") -> float:
    """Mean intersection over union, as different publications computed it.

    Args:
        matrix: Counts, (C, C) or (C, C + 1) with true classes in rows.
        variant: "default": mean over classes that masks or predictions hold (Cityscapes script, AdaptSegNet);
            "zero-absent": a class that neither holds counts as 0 (code of universal semi-supervised segmentation);
            "present-only": classes of which no pixel was found are left out (code of AdvSemiSeg); this flatters a
            model that misses a class completely.

    Returns:
        The mean, in [0, 1]; NaN where it is over no class.
    """
    right, _, union = _parts(matrix)
    iou = right / union
    if variant == "zero-absent":
        return float(iou.nan_to_num(0.0).mean())
    if variant == "present-only":
        return float(iou[right > 0].mean())
    return float(iou.nanmean())


def _parts(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Right pixels, true pixels and union of each class, (C,) float64 each."""
    counts = matrix.double()
    right = counts.diagonal()
    true = counts.sum(dim=1)
    predicted = counts[:, : len(counts)].sum(dim=0)
    return right, true, true + predicted - right
