"""Segment images, folders of images, and videos."""

from pathlib import Path
from typing import Any, Literal

from semiverse.files import Outputs, refuse_inside
from semiverse.inference.annotations import AnnotationFormat
from semiverse.inference.asking import Asking
from semiverse.inference.folder import FolderPrediction, Wanted, known_results
from semiverse.inference.images import find_images
from semiverse.inference.networks import Precision
from semiverse.inference.predictor import Predictor
from semiverse.models import SegmentationModel
from semiverse.models.saving import state_of


def predict(
    run: Path,
    images: list[Path],
    domain: str | None = None,
    labels: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    out: Path = Path("predictions"),
    window: tuple[int, int] | Literal["auto"] | None = "auto",
    overlay: bool = True,
    confidence: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    workers: int = 2,
    classes: list[str] | None = None,
    annotations: AnnotationFormat | None = None,
    scales: tuple[float, ...] = (1.0,),
    flip: bool = False,
    precision: Precision = "float32",
    margin: int = 64,
    batch: int | None = None,
) -> int:
    """Write a mask for every image: ids as a PNG with the palette of the label space.

    Sub-folders are kept. A file that cannot be read, and one that memory does not suffice for, is listed at the end and
    the others are done. A video becomes a folder of masks and a video with the masks laid over it. Only results of
    earlier calls are ever replaced. The same call goes on where it was killed. Under torchrun each process does its
    share, and the last one writes the list.

    Args:
        run: A run folder, or the model folder in it.
        images: Image files, videos, and folders in which images lie at any depth.
        domain: The domain that the images are like; auto: the one that each resembles; all: each in turn, a folder for
            each; None: the only one that the model has.
        labels: The domain whose classes are asked for; all: those of each, a folder for each; None: those of the same
            domain.
        via: By the decoder, or by the most similar label embedding.
        out: The folder for the results; none of those that images are read from.
        window: Height and width of the pieces in which large images are seen; auto: pieces of 1024 x 1024 of those with
            more than 2048 x 2048 pixels; None: whole images.
        overlay: Write also the image with its mask laid over it, <stem>_overlay.jpg; of a video, <stem>_overlay.mp4.
        confidence: Write also how sure the model is, <stem>_confidence.png, 0..255; not of videos.
        overwrite: Replace results that are there already.
        device: Where to compute; auto: a GPU if there is one.
        workers: Threads that read images, and as many that write.
        classes: Show only these; all other pixels become 255 in masks and are not coloured in overlays. None: all.
        annotations: Write also files that an annotation tool opens, with the confidence of each region, into a folder
            of this name in the folder for the results: labelme (polygons), cvat (XML of polygons), cvat-masks (coloured
            masks), coco (run lengths), label-studio (polygons), label-studio-brush. Several processes: labelme only.
        scales: Sizes at which images are seen, as factors on the working size; the probabilities are averaged.
        flip: See images mirrored as well, at every scale.
        precision: float32; bf16, which is faster and less exact; or exact, as evaluate computes, bit for bit.
        margin: Pixels around a piece that are seen but not kept, a multiple of 64.
        batch: Images of one size that are segmented together, at most; None: as many as are quick on the device.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no model or no image.
        ModuleNotFoundError: If there is a video, and av, which reads it, is not installed.
        ValueError: If the domain or a class is unknown, two images have one name, results exist already, files that
            are no results would be replaced, or several processes would write one file of annotations.
    """
    call = {name: value for name, value in locals().items() if name not in ("out", "device", "workers", "batch")}
    model = SegmentationModel.load(run)
    asking = Asking(model, domain, labels)
    problems: dict[str, str] = {}
    refuse_inside(out, images)
    found = find_images(images, problems, out)
    outputs = Outputs(out, "predict", found.values(), known_results(out))
    views: dict[str, Any] = {"scales": scales, "flip": flip, "precision": precision, "margin": margin}
    predictor = Predictor(model, via, window, device=device, **views)
    for question in asking.possible if classes else ():
        for title in classes or ():
            model.label_spaces[question.labels].id_of(title)
    spaces = {question.labels: list(model.label_spaces[question.labels].classes) for question in asking.possible}
    asked = {"domain": domain or asking.domains[0], "labels": labels or domain or asking.domains[0], "via": via}
    facts = {"run": str(run), **asked, "classes": next(iter(spaces.values())) if len(spaces) == 1 else spaces}
    facts |= {} if classes is None else {"shown": classes}
    wanted = Wanted(outputs, classes, overlay, confidence, annotations)
    prediction = FolderPrediction(predictor, asking, wanted, batch, workers)
    for line in prediction.segment(found, problems, facts, call | {"weights": state_of(run)}):
        print(line)
    return 1 if prediction.problems else 0
