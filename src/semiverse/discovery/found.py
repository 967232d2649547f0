"""What was found in a folder, how sure that is, and which files it has."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from semiverse.configuration import Plain
from semiverse.data.images import IMAGE_EXTENSIONS
from semiverse.data.layout import SPLIT
from semiverse.data.pairing import select

Sure = Literal["sure", "likely", "unsure"]
"""Said by the files; usual; or one of several possibilities."""
PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What folders and lists of each split are called."""
WORDS = "|".join(sorted((word for words in PARTS.values() for word in words), key=len, reverse=True))
_SPLIT_PART = re.compile(
    rf"^({WORDS})(?=$|[_\-.\d]|image|img|mask|label|ann|gt)|(?:(?<=[_\-.])|(?<=^instances_))({WORDS})(?=$|[_\-.\d])",
    re.IGNORECASE,
)


class Guess(NamedTuple):
    """A line about what was found, and how sure it is."""

    sure: Sure
    text: str

    def __str__(self) -> str:
        return f"{self.sure}: {self.text}"


@dataclass
class Found:
    """A folder as a dataset.

    Args:
        kind: The dataset's class.
        arguments: Its arguments, without the root.
        domain: Further options of the domain.
        guesses: What was guessed, in lines.
        images: Image files, for their sizes.
        labeled: How many of them are annotated, roughly.
        unlabeled: Whether there are images without masks.
    """

    kind: str
    arguments: dict[str, Plain]
    domain: dict[str, Plain] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    labeled: int = 0
    unlabeled: bool = False


class Files:
    """Files below a folder, by their paths in it; hidden ones do not count.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        inside = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
        self.all = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
        self.images = [path for path in self.all if path.suffix.lower() in IMAGE_EXTENSIONS]

    def ending(self, *suffixes: str) -> list[Path]:
        """Files with one of these endings."""
        return [path for path in self.all if path.suffix.lower() in suffixes]

    def absolute(self, paths: Iterable[Path]) -> list[Path]:
        """Where files are."""
        return [self.root / path for path in paths]

    def lists(self, names: Mapping[str, Path]) -> dict[str, Path]:
        """List files of splits: text files called after one, whose lines all name some of these images."""
        found: dict[str, Path] = {}
        for path in self.ending(".txt"):
            word = split_word(path.stem)
            if word is not None and part_of(word) not in found:
                try:
                    select(self.root / path, names, "images", {name: self.root / file for name, file in names.items()})
                except (OSError, ValueError):
                    continue
                found[str(part_of(word))] = path
        return found


def split_word(name: str) -> str | None:
    """The word for a split in the name of a folder or a file, as it stands there."""
    match = _SPLIT_PART.search(name)
    return match and (match[1] or match[2])


def part_of(word: str) -> str | None:
    """``train``, ``val`` or ``test``, whatever the word for it."""
    return next((part for part, words in PARTS.items() if word.lower() in words), None)


def template_of(folder: Path) -> tuple[str | None, str]:
    """The split that a path names, as it stands there, and the path with ``{split}`` in its place."""
    for i, part in enumerate(folder.parts):
        match = _SPLIT_PART.search(part)
        if match is not None:
            group = 1 if match[1] else 2
            changed = part[: match.start(group)] + SPLIT + part[match.end(group) :]
            return match[group], Path(*folder.parts[:i], changed, *folder.parts[i + 1 :]).as_posix()
    return None, folder.as_posix()


def chosen_splits(names: Iterable[str]) -> tuple[dict[str, Plain], list[Guess]]:
    """Options of a domain that name its splits, as far as they are not called ``train`` and ``val``.

    Args:
        names: Splits that there are; without one for training the options are empty.
    """
    by_part: dict[str, str] = {}
    for name in names:
        word = split_word(name)
        by_part.setdefault(str(part_of(word)) if word else "", name)
    if "train" not in by_part:
        return {}, []
    if "val" in by_part:
        said = Guess("sure", f"training on {by_part['train']}, validation on {by_part['val']}")
        return {"train": by_part["train"], "val": by_part["val"]}, [said]
    if "test" in by_part:
        said = Guess("unsure", f"validation on {by_part['test']}, as there is no split for it: its scores are no test")
        return {"train": by_part["train"], "val": by_part["test"]}, [said]
    return {"train": by_part["train"], "val": None}, [Guess("unsure", "no split for validation: val is null")]


HELD_OUT = Guess("likely", "nothing divides the images, so a fifth of those with masks is held out for validation")
