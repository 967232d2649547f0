"""Clocks that jump, and files of 1970 or of next year: nothing that a command gives depends on what time it is."""

import os
import time
from pathlib import Path
from random import Random

from tests.faults.kills import Trials, Whole, differences
from tests.faults.processes import CLOCKS, Fault, contents, fresh, left, run
from tests.faults.targets import Target

TIMES = {"of 1970": 0.0, "of next year": time.time() + 365 * 86400.0}


def jump(_: str, whole: Whole, rng: Random) -> Fault:
    """A clock that jumps while a command runs, or a command that is killed and whose files then get another time."""
    return Fault(rng.choice((*CLOCKS, *TIMES)), rng.randint(1, max(1, whole.ended.events)))


def trial(target: Target, folder: Path, whole: Whole, fault: Fault) -> list[str]:
    """What is wrong after a call during which the clock jumps, or before and after which files get other times."""
    work = folder / "work"
    fresh(folder / "prepared", work)
    if fault.kind in TIMES:
        age(work, TIMES[fault.kind])
        killed = run(target.words(work), work, Fault("kill", fault.at), target.before)
        if killed.code == target.code and target.once:
            return []
        age(work, TIMES[fault.kind])
        fault = Fault("back", 1)
    ended = run(target.words(work), work, fault, target.before)
    if ended.code != target.code or "Traceback" in ended.told:
        return [f"ends with {ended.code}: {ended.told.strip()[-300:]}"]
    return [f"left: {one}" for one in left(work)] + differences(whole.contents, contents(work))


def age(folder: Path, when: float) -> None:
    """Give everything below a folder this time."""
    for path in folder.rglob("*"):
        os.utime(path, (when, when), follow_symlinks=False)


JUMPS = Trials(jump, trial)
