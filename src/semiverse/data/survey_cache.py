"""What was found in files before, so that an unchanged dataset is not read again."""

import inspect
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from semiverse import __version__
from semiverse.configuration import describe
from semiverse.data.content import Content
from semiverse.data.dataset import SegmentationDataset
from semiverse.data.facts import THUMBNAIL, Header, ImageFacts, MaskFacts
from semiverse.data.pairing import Record
from semiverse.data.places import cache_folder

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
