"""Records as samples for a network: read, and transformed image and mask together."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from semiverse.data.pairing import Record


class Sample(NamedTuple):
    """What a network sees. Batched, every field gains N in front.

    An image without labels has a mask that is ``IGNORE`` everywhere. Values stay bytes until they are used on the
    device, a fifth of the memory traffic of floats.
    """

    image: Tensor  # (3, H, W) uint8
    mask: Tensor  # (H, W) uint8, train ids or IGNORE
    id: str


Transform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


@runtime_checkable
class ViewTransform(Protocol):
    """A transform that can make several views of one image."""

    def views(self, image: Tensor, mask: Tensor, generator: torch.Generator, count: int) -> tuple[list[Tensor], Tensor]:
        """So many images (3, H, W), and the one mask (H, W) that fits all of them."""


class Reader(Protocol):
    """Gives the pixels of records: a dataset, or what it is read through."""

    def read(self, record: Record) -> tuple[Tensor, Tensor]:
        """Image (3, H, W) and mask (H, W) of a record, both uint8; ``IGNORE`` everywhere if it has no mask."""


class Split(Dataset[Sample]):
    """Some records of a dataset as samples, transformed.

    Args:
        reader: The records' dataset, or what it is read through.
        records: Which of them; without mask for images whose labels must not be seen.
        transform: Changes image and mask together; it gets a generator of random numbers.
    """

    def __init__(self, reader: Reader, records: Sequence[Record], transform: Transform) -> None:
        self.reader, self.records, self.transform = reader, records, transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return self.draw(index, torch.Generator())[0]

    def draw(self, index: int, generator: torch.Generator, views: int = 1) -> list[Sample]:
        """Sample ``index``, its transform fed from this generator, so that it can be drawn again bit for bit.

        Several views need a transform that makes them (``CropTransform``).
        """
        record = self.records[index]
        image, mask = self.reader.read(record)
        if views > 1 and isinstance(self.transform, ViewTransform):
            images, mask = self.transform.views(image, mask, generator, views)
            return [Sample(one, mask, record.id) for one in images]
        image, mask = self.transform(image, mask, generator)
        return [Sample(image, mask, record.id)] * views
