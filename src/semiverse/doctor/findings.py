"""What the doctor looks at, and what it says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from semiverse.data import Content, Contents, Record, SegmentationDataset
from semiverse.data.images import IMAGE_EXTENSIONS, OTHER_PICTURES
from semiverse.data.pairing import composed
from semiverse.data.walking import walk
from semiverse.files import DataProblem
from semiverse.labels import Color, LabelSpace


@dataclass(frozen=True)
class FolderFiles:
    """Files of one pair of folders.

    Args:
        split: Name of the split that the folders are.
        images: The folder of images.
        masks: The folder of masks; None where there are none.
        image_names: Image files by name: the path in the folder without ending. One name may have several.
        mask_names: Mask files likewise.
        others: Files that are no pictures by their ending.
        pictures: Pictures of kinds that are not read, by their ending.
        problems: What cannot be looked into.
        unmasked: Whether images without a mask are meant to be there.
    """

    split: str
    images: Path
    masks: Path | None
    image_names: dict[str, list[Path]]
    mask_names: dict[str, list[Path]]
    others: list[Path]
    pictures: list[Path] = field(default_factory=list)
    problems: list[DataProblem] = field(default_factory=list)
    unmasked: bool = False


def list_folder(
    split: str, images: Path, masks: Path | None, image_suffix: str = "", mask_suffix: str = "", unmasked: bool = False
) -> FolderFiles:
    """List two folders, or one with both; names are without the suffixes that file names carry in each."""
    found = FolderFiles(split, images, masks, {}, {}, [], unmasked=unmasked)
    sides = ((images, image_suffix, found.image_names), (masks, mask_suffix, found.mask_names))
    for folder, suffix, names in sides:
        if folder is None or not folder.is_dir():
            continue
        first, below = names is found.image_names, walk(folder)
        told = not first and images == masks  # what is no image was noted before
        found.problems.extend([] if told else below.problems)
        for title, path in below.files:
            name, ending = composed(title), path.suffix.lower()
            if ending in IMAGE_EXTENSIONS:
                beside = first and images == masks and name.endswith(mask_suffix)
                if name.endswith(suffix) and not beside:
                    names.setdefault(name.removesuffix(suffix), []).append(path)
            elif not told:
                (found.pictures if ending in OTHER_PICTURES else found.others).append(path)
    return found


Decode = Callable[[Image.Image], tuple[np.ndarray, int]]
"""An image file of a mask → its train ids (H, W) uint8, and how many of its pixels had to be guessed."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or remarkable.

    Args:
        kind: What it is, in one word or a few with hyphens.
        severity: A problem stops training; a remark is to be known.
        where: The split, or splits.
        message: What was found and what was expected, with a file and a pixel where there is one.
        remedy: What to do.
        files: All files concerned.
        decode: How to read those masks rightly; None where a repair needs no reading, or there is none.
        unfixable: Why the doctor does not repair it; empty where it does, or where nothing has to be.
    """

    kind: str
    severity: Literal["problem", "remark"]
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
    """One split of a domain, read: its records, and what each holds; of very many, perhaps only some of them.

    Args:
        records: Those that were read.
        contents: What each holds.
        whole: How many there are; 0: no others.
    """

    records: Sequence[Record]
    contents: Contents
    whole: int = 0

    def __post_init__(self) -> None:
        self.whole = self.whole or len(self.records)

    @property
    def partly(self) -> bool:
        """Whether there are more than were read."""
        return len(self.records) < self.whole


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
        val: Name of the validation split; None: there is none.
        coding: What its masks are declared to hold; None where the dataset's class alone knows.
        folders: Folders of images and masks, listed; none where the dataset's class alone knows the layout.
        errors: Why a split could not be listed, by split.
        unused: Files that lie in folders of the dataset and that no split uses.
        skipped: Annotations, or parts of them, that cover nothing and are left out.
    """

    labels: LabelSpace
    parts: Mapping[str, Part]
    train: str
    val: str | None
    coding: Coding | None = None
    folders: Sequence[FolderFiles] = ()
    errors: Mapping[str, DataProblem] = field(default_factory=dict)
    unused: Sequence[FolderFiles] = ()
    skipped: int = 0


@dataclass
class Findings:
    """What a check found in a domain.

    Args:
        dataset: The dataset.
        parts: Its splits, by name.
        found: What is wrong with them, or remarkable.
    """

    dataset: SegmentationDataset
    parts: dict[str, Part] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What has to be put right before training."""
        return [str(finding) for finding in self.found if finding.severity == "problem"]

    @property
    def remarks(self) -> list[str]:
        """What to know, although training can go on."""
        return [str(finding) for finding in self.found if finding.severity == "remark"]


def told(problem: DataProblem) -> tuple[str, str]:
    """A problem as what a finding says: what was found and expected, and what to do."""
    return problem.finding, problem.remedy or "correct or remove the file"


def masked(facts: Facts) -> Iterator[tuple[str, Record, Content]]:
    """Records with masks, and what they hold, with their split; one after the other, as there may be very many."""
    for split, part in facts.parts.items():
        for record, content in zip(part.records, part.contents, strict=True):
            if record.mask is not None:
                yield split, record, content


def listed(items: Sequence[object], most: int = 5) -> str:
    """The first of some items, and how many more there are."""
    shown = ", ".join(map(str, items[:most]))
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def counted(number: int, noun: str) -> str:
    """A number of things in words: ``no problems``, ``1 problem``."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
