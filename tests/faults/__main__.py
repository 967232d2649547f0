"""``python -m tests.faults``: the whole campaign, which goes on where an earlier call stopped, and its report."""

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tests.faults import changes, clocks, fuzz, kills, processes, readers, shared, targets
from tests.faults.processes import Fault

KINDS: dict[str, tuple[Callable[[], Sequence[targets.Target]], kills.Trials]] = {
    "kill": (targets.all_targets, kills.KILLS),
    "disk": (targets.all_targets, kills.KILLS),
    "clock": (lambda: [*targets.DISTURBED, targets.all_targets()[-1]], clocks.JUMPS),
    "shared": (lambda: targets.SHARED, shared.SHARES),
    "change": (lambda: targets.CHANGED, changes.OPENINGS),
}
"""Kinds of faults, beside damaged files: whom they happen to, and how."""


def make_run(folder: Path) -> Path:
    """A finished, evaluated run for readers of run folders, trained by a process of its own."""
    from semiverse.cli.main import main
    from tests.tiny import UNIVERSAL, in_child, train_words

    run = folder / "run"
    if not (run / "evaluation.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        few = {"max_steps": 1, "accelerator": "cpu"}
        assert in_child(main, train_words(folder, {"method": UNIVERSAL, "networks_trainer": few}, "trained")) == 0
        evaluated(folder / "trained", run)
    return run


def evaluated(trained: Path, run: Path) -> Path:
    """A copy of a run, with every file that an evaluation adds."""
    from semiverse.cli.main import main
    from tests.tiny import in_child

    shutil.copytree(trained, run)
    assert in_child(main, ["evaluate", str(run), "--details", "true", "--device", "cpu"]) == 0
    return run


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/faults"), help="state, results and report")
    parser.add_argument("--only", default="", help="targets whose name contains one of these: 'fuzz image,kill train'")
    parser.add_argument("--number", type=int, default=10_000, help="inputs for each reader")
    parser.add_argument("--moments", type=int, default=20, help="moments at which each command is killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, help="do the one of this number alone, and say what happens")
    parser.add_argument("--report", action="store_true", help="only write the report of what was done")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.report:
        return report(given.out)
    os.nice(max(0, 5 - os.nice(0)))
    torch.set_num_threads(1)
    torch.zeros(1, requires_grad=True).sum().backward()  # before anything makes torch believe in further devices
    processes.import_everything()
    readers.RUN["run"] = make_run(given.out / "made").absolute()
    chosen: list[tuple[str, Any]] = [(f"fuzz {one.name}", one) for one in readers.all_readers()]
    chosen += [(f"{kind} {one.name}", one) for kind, (found, _) in KINDS.items() for one in found()]
    wanted = given.only.split(",")
    for name, one in [pair for word in wanted for pair in chosen if word in pair[0]]:
        state = given.out / f"{name.replace(' ', '_')}.jsonl"
        kind, total = name.split()[0], given.number // one.share if name.startswith("fuzz") else given.moments
        with tempfile.TemporaryDirectory(dir=fast()) as place, tqdm(total=total, desc=name, mininterval=5) as bar:
            try:
                if given.show is not None:
                    show(one, kind, Path(place), given.seed, given.show)
                elif kind == "fuzz":
                    prepare(place)
                    fuzz.campaign(one, Path(place) / "work", state, total, given.seed, bar.update)
                else:
                    kills.campaign(one, kind, Path(place) / "t", state, total, given.seed, bar.update, KINDS[kind][1])
            except AssertionError:
                print(f"{name}: {traceback.format_exc()[-1500:]}", file=sys.stderr)
    return report(given.out)


def fast() -> Path | None:
    """A folder in memory, where there is one."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def prepare(place: str) -> None:
    """A cache of its own; and images up to a size, as what takes time by its size is not what is looked for."""
    os.environ["SEMIVERSE_CACHE"] = f"{place}/cache"
    os.environ["SEMIVERSE_PIXELS"] = "10000000"


def show(one: Any, kind: str, place: Path, seed: int, number: int) -> None:
    """One input or one moment, with what is wrong as it is."""
    if kind != "fuzz":
        trials = KINDS[kind][1]
        whole = kills.undisturbed(one, place / "t", trials.where(one))
        fault: Fault = trials.moment(kind, whole, kills.Random(f"{seed}/{one.name}/{kind}/{number}"))
        print(fault, whole.ended, *trials.trial(one, place / "t", whole, fault), sep="\n")
        return
    prepare(str(place))
    (place / "work").mkdir()
    worlds = list(one.worlds(place / "work"))
    at, content = fuzz.content_of(one, [fuzz.steady(world.path) for world in worlds], seed, number)
    print(f"{worlds[at].path.name}: {content!r}"[:4000])
    worlds[at].path.write_bytes(content)
    print("found:", fuzz.wrong(one, worlds[at]))
    worlds[at].read()


def report(out: Path) -> int:
    """Write what was tried and what failed, as Markdown; 1 if anything did."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    failures = []
    for line in kills.lines_of(out):
        name = line["target"] if "number" in line else f"fuzz {line['target']}"
        row = rows[name]
        row[0] += 1 if "number" in line else line["to"] - line["from"]
        row[1] += bool(line["failures"]) if "number" in line else len(line["failures"])
        row[2] += line["seconds"]
        for one in line["failures"]:
            number, told = (line["number"], one) if "number" in line else one
            failures.append(f"- {name}, number {number}: `{told[:300]}`")
    lines = ["# Faults", "", "| target | trials | failures | seconds |", "|---|---|---|---|"]
    lines += [f"| {name} | {row[0]} | {row[1]} | {row[2]:.0f} |" for name, row in sorted(rows.items())]
    (out / "report.md").write_text("\n".join([*lines, "", *failures[:500]]) + "\n", encoding="utf-8")
    print(f"report: {out / 'report.md'}, {len(failures)} failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
