"""What the doctor looks at, and what it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from semiverse.data.content import Content
from semiverse.data.doctor.listing import FolderFiles
from semiverse.data.pairing import Record
from semiverse.labels import Color, LabelSpace

Severity = Literal["problem", "remark"]
"""A problem stops training; a remark is to be known."""
Decode = Callable[[Image.Image], tuple[np.ndarray, int]]
"""An image file of a mask → its train ids (H, W) uint8, and how many of its pixels had to be guessed."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or remarkable.

    Args:
        kind: What it is, in one word or a few with hyphens.
        severity: Whether it stops training.
        where: The split, or splits.
        message: What was found and what was expected, with a file and a pixel where there is one.
        remedy: What to do.
        files: All files concerned.
        decode: How to read those masks rightly; None where a repair needs no reading, or there is none.
        unfixable: Why the doctor does not repair it; empty where it does, or where nothing has to be.
    """

    kind: str
    severity: Severity
    where: str
    message: str
    remedy: str
    files: tuple[Path, ...] = ()
    decode: Decode | None = None
    unfixable: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}; {self.remedy}"


@dataclass
class Part:
    """One split of a domain, read: its records, and what each holds."""

    records: Sequence[Record]
    contents: Sequence[Content]


@dataclass(frozen=True)
class Coding:
    """How masks are declared to be coded, where their owner could have declared it otherwise.

    Args:
        kind: "index", "palette", "rgb" or "binary".
        classes: Class names in the order of ids or palette, before any merging.
        ids: Position in ``classes``, or ``IGNORE``, of every raw value.
        colors: Position in ``classes``, or ``IGNORE``, of every colour; empty where no colours were declared.
        table: Train id of every position, (256,) uint8; ``IGNORE`` stays ``IGNORE``.
    """

    kind: str
    classes: tuple[str, ...]
    ids: Mapping[int, int]
    colors: Mapping[Color, int]
    table: np.ndarray


@dataclass
class Facts:
    """A domain, read.

    Args:
        labels: Its label space.
        parts: What was read, by split.
        train: Name of the training split.
        val: Name of the validation split.
        coding: What its masks are declared to hold; None where the dataset's class alone knows.
        folders: Folders of images and masks, listed; none where the dataset's class alone knows the layout.
        errors: Why a split could not be listed, by split.
    """

    labels: LabelSpace
    parts: Mapping[str, Part]
    train: str
    val: str
    coding: Coding | None = None
    folders: Sequence[FolderFiles] = ()
    errors: Mapping[str, str] = field(default_factory=dict)


def masked(facts: Facts) -> dict[str, list[tuple[Record, Content]]]:
    """Records with masks, and what they hold, by split."""
    return {
        split: [pair for pair in zip(part.records, part.contents, strict=True) if pair[0].mask is not None]
        for split, part in facts.parts.items()
    }


def listed(items: Sequence[object], most: int = 5) -> str:
    """The first of some items, and how many more there are."""
    shown = ", ".join(map(str, items[:most]))
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
