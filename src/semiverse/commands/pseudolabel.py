"""Label images with what a model is sure of, as a dataset to train from."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from semiverse.configuration import dump_yaml
from semiverse.files import write_atomically
from semiverse.inference.images import chosen_domain, readable
from semiverse.inference.predictor import Committee, Predictor
from semiverse.inference.pseudolabels import (
    ConfidenceHistogram,
    PseudoLabelFolder,
    given_images,
    given_thresholds,
    unlabeled_images,
)
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.run import Run


def pseudolabel(
    run: Path,
    images: list[Path] | None = None,
    domain: str | None = None,
    out: Path = Path("pseudolabels"),
    threshold: float | Mapping[str, float] | None = None,
    keep: float | None = None,
    least: float = 0.0,
    link: bool = False,
    labels: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    window: tuple[int, int] | None = None,
    device: str = "auto",
    workers: int = 2,
    data: DomainMixture | None = None,
    scales: tuple[float, ...] = (1.0,),
    flip: bool = False,
    also: Sequence[Path] = (),
    adjust: float = 0.0,
) -> int:
    """Label images with what a model is sure of, and write them as a dataset to train from.

    Writes images, masks (class ids; 255, no label, where the model is less sure than the threshold of the class),
    dataset.yaml (what a training needs to know about them) and pseudolabels.json (what was kept of each class and each
    image). A file that cannot be read is listed at the end and the others are done. Nothing is overwritten.

    Give a threshold, or the share to keep. With a share the images are segmented twice, first to find a threshold for
    each class: the one above which that share of the pixels predicted as the class lies, over all images, so that rare
    and difficult classes are not lost (class-balanced self-training, Zou et al., ECCV 2018, section 4.3). It comes from
    a histogram of 1000 bins a class, so up to one bin more than the share is kept.

    Probabilities can be averaged over scales, mirrored images and several runs, each of which is one more pass.

    Args:
        run: A run folder, or the model folder in it.
        images: Image files, and folders in which they lie at any depth; None: the training images of the domain that
            have no label, and its further images without masks.
        domain: The domain that the images are like; None: the only one that the model has.
        out: A new folder for the dataset.
        threshold: Least confidence of a labelled pixel, in [0, 1]; a number, or one for each class by its name.
        keep: Share of the pixels of each predicted class to keep, the most confident ones, in (0, 1].
        least: Leave out images of which a smaller share than this is kept; those of which nothing is, always.
        link: Link to the image files instead of copying them.
        labels: The domain whose classes are asked for; None: those of the same domain.
        via: By the decoder, or by the most similar label embedding.
        window: Height and width of the pieces in which large images are seen; None: whole images.
        device: Where to compute; auto: a GPU if there is one.
        workers: Threads that read images.
        data: Where the domain's images are, if none are given; on the command line, as the run's configuration says.
        scales: Sizes at which images are seen, as factors on the working size; the probabilities are averaged.
        flip: See images mirrored as well, at every scale.
        also: Further runs with the same classes; the probabilities of all of them are averaged.
        adjust: Times the log of the weights of data.balance is taken off the scores first, as a model that was trained
            with them predicts rare classes too often; 0: nothing is.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no model or no image.
        ValueError: If options do not go together, two images have one name, the folder is not empty, or nothing is
            kept.
    """
    _check_options(out, threshold, keep, least)
    model = SegmentationModel.load(run)
    domain = chosen_domain(model, domain)
    model.space_key(labels or domain)
    space = model.label_spaces[labels or domain]
    thresholds: Sequence[float | None] = [] if threshold is None else given_thresholds(space, threshold)
    views: dict[str, Any] = {"scales": scales, "flip": flip}
    models = [model, *map(SegmentationModel.load, also)]
    if data is not None:
        Run(run.parent if run.name == "model" else run).restore_held_out(data)
    less = _log_weights(data, labels or domain, adjust) if adjust else None
    predictor = Committee([Predictor(one, via, window, device=device, **views) for one in models], domain, labels, less)
    sources = unlabeled_images(data, domain) if images is None else given_images(images)
    problems: dict[str, str] = {}  # what stands here is not read again
    read = partial(readable, sources, lambda one: one.read(one.path), attrgetter("path"), problems, workers=workers)
    if keep is not None:
        histogram = ConfidenceHistogram(len(space))
        for _, image in read("measuring confidence"):
            found = predictor(image)
            histogram.add(found.mask, found.confidence)
        thresholds = histogram.thresholds(keep)
    folder = PseudoLabelFolder(out, space, thresholds, least, link)
    for source, image in read("labelling"):
        folder.add(source, image, predictor(image))
    if not folder.images:
        first = f", first: {next(iter(problems.values()))}" if problems else ""
        raise ValueError(
            f"no image is left: {len(folder.left_out)} keep too little, {len(problems)} cannot be read{first}; "
            "expected some: lower --threshold or --least, or raise --keep"
        )
    model_folder, *further = (str(one if (one / "config.json").is_file() else one / "model") for one in [run, *also])
    facts: dict[str, Any] = {"model": model_folder, "also": further, "scales": list(scales), "flip": flip}
    facts |= {"command": " ".join(sys.argv), "domain": domain, "labels": labels or domain, "via": via, "keep": keep}
    facts |= {
        "adjust": adjust,
        "least": least,
        "classes": folder.class_facts(),
        "images": folder.images,
        "left_out": folder.left_out,
    }
    text = json.dumps(facts | {"problems": problems}, indent=1, ensure_ascii=False)
    configuration = dump_yaml(folder.configuration(domain, model.resolutions[domain]))
    write_atomically(out / "pseudolabels.json", text + "\n")
    write_atomically(out / "dataset.yaml", configuration)
    print("\n".join(_summary(folder, configuration, problems)))
    return 1 if problems else 0


def _check_options(out: Path, threshold: float | Mapping[str, float] | None, keep: float | None, least: float) -> None:
    """Refuse what is wrong before any image is read."""
    if (threshold is None) == (keep is None):
        found = "neither threshold nor keep is given" if keep is None else "threshold and keep are both given"
        raise ValueError(f"{found}; expected one of them: choose --threshold 0.9, say, or --keep 0.5")
    if keep is not None and not 0 < keep <= 1:
        raise ValueError(f"keep is {keep}; expected a share, more than 0 and at most 1: change it, to 0.5 say")
    if not 0 <= least <= 1:
        raise ValueError(f"least is {least}; expected a share in [0, 1]: change it, to 0.1 say")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty; expected a new folder, as nothing is overwritten: choose another --out")


def _log_weights(data: DomainMixture | None, domain: str, adjust: float) -> Tensor:
    """So many times the log of the weights of the classes of a domain, (C,).

    Raises:
        ValueError: If the data is not known or has no weights.
    """
    if data is None or domain not in data.class_weights:
        found = "no data is given" if data is None else f"its data has no weights for domain {domain}"
        raise ValueError(
            f"adjust is {adjust}, but {found}; expected a run that was trained with data.balance, whose weights are "
            "taken off: leave adjust out"
        )
    return adjust * data.class_weights[domain].log()


def _summary(folder: PseudoLabelFolder, configuration: str, problems: Mapping[str, str]) -> Iterator[str]:
    """What was written, a line a class; how to train from it; what was left out."""
    yield f"{'class':<25} {'threshold':>9} {'predicted':>11} {'kept':>7}"
    for title, values in folder.class_facts().items():
        threshold = "-" if values["threshold"] is None else f"{values['threshold']:.6f}"
        share = "-" if values["kept_share"] is None else f"{100 * values['kept_share']:.2f}"
        yield f"{title:<25} {threshold:>9} {values['predicted']:>11} {share:>7}"
    total = len(folder.images) + len(folder.left_out) + len(problems)
    yield f"{len(folder.images)} of {total} images written to {folder.folder}; train from them with its dataset.yaml:"
    yield configuration.rstrip()
    for title, values in folder.left_out.items():
        yield f"left out: {title}: {100 * values['kept_share']:.2f} % of its pixels are kept"
    for message in problems.values():
        yield f"left out: {message}"
