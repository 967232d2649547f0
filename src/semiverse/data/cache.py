"""What a kept result belongs to, and images and masks at their working size, decoded once."""

import inspect
import json
import math
import mmap
import os
import random
import shutil
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from stat import S_ISDIR
from warnings import warn

import torch
from torch import Tensor

from semiverse import __version__
from semiverse.configuration import describe
from semiverse.data.dataset import SegmentationDataset
from semiverse.data.images import Resolution
from semiverse.data.pairing import Record
from semiverse.data.samples import resize
from semiverse.files import cache_folder, file_stamp, write_cached
from semiverse.labels import IGNORE
from semiverse.progress import progress


def digest(*parts: str | bytes) -> bytes:
    """16 bytes that stand for some parts."""
    texts = [part.encode() if isinstance(part, str) else part for part in parts]
    return blake2b(b"\0".join(texts), digest_size=16).digest()


def owner_of(dataset: SegmentationDataset, *options: object) -> str:
    """Name of what holds results of a dataset, as it is described, that were made with these options.

    Raises:
        TypeError: If the dataset cannot be described: its results could not be told from those of another.
    """
    described = json.dumps([describe(part) for part in (dataset, *options)])
    return f"{type(dataset).__name__}-{digest(described).hex()}"


def find_file(path: Path) -> os.stat_result | None:
    """State of a file, or of the file that holds an entry such as ``<file>/<key>``; None if there is none."""
    for place in (path, *path.parents):
        with suppress(OSError):
            found = place.stat()
            return None if S_ISDIR(found.st_mode) else found
    return None


def code_of(dataset: SegmentationDataset) -> bytes:
    """What stands for the way in which a dataset reads its files: version, classes, the code of its class, settings."""
    parts = [__version__.encode(), json.dumps(describe(dataset.labels)).encode()]
    parts += [given.encode() for given in [os.environ.get("SEMIVERSE_BRIGHTEST")] if given]
    for kind in type(dataset).__mro__:
        with suppress(TypeError, OSError):  # built in, or typed into a session
            parts.append(Path(inspect.getfile(kind)).read_bytes())
    inner = [value for value in vars(dataset).values() if isinstance(value, SegmentationDataset)]
    return digest(*parts, *map(code_of, inner))


def stamp_of(code: bytes, *paths: Path) -> bytes | None:
    """What a result has to carry to count: size and times of its files, and the code (``code_of``) that read them.

    None for what is no file, such as rendered images: it is not kept.
    """
    files = [file for file in map(find_file, paths) if file is not None]
    return digest(code, *map(file_stamp, files)) if len(files) == len(paths) else None


MAGIC = b"SVC1"
HEADER = struct.Struct("<4s16s3I")
"""What stands before the pixels of an entry: ``MAGIC``, the stamp of its source, channels, height, width."""


