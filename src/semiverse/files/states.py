"""Whether a file is the one it was: clocks may jump, and times of files may be those of 1970 or of next year."""

import os
import time

SETTLED = 2.0
"""Seconds after which the times of a file tell later changes: clocks of file systems tick coarsely."""


def changed_at(state: os.stat_result) -> int:
    """When a file or folder last changed, in nanoseconds; copying programs set one of its times, but not the other."""
    return max(state.st_mtime_ns, state.st_ctime_ns)


def settled(changed: int) -> bool:
    """Whether a change, in nanoseconds as ``changed_at`` says, is so long ago that a later one has another time.

    What lies in the future never is.
    """
    return time.time() - changed / 1e9 > SETTLED


def file_stamp(state: os.stat_result) -> str:
    """What differs once a file is written to or replaced: size and both times, as anybody can set the first of them."""
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
