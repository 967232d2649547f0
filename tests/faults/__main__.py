"""``python -m tests.faults``: the whole campaign, which goes on where an earlier call stopped, and its report."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from tests.faults import fuzz, readers


def make_run(folder: Path) -> Path:
    """A finished, evaluated run for readers of run folders, trained by a process of its own."""
    from semiverse.cli.main import main
    from tests.tiny import UNIVERSAL, in_child, train_words

    run = folder / "run"
    if not (run / "evaluation.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        few = {"max_steps": 1, "accelerator": "cpu"}
        assert in_child(main, train_words(folder, {"method": UNIVERSAL, "networks_trainer": few})) == 0
        assert in_child(main, ["evaluate", str(run), "--details", "true", "--device", "cpu"]) == 0
    return run


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/faults"), help="state, results and report")
    parser.add_argument("--only", default="", help="targets whose name contains this, such as 'fuzz image'")
    parser.add_argument("--number", type=int, default=10_000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, help="write and read the input of this number once, and say what happens")
    given = parser.parse_args()
    os.nice(5 - os.nice(0) if os.nice(0) < 5 else 0)
    given.out.mkdir(parents=True, exist_ok=True)
    readers.RUN["run"] = make_run(given.out / "made").absolute()
    fast = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    chosen = [one for one in readers.all_readers() if given.only in f"fuzz {one.name}"]
    if given.show is not None:
        return show(chosen[0], given.seed, given.show)
    for reader in chosen:
        total = given.number
        with tempfile.TemporaryDirectory(dir=fast) as place, tqdm(total=total, desc=reader.name, mininterval=5) as bar:
            os.environ["SEMIVERSE_CACHE"] = f"{place}/cache"
            os.environ["SEMIVERSE_PIXELS"] = "10000000"  # what takes memory and time as its size says is not what is looked for
            state = given.out / f"fuzz_{reader.name.replace(' ', '_')}.jsonl"
            try:
                fuzz.campaign(reader, Path(place) / "work", state, total, given.seed, bar.update)
            except AssertionError as error:
                print(f"{reader.name}: {error}", file=sys.stderr)
    return 0


def show(reader: fuzz.Reader, seed: int, number: int) -> int:
    """Read one input, with the error as it is."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["SEMIVERSE_CACHE"] = f"{place}/cache"
        folder = Path(place) / "work"
        folder.mkdir()
        worlds = list(reader.worlds(folder))
        at, content = fuzz.content_of(reader, [fuzz.steady(world.path) for world in worlds], seed, number)
        print(f"{worlds[at].path.name}: {content[:3000]!r}"[:4000])
        worlds[at].path.write_bytes(content)
        start = time.process_time()
        print("found:", fuzz.wrong(reader, worlds[at]), f"({time.process_time() - start:.2f} s)")
        worlds[at].read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
