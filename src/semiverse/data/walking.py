"""What lies in a folder: every file of it, through links, and what cannot be seen.

Nothing vanishes here: what a folder holds is given back as a file or as a problem.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from semiverse.files import DataProblem, reading

LITTER = ("thumbs.db", "desktop.ini")
"""Files that systems leave behind, beside hidden ones."""


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


def walk(folder: Path) -> Walk:
    """Files in a folder and its sub-folders, hidden ones left out; links to folders are followed, but in no circle."""
    found = Walk()
    paths = sorted(_below(folder, frozenset(), found.problems))
    found.files = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths]
    return found


def _below(folder: Path, above: frozenset[tuple[int, int]], problems: list[DataProblem]) -> Iterator[Path]:
    """Files below a folder; ``above`` are device and number of the folders that lead to it."""
    try:
        with reading(folder, "a folder that can be opened", "check the disk that it is on"):
            state = folder.stat()
            entries = [] if (state.st_dev, state.st_ino) in above else list(os.scandir(folder))
    except DataProblem as problem:
        problems.append(problem)
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name.lower() in LITTER:
            continue
        try:
            if entry.is_dir():
                yield from _below(path, above | {(state.st_dev, state.st_ino)}, problems)
            elif entry.is_file() or entry.is_symlink():
                yield path
            else:
                problems.append(DataProblem(f"{path}: it is neither file nor folder", "images", "remove it"))
        except OSError:  # a link whose target may not be looked at, or that leads to itself: reading it says so
            yield path
