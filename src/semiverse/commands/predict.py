"""Segment images and folders of images."""

import json
from collections import Counter
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Literal

from semiverse.data.headers import pictures_in
from semiverse.data.images import read_image
from semiverse.files import read_json
from semiverse.inference.images import chosen_domain, find_images, readable, result_files, result_names, within_memory
from semiverse.inference.predictor import Predictor
from semiverse.models import SegmentationModel
from semiverse.outputs import Outputs, refuse_inside

INDEX = "predictions.json"
"""What lies beside the masks and says which images they are of."""


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
) -> int:
    """Write a mask for every image: ids as a PNG with the palette of the label space.

    Sub-folders are kept. A file that cannot be read, and one that memory does not suffice for, is listed at the end and
    the others are done. Only results of earlier calls are ever replaced.

    Args:
        run: A run folder, or the model folder in it.
        images: Image files, and folders in which they lie at any depth.
        domain: The domain that the images are like; None: the only one that the model has.
        labels: The domain whose classes are asked for; None: those of the same domain.
        via: By the decoder, or by the most similar label embedding.
        out: The folder for the results; none of those that images are read from.
        window: Height and width of the pieces in which large images are seen; None: whole images.
        overlay: Write also the image with its mask laid over it, <stem>_overlay.jpg.
        confidence: Write also how sure the model is, <stem>_confidence.png, 0..255.
        overwrite: Replace results that are there already.
        device: Where to compute; auto: a GPU if there is one.
        workers: Threads that read images.
        classes: Show only these; all other pixels become 255 in masks and are not coloured in overlays. None: all.

    Returns:
        0, or 1 if files could not be read.

    Raises:
        FileNotFoundError: If there is no model or no image.
        ValueError: If the domain or a class is unknown, two images have one name, results exist already, or files
            that are no results would be replaced.
    """
    model = SegmentationModel.load(run)
    domain = chosen_domain(model, domain)
    model.space_key(labels or domain)
    problems: dict[str, str] = {}
    refuse_inside(out, images)
    files = find_images(images, problems, out)
    outputs = Outputs(out, "predict", files.values(), _known(out))
    names = [name for stem in files for name in result_names(stem, overlay, confidence)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(
            f"two results would be called {min(twice)}; expected different names, as one would replace the other: "
            "rename an image"
        )
    taken = outputs.there(f"{stem}.png" for stem in files)
    if taken and not overwrite:
        raise ValueError(
            f"{out} already holds {len(taken)} results, first: {taken[0]}; expected none: choose another --out, or "
            "--overwrite true"
        )
    outputs.refuse_foreign([*names, INDEX])
    predictor = Predictor(model, via, window, device=device)
    space = model.label_spaces[labels or domain]
    for title in classes or ():
        space.id_of(title)
    shown = list(space.classes) if classes is None else classes
    facts = {"run": str(run), "domain": domain, "labels": labels or domain, "via": via, "classes": list(space.classes)}
    facts |= {} if classes is None else {"shown": classes}
    items = list(files.items())
    read = readable(items, lambda item: read_image(item[1]), itemgetter(1), problems, "segmenting", workers)
    for (stem, path), image in read:
        found = within_memory(partial(predictor, image, domain, labels), path, image, problems)
        if found is not None:
            for name, content in result_files(stem, image, found.only(shown), overlay, confidence).items():
                outputs.write(name, content)
    done = {stem: str(path) for stem, path in items if str(path) not in problems}
    further = {str(path): pages for path in files.values() if (pages := pictures_in(path)) > 1}
    problems |= {path: f"{path}: the first of {pages} pictures was used alone" for path, pages in further.items()}
    outputs.write(INDEX, json.dumps(facts | {"images": done, "problems": problems}, indent=1) + "\n")
    print(f"{len(done)} of {len(files)} masks written to {out}")
    for message in problems.values():
        print(f"left out: {message}")
    return 1 if problems else 0


def _known(out: Path) -> list[str]:
    """What a call of an earlier version wrote, which kept no list beside ``predictions.json``."""
    if not (out / INDEX).is_file():
        return []
    index = read_json(out / INDEX, "what predict wrote")
    stems = index.get("images")
    if not isinstance(stems, dict):
        return []
    return [INDEX, *(name for stem in stems for name in result_names(str(stem), overlay=True, confidence=True))]
