"""Give classes other names: rename, merge, ignore."""

from collections.abc import Mapping

import torch
from torch import Tensor

from semiverse.data.lookup import look_up
from semiverse.labels import LabelSpace, merge, transfer_table


class Relabeling:
    """A label space after renaming, merging and ignoring classes, and the way of masks into it.

    Args:
        raw: The label space before.
        mapping: New name by class, equal names merge; None ignores the class; classes that are not named stay.

    Raises:
        ValueError: If a class is unknown, or none is left.
    """

    def __init__(self, raw: LabelSpace, mapping: Mapping[str, str | None]) -> None:
        self.labels = merge(raw, mapping)
        self._table = transfer_table(raw, self.labels, mapping)
        self._raw = raw

    def of_class(self, name: str) -> int:
        """Train id (or ``IGNORE``) of a class of the label space before."""
        return int(self._table[self._raw.id_of(name)])

    def of_mask(self, mask: Tensor) -> Tensor:
        """Train ids of raw ids, both (H, W) uint8."""
        return torch.from_numpy(look_up(self._table, mask.numpy()))
