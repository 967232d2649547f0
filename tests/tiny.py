"""Runs so small that a test can afford them, and ways to stop them in the middle."""

import copy
import ctypes
import multiprocessing
import os
import random
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache, partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from semiverse.cli.main import main
from semiverse.configuration import dump_yaml
from semiverse.run import Run

WORLD = {"images": 6, "val_images": 2, "size": [32, 48]}
TINY: dict[str, Any] = {
    "data": {
        "domains": {
            "streets": {"dataset": {"class_path": "SyntheticStreets", "init_args": WORLD}, "labeled": 4},
            "rooms": {"dataset": {"class_path": "SyntheticRooms", "init_args": WORLD}, "labeled": 3},
        },
        "batch_size": 2,
        "workers": 0,
    },
    # Such heads let predictions differ from pixel to pixel at once.
    "model": {"encoder": "drn_d_22", "width": 0.0625, "head_deviation": None},
    "method": {"class_path": "Supervised"},
    "optimizer": {"lr": 0.01},
    "trainer": {"max_steps": 2, "accelerator": "cpu"},
}
UNIVERSAL = {
    "class_path": "Universal",
    "init_args": {"embed_dim": 8, "theta": 0.5, "warmup": [0.2, 0.6]},
}


def config(folder: Path, changes: dict[str, Any] | None = None, name: str = "tiny.yaml") -> Path:
    """A file with the tiny experiment; changes by dotted path, None removes."""
    values = copy.deepcopy(TINY)
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    file = folder / name
    file.write_text(dump_yaml(values), encoding="utf-8")
    return file


def train_words(folder: Path, changes: dict[str, Any] | None = None, out: str = "run") -> list[str]:
    return ["train", "--config", str(config(folder, changes, f"{out}.yaml")), "--out", str(folder / out)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, without the lists of what commands wrote there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".written_by_")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def result(run: Path) -> tuple[bytes, list[dict[str, str]]]:
    """Weights and label embeddings, and rows without times."""
    rows = [{k: v for k, v in row.items() if k != "images_per_second"} for row in Run(run).read_metrics()]
    return (run / "model" / "model.safetensors").read_bytes(), rows


def state(run: Path) -> dict[str, Any]:
    """Everything of the last checkpoint that training goes on from."""
    checkpoint = torch.load(Run(run).last, weights_only=True)
    return {part: checkpoint[part] for part in ("state_dict", "optimizers", "steps_done", "means")}


def same(one: Any, two: Any) -> bool:
    """Whether parts of two checkpoints are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by fork")
needs_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs the C library of Linux"
)


def in_child(action: Callable[..., object], *arguments: object) -> int:
    """Exit code of an action in a process of its own, negative if a signal ended it."""
    return in_children([partial(action, *arguments)])[0]


def in_children(actions: Sequence[Callable[[], object]]) -> list[int]:
    """Exit codes of actions in processes of their own, at the same time, negative where a signal ended one."""
    _warm()
    processes = [multiprocessing.get_context("fork").Process(target=_quietly, args=(action,)) for action in actions]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        processes[0].join(0.05)
        if any(process.exitcode for process in processes):  # others may wait for it in vain
            for process in processes:
                process.join(60)
                process.kill()
    for process in processes:
        process.join()
    return [-1 if process.exitcode is None else process.exitcode for process in processes]


@cache
def _warm() -> None:
    """Train once here, so that no child has to import, and to prepare, what a first training does."""
    with TemporaryDirectory() as name, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        assert main(train_words(Path(name))) == 0


def _quietly(action: Callable[[], object]) -> None:
    torch.set_num_threads(1)  # threads of the parent do not exist here
    code = action()
    sys.exit(code if isinstance(code, int) else 0)


def command_in_child(words: Sequence[str], before: Callable[[], object] = lambda: None) -> int:
    """Exit code of a command in a process of its own, in which something is prepared first."""

    def action() -> int:
        before()
        return main(words)

    return in_child(action)


def command_in_children(words: Sequence[str], count: int, before: Callable[[], object] = lambda: None) -> list[int]:
    """Exit codes of a command in so many processes that train together, each told its number as Fabric tells it.

    They begin with what is imported here, and so are many times faster than those that Fabric starts.
    """
    port = str(free_port())

    def action(rank: int) -> int:
        os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        before()
        return main(words)

    return in_children([partial(action, rank) for rank in range(count)])


def free_port() -> int:
    """A port of this machine that nothing listens to, below those that systems give to whoever connects."""
    for port in random.SystemRandom().sample(range(15_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("localhost", port))
            return port
    raise OSError("no free port among a hundred")


def at_step(kind: str, step: int, event: Callable[[], object]) -> Callable[[], None]:
    """What makes something happen in this process before a method of this class takes a step."""

    def prepare() -> None:
        from semiverse.training.loop import Players

        take = Players.step

        def take_or_not(self: Players, batch: Any) -> None:
            if type(self.method).__name__ == kind and self.method.steps_done == step:
                event()
            take(self, batch)

        Players.step = take_or_not  # type: ignore[method-assign]

    return prepare
