"""Images that a command is given, read ahead and segmented one after the other."""

import io
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

from semiverse.data.pairing import list_images
from semiverse.files import write_atomically
from semiverse.inference.pictures import overlay as draw_overlay
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import SegmentationModel
from semiverse.progress import progress


def image_files(places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Image files with their names: the stem of a file, and the path in it of what is in a folder.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
    """
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder; expected images: check the path")
        yield from list_images(place).items() if place.is_dir() else [(place.stem, place)]


def find_images(places: Sequence[Path]) -> dict[str, Path]:
    """Image files by stem, from files and folders.

    Raises:
        FileNotFoundError: If a place does not exist or a folder has no image.
        ValueError: If two images have the same stem, so that their results would overwrite each other.
    """
    found: dict[str, Path] = {}
    for _, path in image_files(places):
        if path.stem in found:
            raise ValueError(
                f"{found[path.stem]} and {path} have one name; expected different ones, as their results would "
                "overwrite each other: name them apart"
            )
        found[path.stem] = path
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
        return read(path)
    except (OSError, ValueError) as error:
        return str(error)


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
    items: Iterable[tuple[Item, Tensor]], most: int, key: Callable[[Tensor], Key]
) -> Iterator[tuple[list[Item], list[Tensor], Key]]:
    """Items and images that follow each other, with equal sizes and keys, as groups of at most so many."""
    waiting: list[tuple[Item, Tensor]] = []
    kind: tuple[torch.Size, Key] | None = None
    for item, image in items:
        new = image.shape, key(image)
        if kind is not None and (new != kind or len(waiting) == most):
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


def write_result(stem: Path, image: Tensor, found: Segmentation, overlay: bool, confidence: bool) -> None:
    """Write the mask of an image, (3, H, W) uint8, and what else was asked for, beside each other.

    Raises:
        OSError: If a file cannot be written.
    """
    write_atomically(stem.with_name(f"{stem.name}.png"), encode_mask(found.mask, found.labels))
    if overlay:
        laid = draw_overlay(image, found.mask, found.labels).permute(1, 2, 0).numpy()
        write_atomically(stem.with_name(f"{stem.name}_overlay.jpg"), encoded(Image.fromarray(laid), "JPEG", quality=90))
    if confidence:
        sure = (found.confidence * 255).round().byte().numpy()
        write_atomically(stem.with_name(f"{stem.name}_confidence.png"), encoded(Image.fromarray(sure), "PNG"))
