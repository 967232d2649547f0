"""What a command says besides its results: messages and warnings."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def messages(debug: bool) -> Iterator[None]:
    """Our own messages and warnings without ornament; those of others only where errors are looked for."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ours = logging.getLogger("semiverse")
    level = ours.level
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    with warnings.catch_warnings():
        if not debug:
            warnings.filterwarnings("always", module="semiverse")
            warnings.filterwarnings("ignore", module="(?!semiverse)")
            warnings.filterwarnings("ignore", category=FutureWarning)  # of other libraries, about how we call them
            warnings.showwarning = _show_warning
        try:
            yield
        finally:
            ours.setLevel(level)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
