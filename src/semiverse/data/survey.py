"""Read every file of a split once, in parallel: which classes occur, what the files are, and what is wrong."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from tqdm import tqdm

from semiverse.data.content import At, Content
from semiverse.data.dataset import SegmentationDataset
from semiverse.data.facts import MaskFacts, examine_raw, note_image, read_header
from semiverse.data.pairing import Record
from semiverse.data.survey_cache import SurveyCache
from semiverse.labels import IGNORE


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
        new = list(tqdm(found, total=len(missing), desc=f"reading {title}", delay=2, leave=False))
    for record, content in zip(missing, new, strict=True):
        cache.add(record, content)
    cache.save()
    rest = iter(new)
    return [next(rest) if content is None else content for content in known]
