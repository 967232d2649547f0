"""The end of the time that a call was given."""

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Deadline:
    """A point in time after which nothing new begins.

    Args:
        minutes: From now; None: never.
    """

    def __init__(self, minutes: float | None) -> None:
        self.end = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def left(self) -> float | None:
        """Seconds, at least 0; None: no end."""
        return None if self.end is None else max(0.0, self.end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.left == 0.0

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Stop what runs inside when the time is over, just as Ctrl-C would.

        Raises:
            KeyboardInterrupt: In what runs inside.
        """
        if self.left is None:
            yield
            return
        timer = threading.Timer(self.left, _thread.interrupt_main)
        timer.daemon = True
        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background of a shell lacks
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            signal.signal(signal.SIGINT, before)
