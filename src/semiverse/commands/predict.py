"""Segment images and folders of images."""

import json
from operator import itemgetter
from pathlib import Path
from typing import Literal

from semiverse.data.images import read_image
from semiverse.files import write_atomically
from semiverse.inference.annotations import FORMATS, AnnotationFormat
from semiverse.inference.images import chosen_domain, find_images, readable, write_result
from semiverse.inference.predictor import Predictor
from semiverse.models import SegmentationModel


def predict(
    run: Path,
    images: list[Path],
    domain: str | None = None,
    labels: str | None = None,
    via: Literal["decoder", "embedding"] = "decoder",
    out: Path = Path("predictions"),
    window: tuple[int, int] | None = None,
    overlay: bool = True,
    confidence: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    workers: int = 2,
    classes: list[str] | None = None,
    annotations: AnnotationFormat | None = None,
) -> int:
    """Write a mask for every image: ids as a PNG with the palette of the label space.

    A file that cannot be read is listed at the end and the others are done.

    Args:
        run: A run folder, or the model folder in it.
        images: Image files, and folders in which they lie at any depth.
        domain: The domain that the images are like; None: the only one that the model has.
        labels: The domain whose classes are asked for; None: those of the same domain.
        via: By the decoder, or by the most similar label embedding.
        out: The folder for the results.
        window: Height and width of the pieces in which large images are seen; None: whole images.
        overlay: Write also the image with its mask laid over it, <stem>_overlay.jpg.
        confidence: Write also how sure the model is, <stem>_confidence.png, 0..255.
        overwrite: Replace results that are there already.
        device: Where to compute; auto: a GPU if there is one.
        workers: Threads that read images.
        classes: Show only these; all other pixels become 255 in masks and are not coloured in overlays. None: all.
        annotations: Write also files that an annotation tool opens, with the confidence of each region, into a folder
            of this name in the folder for the results: labelme (polygons), cvat (XML of polygons), cvat-masks (coloured
            masks), coco (run lengths), label-studio (polygons), label-studio-brush.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no model or no image.
        ValueError: If the domain or a class is unknown, two images have one name, or results exist already.
    """
    model = SegmentationModel.load(run)
    domain = chosen_domain(model, domain)
    model.space_key(labels or domain)
    files = find_images(images)
    taken = [stem for stem in files if (out / f"{stem}.png").exists()]
    if taken and not overwrite:
        raise ValueError(
            f"{out} already holds {len(taken)} results, first: {taken[0]}.png; expected none: choose another --out, or "
            "--overwrite true"
        )
    if annotations is not None and (out / annotations).exists() and not overwrite:
        found = f"{out / annotations} is there already"
        raise ValueError(f"{found}; expected a new folder: choose another --out, or --overwrite true")
    predictor = Predictor(model, via, window, device=device)
    space = model.label_spaces[labels or domain]
    for title in classes or ():
        space.id_of(title)
    shown = list(space.classes) if classes is None else classes
    facts = {"run": str(run), "domain": domain, "labels": labels or domain, "via": via, "classes": list(space.classes)}
    facts |= {} if classes is None else {"shown": classes}
    problems: dict[str, str] = {}
    items = list(files.items())
    read = readable(items, lambda item: read_image(item[1]), itemgetter(1), problems, "segmenting", workers)
    tool = FORMATS[annotations](out / annotations, space) if annotations is not None else None
    for (stem, path), image in read:
        result = predictor(image, domain, labels).only(shown)
        write_result(out / stem, image, result, overlay, confidence)
        if tool is not None:
            tool.add(stem, path, result)
    if tool is not None:
        tool.finish()
    done = {stem: str(path) for stem, path in items if str(path) not in problems}
    results = json.dumps(facts | {"images": done, "problems": problems}, indent=1)
    write_atomically(out / "predictions.json", results + "\n")
    print(f"{len(done)} of {len(files)} masks written to {out}")
    for message in problems.values():
        print(f"left out: {message}")
    return 1 if problems else 0
