"""Label images with what a model is sure of, as a dataset to train from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from semiverse.inference.committee import Committee
from semiverse.inference.images import chosen_domain
from semiverse.inference.journal import Journal, refuse_foreign
from semiverse.inference.labeling import Labeler, Labeling
from semiverse.inference.predictor import Predictor
from semiverse.inference.pseudolabels import given_images, unlabeled_images
from semiverse.mixture import DomainMixture
from semiverse.models import SegmentationModel
from semiverse.models.saving import state_of
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
    draws: int = 0,
) -> int:
    """Label images with what a model is sure of, and write them as a dataset to train from.

    Writes images, masks (class ids; 255, no label, where the model is less sure than the threshold of the class),
    dataset.yaml (what a training needs to know about them) and pseudolabels.json (what was kept of each class and each
    image). A file that cannot be read is listed at the end and the others are done. Nothing is overwritten. The same
    call goes on where it was killed. Under torchrun each process does its share, and the last one writes the two files.

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
        draws: Soft labels: so many further masks of every image, in ``drawn/0``, ``drawn/1``, ..., in which each pixel
            has a class drawn from its probabilities; a domain whose ``pseudolabels`` the folder is learns these. 0:
            none.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no model or no image.
        ValueError: If options do not go together, two images have one name, the folder is not empty, or nothing is
            kept.
    """
    call = {name: value for name, value in locals().items() if name not in ("out", "device", "workers", "data")}
    _check_options(threshold, keep)
    models = [SegmentationModel.load(one) for one in (run, *also)]
    domain = chosen_domain(models[0], domain)
    if data is not None:
        Run(run.parent if run.name == "model" else run).restore_held_out(data)
    named = threshold if isinstance(threshold, Mapping) else None
    how = Labeling(
        None if isinstance(threshold, Mapping) else threshold, keep, least, scales, flip, link, adjust, draws
    )
    predictors = [Predictor(model, via, window, device=device, **how.views) for model in models]
    labeler = Labeler(Committee(predictors, domain, labels, how.lowering(data, labels or domain)), how, named, workers)
    left_out: dict[str, str] = {}
    sources = unlabeled_images(data, domain) if images is None else given_images(images, left_out, out)
    journal = Journal(out, "pseudolabel", call | {"weights": [state_of(one) for one in (run, *also)]})
    refuse_foreign(journal)
    folder, configuration, problems = labeler.label(sources, [run, *also], journal, left_out)
    print("\n".join(folder.summary(configuration, problems) if configuration else [f"{out}: the last process merges"]))
    return 1 if problems else 0


def _check_options(threshold: float | Mapping[str, float] | None, keep: float | None) -> None:
    """Refuse what is wrong before any image is read."""
    if (threshold is None) == (keep is None):
        found = "neither threshold nor keep is given" if keep is None else "threshold and keep are both given"
        raise ValueError(f"{found}; expected one of them: choose --threshold 0.9, say, or --keep 0.5")
