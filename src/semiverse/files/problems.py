"""What is wrong with the user's data or machine, in three parts: what was found, what was expected, what to do.

Whoever reads a file of the user's does so inside ``reading``: whatever a decoder raises then names the file.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataProblem(ValueError):
    """What is wrong with data, in the three parts of a message, so that nobody has to read them back from its text.

    Args:
        found: What was found, with the file.
        expected: What was expected; empty where ``found`` says everything, as the text of somebody else's error does.
        remedy: What to do; empty likewise.
        listing: The list file that is wrong; None where it is about something else.
    """

    def __init__(self, found: str, expected: str = "", remedy: str = "", listing: Path | None = None) -> None:
        parts = [bearable(part) for part in (found, expected, remedy)]
        super().__init__(*parts, listing)
        self.found, self.expected, self.remedy = parts
        self.listing = listing

    @property
    def finding(self) -> str:
        """What was found and expected, without what to do."""
        return f"{self.found}; expected {self.expected}" if self.expected else self.found

    def __str__(self) -> str:
        return f"{self.finding}: {self.remedy}" if self.remedy else self.finding


LONGEST = 600
"""Characters of a part of a message: a damaged file may hold a word of a million."""


def bearable(text: str) -> str:
    """A text in one line, its middle left out where it is very long."""
    line = " ".join(text.split("\n")) if "\n" in text else text
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 100]} ... {line[-90:]}"


LONG = 160
"""Characters of an error of other libraries, from which on its first sentence has to do."""


class MissingData(DataProblem, FileNotFoundError):
    """A file or folder that is not there, in the same three parts."""


def as_problem(error: Exception) -> DataProblem:
    """An error that reading raised, in parts; those of somebody else's code have only one."""
    return error if isinstance(error, DataProblem) else DataProblem(str(error))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: of this machine, or of its accelerator.

    Torch raises RuntimeError for both; only its text tells.
    """
    text = str(error).lower()
    told = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and any(one in text for one in told)
    )


@contextmanager
def reading(
    path: Path | str,
    expected: str = "a complete file",
    remedy: str = "copy, download or export it again",
    found: str = "cannot be read",
) -> Iterator[None]:
    """Turn whatever reading a file raises into a problem that names the file.

    A decoder may raise anything on a damaged file, not only ValueError and OSError. Problems pass as they are, and so
    do missing packages, which are the installation's. ``from`` keeps the first error for ``--debug``.

    Args:
        path: The file or folder; as a text, the name of something that is no file, such as bytes out of a request.
        expected: What it should be.
        remedy: What to do where the error does not say.
        found: What is the case, as the end of "FILE ...".

    Raises:
        DataProblem: Instead of anything else.
    """
    try:
        yield
    except (DataProblem, ImportError):
        raise
    except Exception as error:
        raise _named(path, error, expected, remedy, found) from error


def _named(path: Path | str, error: Exception, expected: str, remedy: str, found: str) -> DataProblem:
    """An error as a problem with this file."""
    if out_of_memory(error):
        wanted = "memory for it"
        return DataProblem(f"{path}: not enough memory to read it", wanted, "make it smaller, or cut it into pieces")
    if isinstance(error, PermissionError):
        closed = path if error.filename is None else _closed(Path(os.fsdecode(error.filename)))
        return DataProblem(f"{closed}: it may not be read ({error.strerror})", *_PERMITTED)
    if isinstance(error, OSError) and isinstance(path, Path) and not os.path.exists(path):
        return missing(path, expected, remedy)
    if isinstance(error, ValueError) and str(path) in str(error):  # a sentence of a dataset's own
        return DataProblem(str(error))
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error).strip()
    reason = reason.splitlines()[0] if reason else type(error).__name__
    if len(reason) > LONG:  # what follows is advice to programmers
        reason = reason.partition(". ")[0]
    if not isinstance(error, ValueError | OSError | SyntaxError | EOFError):  # its text alone says little
        reason = f"{type(error).__name__}: {reason}"
    return DataProblem(f"{path}: {found} ({reason})", expected, remedy)


def _closed(path: Path) -> Path:
    """What may not be entered on the way to a path, or else the path itself."""
    effective = os.access in os.supports_effective_ids
    above = (one for one in reversed(path.parents) if not os.access(one, os.X_OK, effective_ids=effective))
    return next(above, path)


_PERMITTED = (
    "a file that this user may read",
    "change its permissions (chmod u+r), or those of its folder (chmod u+rx)",
)


def missing(path: Path, expected: str, remedy: str = "correct the path") -> MissingData:
    """What to say of a file that is not there, or that a link only promises."""
    if path.is_symlink():
        target = os.readlink(path)
        fetch = "fetch it (as by dvc pull or git annex get), or remove the link"
        return MissingData(f"{path}: a link that leads to {target}, which is missing", expected, fetch)
    return MissingData(f"{path}: no such file", expected, remedy)


def check_number(option: str, value: float, least: float, most: float = math.inf, above: bool = False) -> None:
    """Make sure of a number before anything is computed, or memory taken, from it.

    Args:
        option: What it is called.
        value: The number.
        least: The smallest one that may be.
        most: The largest one that may be; infinity never may.
        above: Whether it has to be more than ``least``.

    Raises:
        ValueError: If it is not finite, or out of range.
    """
    if math.isfinite(value) and least <= value <= most and not (above and value == least):
        return
    low = f"more than {least:.10g}" if above else f"at least {least:.10g}"
    high = "" if most == math.inf else f" and at most {most:.10g}"
    raise ValueError(f"{option} is {value}; expected a number, {low}{high}: correct it")
