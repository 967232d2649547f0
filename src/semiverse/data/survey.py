"""Read every file of a split once, in parallel: which classes occur, and what is wrong."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from semiverse.data.dataset import SegmentationDataset
from semiverse.data.pairing import Record
from semiverse.labels import IGNORE


@dataclass(frozen=True)
class Content:
    """What one record holds.

    Args:
        id: Of the record.
        size: (height, width); None where the image cannot be read.
        pixels: Number of pixels of each class, and of ``IGNORE`` at the end; None without a readable mask.
        problem: What is wrong with it, or None.
    """

    id: str
    size: tuple[int, int] | None
    pixels: np.ndarray | None
    problem: str | None = None

    @property
    def classes(self) -> frozenset[int]:
        """Train ids that occur."""
        return frozenset() if self.pixels is None else frozenset(np.flatnonzero(self.pixels[:-1]).tolist())


def examine(dataset: SegmentationDataset, record: Record) -> Content:
    """Decode image and mask of one record completely; what goes wrong is reported in the result."""
    try:
        image, mask = dataset.read(record)
    except (OSError, ValueError) as error:
        return Content(record.id, None, None, str(error))
    size = (image.shape[1], image.shape[2])
    if record.mask is None:
        return Content(record.id, size, None)
    count = len(dataset.labels)
    pixels = np.bincount(mask.numpy().ravel(), minlength=IGNORE + 1)
    strange = count + np.flatnonzero(pixels[count:IGNORE])
    problem = None
    if len(strange):
        problem = (
            f"{record.mask}: {type(dataset).__name__} reads the train id {strange[0]} from it; expected 0 to "
            f"{count - 1} or {IGNORE}, its label space has {count} classes: correct read_mask"
        )
    return Content(record.id, size, np.append(pixels[:count], pixels[IGNORE]), problem)


def survey(dataset: SegmentationDataset, records: Sequence[Record], title: str, workers: int = 4) -> list[Content]:
    """Examine records in parallel threads, with a progress bar that appears when it takes over two seconds."""
    with ThreadPoolExecutor(workers) as pool:
        contents = pool.map(lambda record: examine(dataset, record), records)
        return list(tqdm(contents, total=len(records), desc=f"reading {title}", delay=2, leave=False))
