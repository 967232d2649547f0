"""What lies in a folder: every file of it, through links, and what cannot be seen.

Nothing vanishes here: what a folder holds is given back as a file or as a problem.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from semiverse.files import DataProblem, reading

LITTER = ("thumbs.db", "desktop.ini")
"""Files that systems leave behind, beside hidden ones."""
Place = tuple[int, int]
"""Device and number of a folder: what tells it from others, whichever links lead to it."""


@dataclass
class Walk:
    """What lies below a folder.

    Args:
        files: Every file, with its path in the folder without extension, sorted; links that lead nowhere are among
            them, so that whoever reads them says so.
        problems: What cannot be looked into, and what is neither file nor folder.
    """

    files: list[tuple[str, Path]] = field(default_factory=list)
    problems: list[DataProblem] = field(default_factory=list)


class Inside(NamedTuple):
    """What lies directly in a folder, each by its name and in no order.

    Args:
        folders: Folders, and links to some.
        files: Files, and links whatever they lead to.
        lasting: Whether it stays so until the folder itself changes: nothing was in the way, and no link leads nowhere.
    """

    folders: list[str]
    files: list[str]
    lasting: bool


def walk(folder: Path) -> Walk:
    """Files in a folder and its sub-folders, hidden ones left out; links to folders are followed, but in no circle."""
    found = Walk()
    paths = sorted(_below(folder, frozenset(), found.problems))
    found.files = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths]
    return found


def _below(folder: Path, above: frozenset[Place], problems: list[DataProblem]) -> Iterator[Path]:
    """Files below a folder; ``above`` are the folders that lead to it."""
    state = state_of(folder, problems)
    if state is None or place_of(state) in above:
        return
    inside = look_into(folder, problems)
    yield from (folder / name for name in inside.files)
    for name in inside.folders:
        yield from _below(folder / name, above | {place_of(state)}, problems)


def place_of(state: os.stat_result) -> Place:
    """What tells a folder from others."""
    return state.st_dev, state.st_ino


def state_of(folder: Path, problems: list[DataProblem]) -> os.stat_result | None:
    """State of a folder; None, and a problem, where it cannot be had."""
    try:
        with _opening(folder):
            return folder.stat()
    except DataProblem as problem:
        problems.append(problem)
        return None


def look_into(folder: Path, problems: list[DataProblem]) -> Inside:
    """What lies directly in a folder, hidden ones and litter left out; what is in the way goes to the problems."""
    inside, lasting = Inside([], [], True), True
    try:
        with _opening(folder):
            entries = list(os.scandir(folder))
    except DataProblem as problem:
        problems.append(problem)
        return inside._replace(lasting=False)
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in LITTER:
            continue
        try:
            if entry.is_dir():
                inside.folders.append(entry.name)
            elif entry.is_file() or entry.is_symlink():
                inside.files.append(entry.name)
                lasting = lasting and entry.is_file()
            else:
                path = folder / entry.name
                problems.append(DataProblem(f"{path}: it is neither file nor folder", "images", "remove it"))
                lasting = False
        except OSError:  # a link whose target may not be looked at, or that leads to itself: reading it says so
            inside.files.append(entry.name)
            lasting = False
    return inside._replace(lasting=lasting)


def _opening(folder: Path) -> AbstractContextManager[None]:
    return reading(folder, "a folder that can be opened", "check the disk that it is on")
