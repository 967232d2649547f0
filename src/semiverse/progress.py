"""How far long work is: a bar in a terminal; elsewhere, as in a log file, a line now and then."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Self, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")

DELAY = 2.0
"""Seconds before a bar is drawn: short work needs none."""

EVERY = 30.0
"""Seconds between two lines where no bar can be drawn."""


class Progress:
    """Shows how much of some work is done, while it is entered.

    Args:
        title: Of the work.
        total: How much there is to do; None: not known.
        unit: What is counted; "B": bytes.
        done: How much of it was done before.
        delay: Seconds before a bar is drawn.
    """

    def __init__(
        self, title: str, total: int | None = None, unit: str = "", done: int = 0, delay: float = DELAY
    ) -> None:
        self.title, self.total, self.unit, self.done, self.delay = title, total, unit, done, delay
        self._bar: Any = None
        self._at_first = done

    def __enter__(self) -> Self:
        self._started = self._shown = time.monotonic()
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm  # only where a bar is drawn

            unit: dict[str, Any] = {"unit": self.unit or "it", "unit_scale": self.unit == "B"}
            self._bar = tqdm(
                desc=self.title, total=self.total, leave=False, initial=self.done, delay=self.delay, **unit
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps that are done, and show a note on the latest."""
        self.done += steps
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(steps)
        elif (now := time.monotonic()) - self._shown >= EVERY:
            self._shown = now
            scale, unit = (1e6, "MB") if self.unit == "B" else (1, self.unit)
            of_all = "" if self.total is None else f" of {self.total / scale:.0f}"
            amount, left = f"{self.title}: {self.done / scale:.0f}{of_all} {unit}".rstrip(), ""
            if self.total is not None and self.done > self._at_first:  # if the rest goes as it went
                rest = max(0, self.total - self.done)
                seconds = (now - self._started) / (self.done - self._at_first) * rest
                left = f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
            log.info("%s", ", ".join(filter(None, [amount, left, note])))

    @property
    def drawn(self) -> bool:
        """Whether there is a bar, so that a note is seen at once."""
        return self._bar is not None

    def say(self, line: str) -> None:
        """Print a line on standard output without spoiling the bar."""
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.write(line)


def progress(
    items: Iterable[Item], title: str, total: int | None = None, unit: str = "", done: int = 0
) -> Iterator[Item]:
    """The items, one after the other, while their progress is shown.

    Args:
        items: What is worked on; asked for its length if there is no total.
        title: Of the work.
        total: How many items there are, with those that were done before.
        unit: What they are.
        done: How many were done before.
    """
    if total is None and isinstance(items, Sized):
        total = done + len(items)
    with Progress(title, total, unit, done) as shown:
        for item in items:
            yield item
            shown.advance()
