"""Images that a command is given, read ahead and segmented one after the other."""

import io
import logging
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.data.listing import images_below
from semiverse.files import DataProblem, out_of_memory, reading
from semiverse.inference.pictures import overlay as draw_overlay
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import SegmentationModel
from semiverse.progress import progress

log = logging.getLogger(__name__)


def image_files(
    places: Sequence[Path], left_out: dict[str, str] | None = None, apart: Path | None = None
) -> Iterator[tuple[str, Path]]:
    """Image files with their names: the stem of a file, and the path in it of what is in a folder.

    Args:
        places: Files and folders.
        left_out: Takes what lies in a folder and is not used, by its path, and why: pictures of kinds that are not read
            and what cannot be looked into. None: folders that cannot be looked into are errors, and so are names that
            lists cannot hold.
        apart: A folder, that of the results, whose files are no images to be read.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If a folder may not be opened.
    """
    for place in places:
        if not os.path.lexists(place):
            raise FileNotFoundError(f"{place}: no such file or folder; expected images: check the path")
        if not place.is_dir():
            yield place.stem, place
            continue
        problems = None if left_out is None else list[DataProblem]()
        found = images_below(place, problems=problems)
        outside = None if apart is None else _Outside(apart)
        for number in range(len(found)):
            path = found.path(number)
            if outside is None or path in outside:
                yield found.name(number), path
        for path in found.other_pictures:
            problem = (
                f"{path}: a picture of a kind that is not read; expected {', '.join(IMAGE_EXTENSIONS)}: convert it"
            )
            if left_out is None:
                log.warning("left out: %s", problem)
            else:
                left_out[str(path)] = problem
        if left_out is not None:
            left_out |= {str(problem): str(problem) for problem in problems or ()}


class _Outside:
    """Files that do not lie below a folder, whichever links lead to them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._known = folder.resolve(), dict[Path, bool]()

    def __contains__(self, path: Path) -> bool:
        if path.is_symlink():
            return not path.resolve().is_relative_to(self.folder)
        if path.parent not in self._known:
            self._known[path.parent] = not path.parent.resolve().is_relative_to(self.folder)
        return self._known[path.parent]


def find_images(
    places: Sequence[Path], left_out: dict[str, str] | None = None, apart: Path | None = None
) -> dict[str, Path]:
    """Image files by name, from files and folders: of those in a folder, their path in it without extension.

    Args:
        places: Files and folders.
        left_out: As for ``image_files``.
        apart: As for ``image_files``.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If two images have the same name, so that their results would overwrite each other.
    """
    found: dict[str, Path] = {}
    for name, path in image_files(places, left_out, apart):
        if name in found:
            raise ValueError(
                f"{found[name]} and {path} have one name; expected different ones, as their results would "
                "overwrite each other: name them apart"
            )
        found[name] = path
    if not found:
        raise FileNotFoundError("no image is left; expected some beside those in the folder of the results: name some")
    return found


Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 2) -> Iterator[Result]:
    """Results in the order of the items, a few of them computed beforehand in threads.

    Args:
        function: What to do with an item; what it raises is raised where its result would come.
        items: Any number of them.
        workers: Threads; twice as many results wait at most.
    """
    coming = iter(items)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(coming, 2 * max(1, workers)))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(coming, 1))
            yield result


def chosen_domain(model: SegmentationModel, domain: str | None) -> str:
    """The domain that images are like; None: the only one that the model knows.

    Raises:
        ValueError: If the model knows several and none is named.
    """
    names = list(model.label_spaces)
    if domain is None and len(names) > 1:
        raise ValueError(
            f"the model knows the domains {', '.join(names)}; expected the one that the images are like: add "
            "--domain NAME, or --domain auto to have it found, or all for every one"
        )
    return names[0] if domain is None else domain


def read_or_explain(read: Callable[[Path], Tensor], path: Path) -> Tensor | str:
    """An image, or the problem with it."""
    try:
        with reading(path, "an image"):
            return read(path)
    except (OSError, ValueError) as error:
        return str(error)


def within_memory(compute: Callable[[], Result], path: Path, image: Tensor, problems: dict[str, str]) -> Result | None:
    """What is computed from an image, (3, H, W); None, and a problem, where memory does not suffice for it.

    Args:
        compute: The computation.
        path: File of the image.
        image: The image.
        problems: Takes the problem, by file.
    """
    try:
        return compute()
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    size = f"{image.shape[2]}x{image.shape[1]}"
    remedy = "see it in pieces (--window [512, 512], say), or make it smaller"
    problems[str(path)] = f"{path}: not enough memory for {size} pixels at once; expected a smaller image: {remedy}"
    return None


def readable(
    items: Sequence[Item],
    read: Callable[[Item], Tensor],
    path: Callable[[Item], Path],
    problems: dict[str, str],
    title: str,
    workers: int = 2,
) -> Iterator[tuple[Item, Tensor]]:
    """Items with their images, read ahead while progress is shown.

    Args:
        items: What stands for the images.
        read: Reads the image of an item.
        path: Its file.
        problems: Files that cannot be read, and why; what stands here is not tried, what cannot be read is added.
        title: What is done with the images, for the progress.
        workers: Threads that read.
    """
    left = [item for item in items if str(path(item)) not in problems]
    images = ahead(lambda item: read_or_explain(lambda _: read(item), path(item)), left, workers)
    for item, image in progress(zip(left, images, strict=True), title, len(left), "images"):
        if isinstance(image, str):
            problems[str(path(item))] = image
        else:
            yield item, image


def encode_mask(mask: Tensor, labels: LabelSpace) -> bytes:
    """A mask, (H, W) train ids or ``IGNORE``, as a PNG whose indices are the ids, in the colours of the classes."""
    picture = Image.fromarray(mask.numpy())
    colors = np.zeros((IGNORE + 1, 3), dtype=np.uint8)
    colors[: len(labels)] = labels.palette
    picture.putpalette(colors.ravel().tolist())
    return encoded(picture, "PNG")


def encoded(picture: Image.Image, kind: str, **how: int) -> bytes:
    """A picture as a file of this kind."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


