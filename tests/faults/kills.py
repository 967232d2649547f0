"""Kills commands at moments that a seed chooses, lets disks fail, and calls again: it ends as if nothing had been."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.faults.fuzz import read_state
from tests.faults.processes import Ended, Fault, contents, damaged, fresh, left, run
from tests.faults.targets import Target

ERRORS = ("ENOSPC", "EROFS", "EDQUOT", "EIO")


class Trials(NamedTuple):
    """A kind of fault.

    Args:
        moment: A fault, of this kind, for a call of which this is known.
        trial: What is wrong after it, given the target, its folder, what is known of it, and the fault.
        where: Below which folder of the target files change, if they do.
    """

    moment: Callable[[str, "Whole", Random], Fault]
    trial: Callable[[Target, Path, "Whole", Fault], list[str]]
    where: Callable[[Target], str] = lambda _: ""


class Whole(NamedTuple):
    """A call that nothing happened to: how it ended, and what it left."""

    ended: Ended
    contents: dict[str, Any]


def undisturbed(target: Target, folder: Path, where: str = "") -> Whole:
    """Prepare a target, and run it once; events are openings of files below ``where``, if that is given."""
    prepared, work = folder / "prepared", folder / "work"
    shutil.rmtree(folder, ignore_errors=True)
    prepared.mkdir(parents=True)
    target.prepare(prepared)
    fresh(prepared, work)
    ended = run(target.words(work), work, Fault("", 0, where) if where else None, target.before)
    assert ended.code == target.code, f"{target.name}: {ended.code}, {ended.told[-600:]}"
    assert "Traceback" not in ended.told, ended.told[-600:]
    return Whole(ended, contents(work))


def killed_or_without_disk(kind: str, whole: Whole, rng: Random) -> Fault:
    """A moment of this kind."""
    if kind == "kill":
        if rng.random() < 0.3:
            return Fault("stop", rng.uniform(0, 1.05) * whole.ended.seconds)
        return Fault("kill", rng.randint(1, max(1, whole.ended.events)))
    if rng.random() < 0.25:
        return Fault("size", rng.choice((0, 1, 100, 1000, 10_000, rng.randrange(300_000))))
    return Fault(rng.choice(ERRORS), rng.randint(1, max(1, whole.ended.events)))


def trial(target: Target, folder: Path, whole: Whole, fault: Fault) -> list[str]:
    """What is wrong after a fault and a second call."""
    work, found = folder / "work", list[str]()
    fresh(folder / "prepared", work)
    before = {
        path: path.read_bytes()
        for path in work.rglob("*")
        if path.is_file() and not path.name.startswith(".written_by_")
    }
    first = run(target.words(work), work, fault, target.before)
    if fault.kind in ("kill", "stop"):
        if first.code >= 0 and first.code != target.code:
            found.append(f"ended with {first.code} before it was killed: {first.told[-300:]}")
    else:
        found += told_wrong(target, first, work)
    found += [f"not whole after it: {one}" for one in damaged(work)]
    found += [f"changed what stood there: {path.name}" for path, old in before.items()
              if not path.is_file() or path.read_bytes() != old]  # fmt: skip
    second = run(target.words(work), work, before=target.before)
    if second.code != target.code and not (first.code == target.code and target.once):
        found.append(f"the same call again ends with {second.code}: {second.told.strip()[-300:]}")
        return found
    found += [f"left: {one}" for one in left(work)]
    return found + differences(whole.contents, contents(work))


def differences(expected: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Files that are not as expected."""
    found = []
    for name in sorted(expected.keys() | now.keys()):
        if expected.get(name) != now.get(name):
            where = "missing" if name not in now else "too many" if name not in expected else "differs"
            found.append(f"{name}: {where}")
    return found


def told_wrong(target: Target, ended: Ended, work: Path) -> list[str]:
    """What is wrong with how a command told of a disk that failed."""
    if "Traceback" in ended.told:
        return [f"traceback: {ended.told.strip()[-300:]}"]
    if ended.code == target.code:  # it could do without: a cache, or what had been written before
        return []
    if ended.code not in (1, 2):
        return [f"code {ended.code}: {ended.told[-300:]}"]
    lines = [line for line in ended.told.splitlines() if line.strip() and not line.startswith(("warning:", "\r"))]
    said = [line for line in lines if line.startswith("semiverse ") or " failed: " in line]  # of one run of several
    if len(said) != 1:
        return [f"{len(said)} lines say it: {lines[-3:]}"]
    if str(work) not in said[0]:
        return [f"no file: {said[0]}"]
    if "expected" not in said[0]:
        return [f"no remedy: {said[0]}"]
    return []


KILLS = Trials(killed_or_without_disk, trial)


def campaign(
    target: Target,
    kind: str,
    folder: Path,
    state: Path,
    total: int,
    seed: int,
    step: Callable[[int], object],
    trials: Trials = KILLS,
) -> None:
    """Trials up to a number, going on where an earlier call stopped; results are appended to a file of lines."""
    done = {line["number"] for line in read_state(state) if line["seed"] == seed}
    step(len(done & set(range(total))))
    if done >= set(range(total)):
        return
    whole = undisturbed(target, folder, trials.where(target))
    for number in (number for number in range(total) if number not in done):
        fault = trials.moment(kind, whole, Random(f"{seed}/{target.name}/{kind}/{number}"))
        start = time.time()
        found = trials.trial(target, folder, whole, fault)
        line = {"target": f"{kind} {target.name}", "seed": seed, "number": number, "fault": list(fault)}
        line |= {"events": whole.ended.events, "seconds": round(time.time() - start, 1), "failures": found}
        with state.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        step(1)
    shutil.rmtree(folder, ignore_errors=True)


def lines_of(folder: Path) -> Iterator[dict[str, Any]]:
    """All results below a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        yield from read_state(path)
