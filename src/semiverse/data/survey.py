"""Read every file of a split once, in parallel: which classes occur, what the files are, and what is wrong."""

import inspect
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np

from semiverse import __version__
from semiverse.configuration import describe
from semiverse.data.dataset import SegmentationDataset
from semiverse.data.images import THUMBNAIL, Header, ImageFacts, MaskFacts, examine_raw, note_image, read_header
from semiverse.data.pairing import Record
from semiverse.files import cache_folder
from semiverse.labels import IGNORE
from semiverse.progress import progress

At = Literal["image", "mask", "size", "reader"]


@dataclass(frozen=True)
class Content:
    """What one record holds.

    Args:
        id: Of the record.
        size: (height, width); None where the image cannot be read.
        pixels: Number of pixels of each class, and of ``IGNORE`` at the end; None without a readable mask.
        problem: What is wrong with it, or None.
        at: Where that is: in the image, the mask, their sizes, or in how the dataset reads the mask.
        image: What is known of the image; None where it cannot be read.
        mask: What is known of the mask; None where there is none.
    """

    id: str
    size: tuple[int, int] | None
    pixels: np.ndarray | None
    problem: str | None = None
    at: At | None = None
    image: ImageFacts | None = None
    mask: MaskFacts | None = None

    @property
    def classes(self) -> frozenset[int]:
        """Train ids that occur."""
        return frozenset() if self.pixels is None else frozenset(np.flatnonzero(self.pixels[:-1]).tolist())


def examine(dataset: SegmentationDataset, record: Record) -> Content:
    """Decode image and mask of one record completely; what goes wrong is reported in the result."""
    try:
        image, mask = dataset.read(record)
    except (OSError, ValueError) as error:
        return _refused(dataset, record, str(error))
    size, facts = (image.shape[1], image.shape[2]), note_image(record.image, image)
    if record.mask is None:
        return Content(record.id, size, None, image=facts)
    count = len(dataset.labels)
    pixels = np.bincount(mask.numpy().ravel(), minlength=IGNORE + 1)
    strange = count + np.flatnonzero(pixels[count:IGNORE])
    problem = None
    if len(strange):
        problem = (
            f"{record.mask}: {type(dataset).__name__} reads the train id {strange[0]} from it; expected 0 to "
            f"{count - 1} or {IGNORE}, its label space has {count} classes: correct read_mask"
        )
    header = MaskFacts(read_header(record.mask))
    kept = np.append(pixels[:count], pixels[IGNORE])
    return Content(record.id, size, kept, problem, "reader" if problem else None, facts, header)


def _refused(dataset: SegmentationDataset, record: Record, problem: str) -> Content:
    """What can still be said of a record that cannot be read: only now its files are read one by one."""
    mask = None if record.mask is None else examine_raw(record.mask)
    try:
        image = dataset.read_image(record.image)
    except (OSError, ValueError) as error:
        return Content(record.id, None, None, str(error), "image", None, mask)
    size, facts = (image.shape[1], image.shape[2]), note_image(record.image, image)
    at: At = "size"
    try:
        if record.mask is not None:
            dataset.read_mask(record.mask)
    except (OSError, ValueError):
        at = "mask"
    return Content(record.id, size, None, problem, at, facts, mask)


def survey(
    dataset: SegmentationDataset,
    records: Sequence[Record],
    title: str,
    workers: int | None = None,
    fresh: bool = False,
) -> list[Content]:
    """Examine records in parallel threads, with a progress bar that appears when it takes over two seconds.

    Args:
        dataset: Where the records are from.
        records: What to examine.
        title: What they are, for the progress bar.
        workers: Threads; None: one a processor.
        fresh: Read every file, also those that have not changed since they were last found in order.
    """
    cache = SurveyCache(dataset, fresh)
    known = [cache.find(record) for record in records]
    missing = [record for record, content in zip(records, known, strict=True) if content is None]
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        found = pool.map(partial(examine, dataset), missing)
        new = list(progress(found, f"reading {title}", len(missing), "images"))
    for record, content in zip(missing, new, strict=True):
        cache.add(record, content)
    cache.save()
    rest = iter(new)
    return [next(rest) if content is None else content for content in known]


