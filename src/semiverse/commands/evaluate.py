"""Score a trained model."""

import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from semiverse.evaluation.confusion import ConfusionMatrix, Variant, miou
from semiverse.evaluation.details import Details, ObservedPredictor
from semiverse.evaluation.score import by_class, counts, number
from semiverse.files import write_atomically
from semiverse.inference.images import ahead
from semiverse.inference.predictor import Predictor
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.progress import progress


def evaluate(
    run: Path,
    data: DomainMixture,
    domain: str | None = None,
    split: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    variant: Variant = "default",
    full_resolution: bool = False,
    window: tuple[int, int] | None = None,
    device: str = "auto",
    out: Path | None = None,
    classes: list[str] | None = None,
    details: bool = False,
) -> dict[str, Any]:
    """Score a model on labelled images; prints a table and writes ``evaluation.json``.

    Args:
        run: A run folder, or the model folder in it.
        data: The domains to score on; on the command line, those of the run's own configuration.
        domain: Only this domain; None: all of them that have masks.
        split: The split to score on; None: each domain's validation split.
        via: By the decoder, or by the most similar label embedding.
        variant: How the mean over classes is taken; default: over classes that the masks or predictions hold.
        full_resolution: Score at the owner's size instead of the working size.
        window: Height and width of the pieces in which large images are seen; None: whole images.
        device: Where to compute; auto: a GPU if there is one.
        out: The file to write; None: evaluation.json in the run folder, or in the folder of a model by itself.
        classes: Print only the rows of these; means and file are those of all classes. None: print all.
        details: Write also the mIoU of every image, boundary IoU, calibration, what the heads of the other domains see,
            and how alike classes of different domains are; and beside the file features.npz, features of some pixels.

    Returns:
        What was written: scores in [0, 1] by domain, None for classes that neither masks nor predictions hold.

    Raises:
        FileNotFoundError: If there is no model or no data.
        ValueError: If the domain or a class is unknown, or label spaces of data and model differ.
    """
    started = time.perf_counter()
    model = SegmentationModel.load(run)
    predictor = (ObservedPredictor if details else Predictor)(model, via, window, resize=full_resolution, device=device)
    detailed = Details(predictor) if isinstance(predictor, ObservedPredictor) else None
    if domain not in (None, *data.domains):
        raise ValueError(
            f"the data has no domain {domain!r}; expected one of {', '.join(data.domains)}: correct --domain"
        )
    names = _scorable(data, split) if domain is None else [domain]
    known = {title for name in names for title in data.label_spaces[name].classes}
    if missing := sorted({*(classes or ())} - known):
        raise ValueError(
            f"there is no class {', '.join(missing)}; expected some of {', '.join(sorted(known))}: correct --classes"
        )
    results = {
        name: _score(predictor, data, name, split or data.domains[name].val, variant, full_resolution, detailed)
        | {"via": via, "variant": variant}
        for name in names
    }
    evaluation = {
        "domains": results,
        "sum_miou": sum(result["miou"] or 0.0 for result in results.values()),
        **(detailed.across() if detailed else {}),
        "model": str(run if (run / "config.json").is_file() else run / "model"),
        "command": " ".join(sys.argv),
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(table(evaluation, classes))
    file = out or (run.parent if run.name == "model" else run) / "evaluation.json"
    if detailed:
        write_atomically(file.with_name("features.npz"), detailed.features())
    write_atomically(file, json.dumps(evaluation, indent=2) + "\n")
    return evaluation


def _scorable(data: DomainMixture, split: str | None) -> list[str]:
    """Domains that have masks to score against; all of them where none has."""
    without = [
        name
        for name, domain in data.domains.items()
        if all(record.mask is None for record in domain.dataset.subset(split or domain.val))
    ]
    if len(without) == len(data.domains):
        return without
    for name in without:
        warnings.warn(f"domain {name} has no masks and is not scored", stacklevel=2)
    return [name for name in data.domains if name not in without]


def _score(
    predictor: Predictor,
    data: DomainMixture,
    name: str,
    split: str,
    variant: Variant,
    full_resolution: bool,
    detailed: Details | None,
) -> dict[str, Any]:
    """Scores of one domain, and its details where they are wanted."""
    samples, space = data.evaluation(name, split, full_resolution), data.label_spaces[name]
    known = predictor.model.label_spaces.get(name)
    if known != space:
        raise ValueError(
            f"domain {name}: the data has the classes {', '.join(space.classes)}, the model "
            f"{', '.join(known.classes) if known else 'no such domain'}; expected the same: check data.domains.{name}"
        )
    confusion = ConfusionMatrix(len(space))
    read = ahead(samples.__getitem__, range(len(samples)))
    for sample in progress(read, f"scoring {name}", len(samples), "images"):
        found = predictor(sample.image, name)
        confusion.update(found.mask[None], sample.mask[None])
        if detailed:
            detailed.add(name, sample, found)
    if not confusion.matrix.any():
        raise ValueError(
            f"domain {name}: no image of split {split!r} has a labelled pixel; expected masks to score against: choose "
            "another --split"
        )
    scores = confusion.compute()
    return {
        "images": len(samples),
        "miou": number(miou(confusion.matrix, variant)),
        "pixel_accuracy": number(scores.pixel_accuracy),
        "iou": by_class(space.classes, scores.iou.tolist()),
        "confusion": counts(confusion.matrix, space.classes, space.classes),
        "split": split,
        "full_resolution": full_resolution,
        **(detailed.of(name) if detailed else {}),
    }


def table(evaluation: dict[str, Any], classes: Sequence[str] | None = None) -> str:
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
