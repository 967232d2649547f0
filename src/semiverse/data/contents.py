"""What the files of records hold: one as an object, those of very many in columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from semiverse.data.headers import Header
from semiverse.data.images import THUMBNAIL, ImageFacts, MaskFacts
from semiverse.data.pairing import Record
from semiverse.files import DataProblem

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
    problem: DataProblem | None = None
    at: At | None = None
    image: ImageFacts | None = None
    mask: MaskFacts | None = None

    @property
    def classes(self) -> frozenset[int]:
        """Train ids that occur."""
        return frozenset() if self.pixels is None else frozenset(np.flatnonzero(self.pixels[:-1]).tolist())


class Contents(Sequence[Content]):
    """What some records hold, in their order: a content is made when it is asked for.

    An image in order takes some 350 bytes and 8 for each class, instead of several thousand. What has a problem is kept
    as it is: then there is much to say of it.

    Args:
        records: What was examined.
        found: What each holds.
        classes: Number of classes.

    Attributes:
        readable: Whether the image can be read, (N,) bool.
        counted: Whether the mask can be read, (N,) bool.
        pixels: Pixels of each class, and of ``IGNORE`` at the end, (N, C + 1) int64; 0 where there is no such mask.
        digests: Of the pixels of each readable image, (N,) bytes.
        thumbnails: Of each readable image, (N, 16, 18) uint8.
    """

    def __init__(self, records: Sequence[Record], found: Iterable[Content], classes: int) -> None:
        count = len(records)
        self.records = records
        self.readable, self.counted = np.zeros(count, bool), np.zeros(count, bool)
        self.pixels = np.zeros((count, classes + 1), np.int64)
        self.digests = np.zeros(count, "S32")
        self.thumbnails = np.zeros((count, *THUMBNAIL), np.uint8)
        self._sizes, self._brightest = np.zeros((count, 2), np.int32), np.zeros(count, np.uint8)
        self._headers = np.full((count, 2), -1, np.int32)  # of image and mask, by their numbers
        self._known: dict[Header, int] = {}
        self._whole: dict[int, Content] = {}
        for number, content in enumerate(found):
            self._add(number, content)
        self._distinct = list(self._known)

    def _add(self, number: int, content: Content) -> None:
        image, mask = content.image, content.mask
        if content.pixels is not None:
            self.counted[number], self.pixels[number] = True, content.pixels
        if image is not None:
            self.readable[number], self.digests[number] = True, image.digest.encode()
            self.thumbnails[number] = image.thumbnail
        if content.problem is not None or image is None or content.size is None or (mask and mask.pixels):
            self._whole[number] = content
            return
        self._sizes[number], self._brightest[number] = content.size, image.brightest
        for side, facts in enumerate((image, mask)):
            if facts is not None:
                self._headers[number, side] = self._known.setdefault(facts.header, len(self._known))

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Content: ...
    @overload
    def __getitem__(self, index: slice) -> list[Content]: ...
    def __getitem__(self, index: int | slice) -> Content | list[Content]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        if number in self._whole:
            return self._whole[number]
        of_image, of_mask = self._headers[number].tolist()
        height, width = self._sizes[number].tolist()
        image = ImageFacts(
            self._distinct[of_image],
            self.digests[number].decode(),
            self.thumbnails[number],
            int(self._brightest[number]),
        )
        mask = None if of_mask < 0 else MaskFacts(self._distinct[of_mask])
        pixels = self.pixels[number] if self.counted[number] else None
        return Content(self.records[number].id, (height, width), pixels, image=image, mask=mask)

    def __iter__(self) -> Iterator[Content]:
        return (self[number] for number in range(len(self)))

    @property
    def problems(self) -> dict[int, DataProblem]:
        """What is wrong, by number."""
        return {number: one.problem for number, one in self._whole.items() if one.problem is not None}
