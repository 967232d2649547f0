"""A run: the folder in which one training keeps everything it knows."""

import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from semiverse.configuration import Plain, describe, differences, dump_yaml, load_yaml, modernized
from semiverse.files import FULL_DISK, write_atomically
from semiverse.mixture import DomainMixture

HARMLESS = ("check", "callbacks", "loggers")
"""Options that change nothing about what is trained."""
PACKAGES = ("semiverse", "torch", "torchvision", "timm", "lightning-fabric", "torchmetrics", "numpy", "pillow")


class Run:
    """Where the parts of a run lie.

    Args:
        folder: The run folder.

    Attributes:
        config: Every value resolved; passed back with ``--config`` it repeats the run.
        model: What prediction, evaluation and export need.
        last: The checkpoint to resume from.
        best: The checkpoint with the highest sum of mIoU in validation.
        failed: In ``failure``: what was not finite, on which images, and the command that repeats the step.
        metrics: One row a validation.
        held_out: How datasets that nothing divides divided themselves, by domain; no file where none did.
        method: What the method declares: what its options stand for, and titles of what it records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.config, self.model = folder, folder / "config.yaml", folder / "model"
        self.last, self.best = folder / "checkpoints" / "last.ckpt", folder / "checkpoints" / "best.ckpt"
        self.failed, self.metrics = folder / "failure.json", folder / "metrics.csv"
        self.method, self.held_out = folder / "method.json", folder / "held_out.json"

    @property
    def failure(self) -> "Run":
        """What a loss that is not finite leaves: a run that stopped right before that step."""
        return Run(self.folder / "failure")

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return (self.folder / "finished.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether there is anything that another configuration would spoil."""
        return any(path.exists() for path in (self.model, self.last, self.metrics, self.folder / "networks"))

    def refuse_another(self, config: Plain) -> None:
        """Make sure that what the folder holds belongs to this configuration.

        Raises:
            ValueError: If it holds a run of another configuration, or something that is no run.
        """
        if not self.begun:
            return
        if not self.config.is_file():
            raise ValueError(
                f"{self.folder} holds a model or checkpoints but no {self.config.name}; expected a run, or nothing: "
                "choose another --out"
            )
        old = modernized(load_yaml(self.config.read_text(encoding="utf-8")), silent=True)
        old, new = ({key: v[key] for key in v if key not in HARMLESS} for v in (old, config))
        changed = differences(old, new)
        if changed:
            raise ValueError(
                f"{self.folder} holds a run of another configuration ({'; '.join(changed[:6])}); expected the same "
                "values, with which it would be resumed: choose another --out, or repeat its own values"
            )

    def claim(self, config: Plain) -> None:
        """Make the folder this configuration's own, or find that it already is.

        Raises:
            ValueError: If it holds a run of another configuration; nothing is changed then.
            OSError: If it cannot be written to.
        """
        self.refuse_another(config)
        if not self.begun:
            write_atomically(self.config, dump_yaml(config))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder; a process that dies lets others in.

        Raises:
            ValueError: If another process is in it.
            OSError: If the folder cannot be written to.
        """
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"{self.folder}: another process is training in it; expected to be alone: wait for it, stop it, or "
                "choose another --out"
            ) from error
        except OSError as error:
            raise OSError(f"{self.folder} cannot be written ({error.strerror}); {FULL_DISK}") from error
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def note_environment(self, seed: int) -> None:
        """Write versions, hardware, revision, seed and command of this process to ``environment.json``."""
        facts = {
            "command": " ".join(sys.argv),
            "seed": seed,
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "versions": {name: _version(name) for name in PACKAGES},
            "revision": _revision(),
        }
        write_atomically(self.folder / "environment.json", json.dumps(facts, indent=2) + "\n")

    def note_held_out(self, data: DomainMixture) -> None:
        """Write which images datasets that nothing divides hold out for validation."""
        facts = {
            name: {"dataset": describe(data.domains[name].dataset)} | held_out.facts
            for name, held_out in data.held_out().items()
        }
        if facts:
            write_atomically(self.held_out, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def restore_held_out(self, data: DomainMixture) -> None:
        """Divide the datasets of this run as they were when it began; others of the same names stay as they are.

        Raises:
            FileNotFoundError: If images of it are gone.
        """
        if not self.held_out.is_file():
            return
        for name, facts in json.loads(self.held_out.read_text(encoding="utf-8")).items():
            domain = data.domains.get(name)
            if domain is not None and domain.divides_itself and describe(domain.dataset) == facts["dataset"]:
                domain.divide_as(facts)

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Add a row to ``metrics.csv``; columns that are new widen the table, rows of later steps are dropped."""
        rows: list[dict[str, Any]] = self.read_metrics()
        rows = [old for old in rows if float(old["step"]) < row["step"]] + [dict(row)]
        columns = list(dict.fromkeys(name for line in reversed(rows) for name in line))
        lines = [",".join(columns)] + [",".join(str(line.get(name, "")) for name in columns) for line in rows]
        write_atomically(self.metrics, "\n".join(lines) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Rows of ``metrics.csv`` as text values by column; none if there is no file yet."""
        if not self.metrics.is_file():
            return []
        with self.metrics.open(encoding="utf-8", newline="") as file:
            return [{name: value for name, value in row.items() if value != ""} for row in csv.DictReader(file)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Git revision of the source, with a plus where it was changed; None outside a checkout."""
    git = partial(subprocess.check_output, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, text=True)
    try:
        revision, changes = git(["git", "rev-parse", "HEAD"]), git(["git", "status", "--porcelain"])
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision.strip() + ("+" if changes.strip() else "")


def _processor() -> str:
    """The processor's name, and how many of its cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {cores} cores"
