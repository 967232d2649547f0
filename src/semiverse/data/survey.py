"""Read every file of a split once, in parallel: which classes occur, what the files are, and what is wrong."""

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import astuple
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from semiverse.data.cache import code_of, find_file, owner_of, stamp_of
from semiverse.data.contents import At, Content, Contents
from semiverse.data.dataset import SegmentationDataset
from semiverse.data.headers import Header, read_header
from semiverse.data.images import THUMBNAIL, ImageFacts, MaskFacts, examine_raw, note_image
from semiverse.data.pairing import Record
from semiverse.distributed import launched
from semiverse.files import DataProblem, as_problem, cache_folder, changed_at, settled
from semiverse.labels import IGNORE
from semiverse.progress import progress


def examine(dataset: SegmentationDataset, record: Record) -> Content:
    """Decode image and mask of one record completely; what goes wrong is reported in the result."""
    try:
        image, mask = dataset.read(record)
    except (OSError, ValueError) as error:
        return _refused(dataset, record, as_problem(error))
    size, facts = (image.shape[1], image.shape[2]), note_image(record.image, image)
    if record.mask is None:
        return Content(record.id, size, None, image=facts)
    count = len(dataset.labels)
    pixels = np.bincount(mask.numpy().ravel(), minlength=IGNORE + 1)
    strange = count + np.flatnonzero(pixels[count:IGNORE])
    problem = None
    if len(strange):
        found = f"{record.mask}: {type(dataset).__name__} reads the train id {strange[0]} from it"
        expected = f"0 to {count - 1} or {IGNORE}, its label space has {count} classes"
        problem = DataProblem(found, expected, "correct read_mask")
    kept, header = np.append(pixels[:count], pixels[IGNORE]), MaskFacts(read_header(record.mask))
    return Content(record.id, size, kept, problem, "reader" if problem else None, facts, header)


def _refused(dataset: SegmentationDataset, record: Record, problem: DataProblem) -> Content:
    """What can still be said of a record that cannot be read: only now its files are read one by one."""
    mask = None if record.mask is None else examine_raw(record.mask)
    try:
        image, _ = dataset.read(record._replace(mask=None))
    except (OSError, ValueError) as error:
        return Content(record.id, None, None, as_problem(error), "image", None, mask)
    size, facts = (image.shape[1], image.shape[2]), note_image(record.image, image)
    at: At = "size"
    try:
        if record.mask is not None:
            dataset.read_mask(record.mask)
    except Exception:  # what is wrong was told above
        at = "mask"
    return Content(record.id, size, None, problem, at, facts, mask)


def survey(dataset: SegmentationDataset, records: Sequence[Record], title: str, fresh: bool = False) -> Contents:
    """Examine records in parallel threads, with a progress bar that appears when it takes over two seconds.

    Of very many no list is made, neither of what was read nor of what is known from before.

    Args:
        dataset: Where the records are from.
        records: What to examine.
        title: What they are, for the progress bar.
        fresh: Read every file, also those that have not changed since they were last found in order.
    """
    found = progress(_examined(dataset, records, fresh), f"reading {title}", len(records), "images")
    return Contents(records, found, len(dataset.labels))


def _examined(dataset: SegmentationDataset, records: Sequence[Record], fresh: bool) -> Iterator[Content]:
    """What each record holds: known from before, or read now and remembered."""
    rest = iter(records)
    parts = iter(lambda: list(islice(rest, TOGETHER)), [])
    with closing(_Cache(dataset, fresh)) as cache, ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def begin(part: list[Record]) -> tuple[list[Record], list[Content | None], Iterator[Content]]:
            known = [cache.find(record) for record in part]
            missing = [record for record, content in zip(part, known, strict=True) if content is None]
            return missing, known, pool.map(partial(examine, dataset), missing)

        begun = map(begin, parts)
        ahead = next(begun, None)
        while ahead is not None:
            (missing, known, arriving), ahead = ahead, next(begun, None)  # threads go on while these are looked at
            new = list[Content]()
            for content in known:
                if content is None:
                    new.append(content := next(arriving))
                yield content
            cache.keep(missing, new)


TOGETHER = 200  # contents that are remembered at once: so many a call that is killed may lose
FORMAT = 3  # raise it whenever the same file would be described in another way