class CachedReader:
    """Reads records of a dataset at their working size, from memory-mapped bytes where it has them.

    An entry is one image or one mask as ``ResizeTransform`` makes it. It counts as long as size and times of its file,
    the code of the dataset's class and the version of the library are what they were; otherwise the file itself is
    read. Only ``build`` writes: a whole entry or none, each in the place of its predecessor, so there is never more
    than one for a file, dataset and working size. What a mask is read from beside its own file is not watched, and what
    is no file (rendered images) is not kept.

    Args:
        dataset: Whose records are read.
        resolution: The working size.
        folder: Below which the entries lie; None: ``samples`` in ``cache_folder()``.

    Raises:
        TypeError: If the dataset cannot be described: entries could not be told from those of another.
    """

    def __init__(self, dataset: SegmentationDataset, resolution: Resolution, folder: Path | None = None) -> None:
        self.dataset, self.resolution = dataset, resolution
        self.folder = (folder or cache_folder() / "samples") / owner_of(dataset, resolution)
        self._code = code_of(dataset)

    def read(self, record: Record) -> tuple[Tensor, Tensor]:
        """Image (3, h, w) and mask (h, w) of a record at its working size, uint8; ``IGNORE`` if it has no mask.

        Raises:
            ValueError: If they have to be read from their files, and cannot.
        """
        return self._find(record) or self._make(record)

    def build(self, records: Sequence[Record], title: str) -> None:
        """Add the entries that are missing, after saying how many, how large and where; then ``read`` is quick.

        Processes that build at once share the work. Without space or write access it warns and leaves the rest out,
        which is then read from its files.

        Args:
            records: Which records.
            title: What they are, for messages.

        Raises:
            ValueError: If an image or mask cannot be read.
        """
        missing = [record for record in records if find_file(record.image) is not None and self._find(record) is None]
        if not missing:
            return
        _, mask = self.read(missing[0])
        size = sum(mask.numel() * (3 if record.mask is None else 4) for record in missing)
        print(f"cache: adding {len(missing)} images of {title}, about {size / 2**20:.0f} MiB, in {self.folder}")
        try:
            self._make_room(size)
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                try:
                    added = pool.map(self._add, random.sample(missing, len(missing)))
                    list(progress(added, f"caching {title}", len(missing), "images"))
                except BaseException:  # Ctrl-C does not wait for the rest
                    pool.shutdown(cancel_futures=True)
                    raise
        except _NotWritten as error:
            warn(
                f"the cache in {self.folder} is not complete ({error}); expected about {size / 2**20:.0f} MiB of free "
                "space and write access: set SEMIVERSE_CACHE to a folder that has them; what is missing is read from "
                "its files, more slowly",
                stacklevel=2,
            )

    def _make_room(self, size: int) -> None:
        """Make sure of the folder and of free space."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise _NotWritten(error.strerror) from error
        if free < size:
            raise _NotWritten(f"{free / 2**20:.0f} MiB are free")

    def _make(self, record: Record) -> tuple[Tensor, Tensor]:
        image, mask = self.dataset.read(record)
        return resize(image, mask, self.resolution.of(*mask.shape))

    def _add(self, record: Record) -> None:
        if self._find(record) is not None:  # by now, from another process
            return
        # From before reading: a file that changes meanwhile is then outdated.
        stamps = [None if path is None else stamp_of(self._code, path) for path in (record.image, record.mask)]
        image, mask = self._make(record)
        for path, stamp, kind, values in zip(record[:2], stamps, ("image", "mask"), (image, mask[None]), strict=True):
            if path is not None and stamp is not None:
                header = HEADER.pack(MAGIC, stamp, *values.shape)
                try:
                    write_cached(self._place(path, kind), header + values.contiguous().numpy().tobytes())
                except OSError as error:
                    raise _NotWritten(error.strerror) from error

    def _find(self, record: Record) -> tuple[Tensor, Tensor] | None:
        """Image and mask of a record, as ``read`` gives them; None if the cache does not have both."""
        image = self._entry(record.image, "image")
        if image is None or record.mask is None:
            return image if image is None else (image, torch.full(image.shape[1:], IGNORE, dtype=torch.uint8))
        mask = self._entry(record.mask, "mask")
        return None if mask is None else (image, mask[0])

    def _entry(self, path: Path, kind: str) -> Tensor | None:
        """The entry of a file, (channels, h, w) uint8; None if there is none, it is outdated or not whole."""
        stamp = stamp_of(self._code, path)
        try:
            with self._place(path, kind).open("rb") as file:
                # Copied where it is written to: nobody can change an entry through a tensor.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError):  # missing, or empty
            return None
        if len(content) < HEADER.size:
            return None
        magic, found, *shape = HEADER.unpack_from(content)
        if (magic, found) != (MAGIC, stamp) or len(content) != HEADER.size + math.prod(shape):
            return None
        return torch.frombuffer(content, dtype=torch.uint8, offset=HEADER.size).view(shape)

    def _place(self, path: Path, kind: str) -> Path:
        return self.folder / f"{digest(kind, os.path.abspath(path)).hex()}.{kind}"


class _NotWritten(Exception):
    """The cache cannot take more; the text says why."""