FORMAT = 1
"""Raise it whenever the same file would be described in another way."""
SETTLED = 2.0
"""Seconds after which a file may be remembered: younger ones may change again within the clock's own tick."""


class SurveyCache:
    """Contents of the records of one dataset, in one file; only those without problem.

    A cache that cannot be read or written is as good as none: nothing fails because of it.

    Args:
        dataset: The dataset; its description, and the code of its class, are part of the key.
        fresh: Forget what is known.
    """

    def __init__(self, dataset: SegmentationDataset, fresh: bool = False) -> None:
        self.path = _place(dataset)
        self._known: dict[str, Any] = {} if self.path is None or fresh else _load(self.path)
        self._new = 0

    def find(self, record: Record) -> Content | None:
        """What is known of a record whose files have not changed; None otherwise."""
        entry = self._known.get(_key(record))
        try:
            if entry is None or entry["stamp"] != _stamp(record):
                return None
            return _content(record.id, entry)
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def add(self, record: Record, content: Content) -> None:
        """Remember a content, if it has no problem and its files are not just being written."""
        if self.path is None or content.problem is not None or content.image is None:
            return
        try:
            stamp = _stamp(record)
        except OSError:  # no file of its own: rendered, or an entry of an archive
            return
        if time.time() - max(stamp[1::2]) / 1e9 > SETTLED:
            self._known[_key(record)] = {"stamp": stamp} | _values(content)
            self._new += 1

    def save(self) -> None:
        """Write what is new, whole or not at all."""
        if self.path is None or not self._new:
            return
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        # A full or read-only disk makes the next check slower, and nothing else.
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_text(json.dumps(self._known), encoding="utf-8")
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)


def _place(dataset: SegmentationDataset) -> Path | None:
    """The file for a dataset; None for one that cannot be described, and where no place for caches is known."""
    try:
        folder = cache_folder()
        kinds = [kind for kind in type(dataset).__mro__ if kind.__module__ != "builtins"]
        code = [(kind.__qualname__, _changed(kind)) for kind in kinds]
        text = json.dumps([FORMAT, __version__, describe(dataset), str(Path(dataset.root).absolute()), code])
    except (TypeError, OSError, ImportError):
        return None
    return folder / "surveys" / f"{blake2b(text.encode(), digest_size=16).hexdigest()}.json"


def _changed(kind: type) -> int:
    """When the file of a class was last changed, in ns."""
    return Path(inspect.getfile(kind)).stat().st_mtime_ns


def _load(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _key(record: Record) -> str:
    return f"{record.image}\n{record.mask}"


def _stamp(record: Record) -> list[int]:
    """Size and modification time of each file."""
    paths = [path for path in (record.image, record.mask) if path is not None]
    return [number for path in paths for stat in [path.stat()] for number in (stat.st_size, stat.st_mtime_ns)]


def _values(content: Content) -> dict[str, Any]:
    image, mask = content.image, content.mask
    return {
        "size": content.size,
        "pixels": None if content.pixels is None else content.pixels.tolist(),
        "image": image and [asdict(image.header), image.digest, image.thumbnail.tobytes().hex()],
        "mask": mask and asdict(mask.header),
    }


def _content(name: str, entry: dict[str, Any]) -> Content:
    header, digest, thumbnail = entry["image"]
    height, width = entry["size"]
    grey = np.frombuffer(bytes.fromhex(thumbnail), dtype=np.uint8).reshape(THUMBNAIL)
    return Content(
        name,
        (height, width),
        None if entry["pixels"] is None else np.array(entry["pixels"], dtype=np.int64),
        image=ImageFacts(_header(header), digest, grey),
        mask=None if entry["mask"] is None else MaskFacts(_header(entry["mask"])),
    )


def _header(values: dict[str, Any]) -> Header:
    height, width = values["size"]
    return Header(values["format"], values["mode"], (height, width), values["orientation"])