class _Lines:
    """Lines ``[key, entry]`` of JSON in files, found by their keys; only the places of lines are kept in memory.

    Raises:
        OSError: If a file cannot be read.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files: list[BinaryIO] = []
        hashes, owner, places, decoder = array("q"), array("i"), array("q"), json.JSONDecoder()
        for number, path in enumerate(paths):
            self._files.append(path.open("rb"))
            place = 0
            for line in self._files[-1]:
                with suppress(ValueError, TypeError, RecursionError):  # no JSON: the last line may be cut
                    hashes.append(hash(decoder.raw_decode(line.decode("ascii"), 1)[0]))
                    owner.append(number)
                    places.append(place)
                place += len(line)
        order = np.argsort(np.array(hashes, np.int64), kind="stable")  # of equal keys the latest stays the last
        found = (np.array(hashes, np.int64), np.array(owner, np.int32), np.array(places, np.int64))
        self._hashes, self._owner, self._places = (column[order] for column in found)

    def find(self, key: str) -> Iterator[Any]:
        """Entries of a key, the latest first."""
        start, end = (int(np.searchsorted(self._hashes, hash(key), side)) for side in ("left", "right"))
        for number in reversed(range(start, end)):
            with suppress(ValueError, TypeError, OSError, RecursionError):
                file = self._files[self._owner[number]]
                file.seek(int(self._places[number]))
                one, entry = json.loads(file.readline())
                if one == key:
                    yield entry

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


class _Cache:
    """Contents of the records of one dataset, a line each, in a file of each process; only those without problem.

    A cache that cannot be read or written is as good as none: nothing fails because of it, and a dataset that cannot be
    described has none.
    """

    def __init__(self, dataset: SegmentationDataset, fresh: bool) -> None:
        self.path: Path | None = None
        self._known = _Lines([])
        self._mode = "w" if fresh else "a"
        with suppress(TypeError, ImportError, OSError, ValueError):  # cannot be described, or no cache that can be read
            self._code, self._classes = code_of(dataset), len(dataset.labels)
            owner, folder = owner_of(dataset, FORMAT), cache_folder() / "surveys"
            self.path = folder / f"{owner}_{launched()[0]}.jsonl"
            self._known = _Lines(() if fresh else sorted(folder.glob(f"{owner}_*.jsonl")))

    def close(self) -> None:
        """Close its files."""
        self._known.close()

    def find(self, record: Record) -> Content | None:
        """What is known of a record whose files have not changed; None otherwise."""
        found = (self._content(record, entry) for entry in self._known.find(_key(record)))
        return next((content for content in found if content is not None), None)

    def _content(self, record: Record, entry: Any) -> Content | None:  # noqa: ANN401  (JSON)
        try:
            if bytes.fromhex(entry["stamp"]) != stamp_of(self._code, *_paths(record)):
                return None
            header, digest, thumbnail, brightest = entry["image"]
            headers = [part and Header(part[0], part[1], tuple(part[2]), *part[3:]) for part in (header, entry["mask"])]
            grey = np.frombuffer(bytes.fromhex(thumbnail), dtype=np.uint8).reshape(THUMBNAIL)
            pixels = None if entry["pixels"] is None else np.array(entry["pixels"], dtype=np.int64)
            height, width = entry["size"]
            if not 0 <= brightest <= 255 or not all(0 <= length < 2**31 for length in (height, width)):
                return None
            if pixels is not None and (pixels.shape != (self._classes + 1,) or pixels.sum() != height * width):
                return None
            image, mask = ImageFacts(headers[0], digest, grey, brightest), MaskFacts(headers[1]) if headers[1] else None
            return Content(record.id, tuple(entry["size"]), pixels, image=image, mask=mask)
        except (LookupError, TypeError, ValueError, OverflowError):
            return None

    def keep(self, records: Sequence[Record], contents: Sequence[Content]) -> None:
        """Remember contents that have no problem and whose files are not just being written."""
        new = list[str]()
        for record, content in zip(records, contents, strict=True):
            if self.path is None or content.problem or content.image is None:
                continue
            stamp = stamp_of(self._code, *_paths(record))
            files = [file for path in _paths(record) if (file := find_file(path)) is not None]
            if stamp is None or not settled(max(map(changed_at, files))):  # it may just be being written
                continue
            image = content.image
            entry = {
                "stamp": stamp.hex(),
                "size": content.size,
                "pixels": None if content.pixels is None else content.pixels.tolist(),
                "image": [astuple(image.header), image.digest, image.thumbnail.tobytes().hex(), image.brightest],
                "mask": content.mask and astuple(content.mask.header),
            }
            new.append(json.dumps([_key(record), entry]))
        if self.path is not None and new:
            with suppress(OSError):  # a full or read-only disk makes the next check slower, and nothing else
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open(f"{self._mode}b", buffering=0) as lines:  # at once, as others may be adding theirs
                    lines.write(("\n" + "\n".join(new) + "\n").encode("ascii"))  # a call that was killed may leave half
            self._mode = "a"


def _paths(record: Record) -> list[Path]:
    return [path for path in (record.image, record.mask) if path is not None]


def _key(record: Record) -> str:
    return "\n".join(os.path.abspath(path) for path in _paths(record))
