"""Scores of a trained model on the domains of a mixture, as plain values that are ready to be written as JSON."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from semiverse.allocation import memory_kept
from semiverse.data import Sample
from semiverse.evaluation.confusion import Variant, confusion, miou, scores
from semiverse.inference.images import ahead
from semiverse.inference.predictor import Predictor, Segmentation
from semiverse.mixture import DomainMixture
from semiverse.progress import progress

Evaluation = dict[str, Any]
"""What ``evaluate`` writes."""

Watch = Callable[[str, Sample, Segmentation], None]
"""Called with the domain, the sample and what was found in it, after each image."""


def number(value: float) -> float | None:
    """A number with six digits behind the point; None for one that is not defined."""
    return None if math.isnan(value) else round(value, 6)


def by_class(classes: Sequence[str], values: Iterable[float]) -> dict[str, float | None]:
    """The number of each class."""
    return {title: number(float(value)) for title, value in zip(classes, values, strict=True)}


def counts(matrix: Tensor, classes: Sequence[str], predicted: Sequence[str]) -> dict[str, dict[str, int]]:
    """Pixels by true class (rows) and predicted class (columns); zeros and predictions of no class are left out."""
    return {
        title: {other: count for other, count in zip(predicted, row, strict=False) if count}
        for title, row in zip(classes, matrix.tolist(), strict=True)
    }


def scorable(data: DomainMixture, split: str | None) -> list[str]:
    """Domains that have masks to score against; all of them where none has."""
    with_masks = [
        name
        for name, domain in data.domains.items()
        if (chosen := split or domain.validation) and any(record.mask for record in domain.subset(chosen))
    ]
    for name in data.domains if with_masks else ():
        if name not in with_masks:
            warnings.warn(f"domain {name} has no masks and is not scored", stacklevel=2)
    return with_masks or list(data.domains)


def score(
    predictor: Predictor,
    data: DomainMixture,
    name: str,
    split: str | None = None,
    variant: Variant = "default",
    full_resolution: bool = False,
    watch: Watch | None = None,
) -> Evaluation:
    """Scores of one domain.

    Args:
        predictor: The model.
        data: Where the domain's images are.
        name: The domain.
        split: The split to score on; None: its validation split.
        variant: How the mean over classes is taken.
        full_resolution: Score at the owner's size instead of the working size.
        watch: Told of every image.

    Raises:
        ValueError: If label spaces of data and model differ, or no pixel is labelled.
    """
    samples = data.evaluation(name, split, full_resolution)
    space = data.label_spaces[name]
    known = predictor.model.label_spaces.get(name)
    if known != space:
        raise ValueError(
            f"domain {name}: the data has the classes {', '.join(space.classes)}, the model "
            f"{', '.join(known.classes) if known else 'no such domain'}; expected the same: check data.domains.{name}"
        )
    matrix = torch.zeros(len(space), len(space) + 1, dtype=torch.int64)
    read = ahead(samples.__getitem__, range(len(samples)))
    with memory_kept(predictor.device) as settle:
        for sample in progress(read, f"scoring {name}", len(samples), "images"):
            found = predictor(sample.image, name)
            matrix += confusion(found.mask, sample.mask, len(space))
            if watch:
                watch(name, sample, found)
            settle()
    split = split or data.domains[name].validation
    if not matrix.any():
        raise ValueError(
            f"domain {name}: no image of split {split!r} has a labelled pixel; expected masks to score against: "
            "choose another --split"
        )
    found_scores = scores(matrix)
    return {
        "images": len(samples),
        "miou": number(miou(matrix, variant)),
        "pixel_accuracy": number(found_scores.pixel_accuracy),
        "iou": by_class(space.classes, found_scores.iou.tolist()),
        "confusion": counts(matrix, space.classes, space.classes),
        "split": split,
        "full_resolution": full_resolution,
    }


def table(evaluation: Evaluation, classes: Sequence[str] | None = None) -> str:
    """Scores as text: a line a domain, then a line a class; of ``classes`` alone, where they are given."""
    lines = [f"{'domain':<20} {'images':>6} {'mIoU':>6} {'pixels':>6}"]
    for name, result in evaluation["domains"].items():
        scores = f"{_percent(result['miou'])} {_percent(result['pixel_accuracy'])}"
        lines.append(f"{name:<20} {result['images']:>6} {scores}")
        shown = {title: value for title, value in result["iou"].items() if classes is None or title in classes}
        lines += [f"  {title:<25} {_percent(value)}" for title, value in shown.items()]
    return "\n".join([*lines, f"{'sum of mIoU':<27} {_percent(evaluation['sum_miou'])}"])


def _percent(value: float | None) -> str:
    return "     -" if value is None else f"{100 * value:6.2f}"
