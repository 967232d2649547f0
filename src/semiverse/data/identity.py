"""What a result that is kept belongs to: the file it was made from, and the code that made it."""

import inspect
import json
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from stat import S_ISDIR

from semiverse import __version__
from semiverse.configuration import describe
from semiverse.data.dataset import SegmentationDataset


def digest(*parts: str | bytes) -> bytes:
    """16 bytes that stand for some parts."""
    texts = [part.encode() if isinstance(part, str) else part for part in parts]
    return blake2b(b"\0".join(texts), digest_size=16).digest()


def find_file(path: Path) -> os.stat_result | None:
    """State of a file, or of the file that holds an entry such as ``<file>/<key>``; None if there is none."""
    for place in (path, *path.parents):
        with suppress(OSError):
            found = place.stat()
            return None if S_ISDIR(found.st_mode) else found
    return None


def code_of(dataset: SegmentationDataset) -> bytes:
    """What stands for the way in which a dataset reads its files: version, classes, the code of its class."""
    parts = [__version__.encode(), json.dumps(describe(dataset.labels)).encode()]
    for kind in type(dataset).__mro__:
        with suppress(TypeError, OSError):  # built in, or typed into a session
            parts.append(Path(inspect.getfile(kind)).read_bytes())
    inner = [value for value in vars(dataset).values() if isinstance(value, SegmentationDataset)]
    return digest(*parts, *map(code_of, inner))
