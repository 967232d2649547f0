"""Files that are cut, emptied, removed or replaced right before one of the times that a command opens them."""

from pathlib import Path
from random import Random

from tests.faults.kills import Trials, Whole, differences
from tests.faults.processes import CHANGES, Fault, contents, fresh, run
from tests.faults.targets import Target


def opening(_: str, whole: Whole, rng: Random) -> Fault:
    """A file that changes; which folder it lies in stands in the target."""
    return Fault(rng.choice(CHANGES), rng.randint(1, max(1, whole.ended.events)))


def trial(target: Target, folder: Path, whole: Whole, fault: Fault) -> list[str]:
    """What is wrong with a call during which a file changes: it is named, or was not needed any more."""
    work, fault = folder / "work", fault._replace(where=target.reads)
    fresh(folder / "prepared", work)
    ended = run(target.words(work), work, fault, target.before)
    if "Traceback" in ended.told or ended.code not in (0, 1, 2):
        return [f"ends with {ended.code}: {ended.told.strip()[-300:]}"]
    before, now = (contents(place / target.reads) for place in (folder / "prepared", work))
    changed = [name for name in before if before[name] != now.get(name)]
    if not changed:  # threads opened them in another order
        return []
    name = Path(changed[0]).name
    other = differences(_results(target, whole.contents), _results(target, contents(work)))
    if f"{target.reads}/{changed[0]}" not in ended.told:
        if ended.code != target.code:
            return [f"{name} is not named: {ended.told.strip()[-300:]}"]
        silent = [] if fault.kind == "other" else other  # it can be read, before and after
        return [f"in silence, as {name} changes ({fault.kind}): {one}" for one in silent]
    if not target.each:
        return []
    unread = [one for one in other if not one.startswith(f"out/{Path(name).stem}") and "predictions.json" not in one]
    return [f"{name} is named, but another one: {one}" for one in unread]


def _results(target: Target, found: dict[str, object]) -> dict[str, object]:
    """What a command wrote, apart from what it reads and what it keeps for itself."""
    return {name: value for name, value in found.items() if name.startswith("out/")}


OPENINGS = Trials(opening, trial, lambda target: target.reads)
