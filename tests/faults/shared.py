"""A cache that four processes fill at the same time, one of which may be killed: the others end as they do alone."""

import os
from pathlib import Path
from random import Random

from tests.faults.kills import Trials, Whole, differences
from tests.faults.processes import LEFT, Ended, Fault, contents, fresh, start, wait
from tests.faults.targets import Target

PROCESSES = 4


def killed_or_not(_: str, whole: Whole, rng: Random) -> Fault:
    """One process that is killed, or none."""
    return Fault("kill", rng.randint(1, max(1, whole.ended.events))) if rng.random() < 0.7 else Fault("none", 0)


def trial(target: Target, folder: Path, whole: Whole, fault: Fault) -> list[str]:
    """What is wrong after four calls at once on an empty cache, and after one more on what they left there."""
    work = folder / "work"
    fresh(folder / "prepared", work)
    ended = together(target, work, [fault if fault.kind == "kill" else None, *[None] * (PROCESSES - 1)])
    cache = [path for path in (work / "cache").rglob("*") if path.is_file()]
    parts = [path.name for path in cache if path.name.endswith(LEFT)]
    killed = ended[0].code == -9
    most = (os.cpu_count() or 1) * killed  # each of its threads may have been writing one: swept after a day
    found = [f"left in the cache: {parts}"] * (len(parts) > most or any(not one.endswith(".part") for one in parts))
    found += [f"{number}: {one}" for number in range(killed, PROCESSES)
              for one in wrong(target, work, number, ended[number], whole)]  # fmt: skip
    again = together(target, work, [None], first=PROCESSES)
    return found + [f"afterwards: {one}" for one in wrong(target, work, PROCESSES, again[0], whole)]


def together(target: Target, work: Path, faults: list[Fault | None], first: int = 0) -> list[Ended]:
    """Calls at the same time, each with results of its own."""
    words = [[word.replace(f"{work}/out", f"{work}/out{first + i}") for word in target.words(work)]
             for i in range(len(faults))]  # fmt: skip
    started = [start(one, work, fault, target.before) for one, fault in zip(words, faults, strict=True)]
    return [wait(one) for one in started]


def wrong(target: Target, work: Path, number: int, ended: Ended, whole: Whole) -> list[str]:
    """What is wrong with one of the calls."""
    if ended.code != target.code or "Traceback" in ended.told or "warning" in ended.told:
        return [f"ends with {ended.code}: {ended.told.strip()[-300:]}"]
    own, out = f"{work}/out{number}".encode(), f"{work}/out".encode()
    now = {f"out/{name}": value.replace(own, out) if isinstance(value, bytes) else value
           for name, value in contents(work / f"out{number}").items()}  # fmt: skip
    return differences({name: value for name, value in whole.contents.items() if name.startswith("out/")}, now)


SHARES = Trials(killed_or_not, trial)
