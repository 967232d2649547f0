"""Score a trained model."""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from semiverse.downloads.hub import is_hub_name
from semiverse.evaluation.confusion import Variant
from semiverse.evaluation.details import Details, ObservedPredictor
from semiverse.evaluation.score import Evaluation, scorable, score, table
from semiverse.files import Outputs, read_json
from semiverse.inference.predictor import Predictor
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.run import Run

FEATURES = "features.npz"
"""What ``details`` writes beside the file."""


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
) -> Evaluation:
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
        out: The file to write; None: evaluation.json in the run folder, in the folder of a model by itself, or, for a
            model on the hub, here.
        classes: Print only the rows of these; means and file are those of all classes. None: print all.
        details: Write also the mIoU of every image, boundary IoU, calibration, what the heads of the other domains see,
            and how alike classes of different domains are; and beside the file features.npz, features of some pixels.

    Returns:
        What was written: scores in [0, 1] by domain, None for classes that neither masks nor predictions hold.

    Raises:
        FileNotFoundError: If there is no model or no data.
        ValueError: If the domain or a class is unknown, label spaces of data and model differ, or the file is
            none that an evaluation wrote.
    """
    started = time.perf_counter()
    folder = Path() if is_hub_name(run) else run.parent if run.name == "model" else run
    file = out or folder / "evaluation.json"
    outputs = _outputs(file, details)
    model = SegmentationModel.load(run)
    predictor_type = ObservedPredictor if details else Predictor
    predictor = predictor_type(model, via, window, resize=full_resolution, device=device, precision="exact")
    detailed = Details(predictor) if isinstance(predictor, ObservedPredictor) else None
    if not is_hub_name(run):
        Run(folder).restore_held_out(data)
    names = scorable(data, split) if domain is None else [domain]
    unknown = [name for name in names if name not in data.domains]
    if unknown:
        raise ValueError(
            f"the data has no domain {unknown[0]!r}; expected one of {', '.join(data.domains)}: correct --domain"
        )
    known = {title for name in names for title in data.label_spaces[name].classes}
    if set(classes or ()) - known:
        listed = ", ".join(sorted(set(classes or ()) - known))
        raise ValueError(f"there is no class {listed}; expected some of {', '.join(sorted(known))}: correct --classes")
    results = {}
    for name in names:
        results[name] = score(
            predictor, data, name, split, variant, full_resolution, detailed.add if detailed else None
        )
        results[name] |= (detailed.of(name) if detailed else {}) | {"via": via, "variant": variant}
    evaluation = {
        "domains": results,
        "sum_miou": sum(result["miou"] or 0.0 for result in results.values()),
        **(detailed.across() if detailed else {}),
        "model": str(run if is_hub_name(run) or (run / "config.json").is_file() else run / "model"),
        "command": " ".join(sys.argv),
        "seconds": round(time.perf_counter() - started, 1),
    }
    if detailed:
        outputs.write(FEATURES, detailed.features())
    outputs.write(file.name, json.dumps(evaluation, indent=2) + "\n")
    print(table(evaluation, classes))
    return evaluation


def _outputs(file: Path, details: bool) -> Outputs:
    """Where results go; an evaluation of an earlier version, which kept no list, may be replaced as well.

    Raises:
        ValueError: If something else would be replaced.
    """
    known: list[str] = []
    with suppress(ValueError):
        if {"domains", "sum_miou", "model"} <= set(read_json(file, "an evaluation")):
            known = [file.name, FEATURES]
    outputs = Outputs(file.parent, "evaluate", known=known)
    outputs.refuse_foreign([file.name, *[FEATURES] * details])
    return outputs
