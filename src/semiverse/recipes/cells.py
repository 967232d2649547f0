"""Cells of a table: the runs that a recipe asks for."""

import _thread
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from semiverse.recipes.recipe import Recipe


@dataclass(frozen=True)
class Cell:
    """One run.

    Args:
        column: Its column group.
        row: Its row.
        seed: Of the training and of what is labelled.
        config: What is run; ``{row}`` in it stands for the run folder of another row.
        first: The row at the start of all those that it stands behind; itself if there are none.
        after: The row that has to be run before.
    """

    column: str
    row: str
    seed: int
    config: dict[str, Any]
    first: str
    after: str | None = None

    @property
    def place(self) -> Path:
        """Where it stands below the folder of the runs, or of the results."""
        return Path(self.column, self.row, f"seed{self.seed}")

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return str(self.place)


def cells(
    recipe: Recipe,
    size: str,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[Cell]:
    """The runs of a recipe, seed by seed, so that a stopped table has every row; what must come first comes first.

    Rows that those asked for start from are added.

    Raises:
        ValueError: If there is no such row or column, or rows wait for each other.
    """
    chains = [_chain(recipe, row) for row in _chosen(rows, recipe.rows, "row")]
    asked_rows = {row: first for first, *others in chains for row in (first, *others)}
    asked_columns = _chosen(columns, recipe.columns, "column")
    return [
        Cell(column, row, seed, recipe.configuration(column, row, size), asked_rows[row], recipe.rows[row].after)
        for seed in (recipe.seeds if seeds is None else seeds)
        for column in asked_columns
        for row in asked_rows
    ]


def _chain(recipe: Recipe, row: str) -> list[str]:
    """A row behind those that it starts from."""
    found = [row]
    while (earlier := recipe.rows[found[0]].after) is not None:
        if earlier in found:
            raise ValueError(
                f"recipe {recipe.name}: the rows {', '.join(found)} wait for each other; expected one that starts from "
                "nothing: correct 'after'"
            )
        found.insert(0, earlier)
    return found


def shard_of(every: Sequence[Cell], words: str) -> list[Cell]:
    """The share ``I/N`` of the cells (I from 1 to N); cells that start from each other stay together.

    Raises:
        ValueError: If the words are not of this form.
    """
    first, _, count = words.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise ValueError(f"--shard is {words!r}; expected I/N with I from 1 to N, such as 1/3: correct it")
    groups = list(dict.fromkeys((cell.column, cell.seed, cell.first) for cell in every))
    mine = groups[int(first) - 1 :: int(count)]
    return [cell for cell in every if (cell.column, cell.seed, cell.first) in mine]


def _chosen(asked: Sequence[str] | None, known: Iterable[str], what: str) -> list[str]:
    """Those asked for, in the recipe's order."""
    known = list(known)
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise ValueError(
            f"the recipe has no {what} {unknown[0]!r}; expected some of {', '.join(map(repr, known))}: correct "
            f"--{what}s"
        )
    return [name for name in known if asked is None or name in asked]


def filled(values: Any, runs: dict[str, Path]) -> Any:  # noqa: ANN401
    """Configuration with the run folders of other rows in place of their names in braces."""
    if isinstance(values, dict):
        return {key: filled(value, runs) for key, value in values.items()}
    if isinstance(values, list):
        return [filled(value, runs) for value in values]
    if isinstance(values, str):
        for row, folder in runs.items():
            values = values.replace(f"{{{row}}}", str(folder))
    return values


class Deadline:
    """A point in time after which nothing new begins.

    Args:
        minutes: From now; None: never.
    """

    def __init__(self, minutes: float | None) -> None:
        self.end = inf if minutes is None else time.monotonic() + 60 * minutes

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.end

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Stop what runs inside when the time is over, just as Ctrl-C would.

        Raises:
            KeyboardInterrupt: In what runs inside.
        """
        if self.end == inf:
            yield
            return
        timer = threading.Timer(max(0.0, self.end - time.monotonic()), _thread.interrupt_main)
        timer.daemon = True
        before = signal.getsignal(signal.SIGINT)
        if before == signal.SIG_IGN:  # as for a job in the background of a shell
            signal.signal(signal.SIGINT, signal.default_int_handler)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            signal.signal(signal.SIGINT, before)