Key = TypeVar("Key", bound=Hashable)


def in_batches(
    items: Iterable[tuple[Item, Tensor]], most: Callable[[Tensor], int], key: Callable[[Tensor], Key]
) -> Iterator[tuple[list[Item], list[Tensor], Key]]:
    """Items and images that follow each other, with equal sizes and keys, as groups of at most ``most(image)``."""
    waiting: list[tuple[Item, Tensor]] = []
    kind: tuple[torch.Size, Key] | None = None
    for item, image in items:
        new = image.shape, key(image)
        if kind is not None and (new != kind or len(waiting) >= most(image)):
            yield [one for one, _ in waiting], [one for _, one in waiting], kind[1]
            waiting = []
        kind = new
        waiting.append((item, image))
    if kind is not None:
        yield [one for one, _ in waiting], [one for _, one in waiting], kind[1]


class Writing:
    """Does things in threads while others are computed; use it in a ``with``, which ends when all are done.

    Args:
        workers: Threads; twice as many things wait at most, then ``do`` does.
    """

    def __init__(self, workers: int = 2) -> None:
        self._pool, self._waiting = ThreadPoolExecutor(max(1, workers)), deque[Future[None]]()
        self._most = 2 * max(1, workers)

    def __enter__(self) -> "Writing":
        return self

    def do(self, action: Callable[..., None], *arguments: object) -> None:
        """Call it in a thread; what an earlier one raised is raised here."""
        while len(self._waiting) >= self._most:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(action, *arguments))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        while kind is None and self._waiting:
            self._waiting.popleft().result()


def result_names(name: str, overlay: bool, confidence: bool) -> list[str]:
    """Files that ``result_files`` gives for an image of this name."""
    return [f"{name}.png", *[f"{name}_overlay.jpg"] * overlay, *[f"{name}_confidence.png"] * confidence]


def result_files(name: str, image: Tensor, found: Segmentation, overlay: bool, confidence: bool) -> dict[str, bytes]:
    """The mask of an image, (3, H, W) uint8, and what else was asked for, as files."""
    files = {f"{name}.png": encode_mask(found.mask, found.labels)}
    if overlay:
        laid = draw_overlay(image, found.mask, found.labels).permute(1, 2, 0).numpy()
        files[f"{name}_overlay.jpg"] = encoded(Image.fromarray(laid), "JPEG", quality=90)
    if confidence:
        sure = (found.confidence * 255).round().byte().numpy()
        files[f"{name}_confidence.png"] = encoded(Image.fromarray(sure), "PNG")
    return files
