"""A run: the folder in which one training keeps everything it knows."""

import csv
import errno
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from warnings import warn

import torch
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from semiverse.configuration import Plain, describe, differences, dump_yaml, load_yaml, modernized
from semiverse.data.records import is_large
from semiverse.files import FULL_DISK, DataProblem, Outputs, read_text, reading, write_atomically
from semiverse.mixture import DomainMixture

HARMLESS = ("check", "callbacks", "loggers")
"""Options that change nothing about what is trained."""
NO_LOCKS = tuple(getattr(errno, name) for name in ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "ENOTSUP", "EIO", "EINVAL"))
"""What drives answer that know no file locks: NFS without its lock service, Lustre, some in user space."""
BEYOND = "\0"
"""What stands where a row of a table is longer or shorter than its columns."""
PACKAGES = ("semiverse", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "pillow")


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
            self._refuse_foreign()
            return
        if not self.config.is_file():
            raise ValueError(
                f"{self.folder} holds a model or checkpoints but no {self.config.name}; expected a run, or nothing: "
                "choose another --out"
            )
        old = self.read_config()
        old, new = ({key: v[key] for key in v if key not in HARMLESS} for v in (old, config))
        changed = differences(old, new)
        if changed:
            raise ValueError(
                f"{self.folder} holds a run of another configuration ({'; '.join(changed[:6])}); expected the same "
                "values, with which it would be resumed: choose another --out, or repeat its own values"
            )

    def read_config(self) -> dict[str, Any]:
        """The run's configuration in today's form.

        Raises:
            ValueError: If the file is damaged, or none of a run.
        """
        with self.part(self.config):
            values = load_yaml(read_text(self.config, "the configuration of a run"))
            if not isinstance(values, dict):
                raise ValueError(f"found {type(values).__name__}")
            return modernized(values, silent=True)

    def read_json(self, path: Path) -> Any:  # noqa: ANN401  (JSON)
        """What one of the run's JSON files holds.

        Raises:
            ValueError: If it is damaged.
        """
        with self.part(path):
            return json.loads(read_text(path, "a file of the run"))

    @contextmanager
    def part(self, path: Path) -> Iterator[None]:
        """Read one of the run's files: whatever is wrong with it is told with its name and the way out.

        Raises:
            ValueError: If it cannot be read.
        """
        remedy = "copy the run again from where it is whole, or train into another --out"
        if path == self.last and self.best.is_file():
            remedy = f"copy {self.best} over it, or train into another --out"
        elif path in (self.metrics, self.method):
            remedy = "copy it again from where it is whole, or remove it: a resumed training goes on without"
        with reading(path, "what training wrote", remedy, "it is damaged"):
            yield

    def _refuse_foreign(self) -> None:
        """Make sure that the folder of a run that has not begun holds nothing of somebody else's.

        Raises:
            ValueError: If it holds anything that no training wrote.
        """
        if not self.folder.is_dir():
            return
        started = {"environment.json", "labeled.json", "method.json", "held_out.json", "checkpoints", "evaluation.json"}
        started |= {"tensorboard", "lightning_logs", "wandb", "mlruns"}  # of loggers
        started |= {"labels"} if any(self.folder.glob("labels/*/labeling.json")) else set()  # of self-training
        own = {*started, ".lock", ".lock.soft", self.failed.name, *self._marks}
        names = {path.name for path in self.folder.iterdir()} - own
        others = sorted(name for name in names if not _being_written(name))
        config = self.config.name in others and self._outputs.wrote(self.config.name)
        foreign = [name for name in others if not (config and name == self.config.name)]
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            found = f"{self.folder} holds {foreign[0]}{more}, which no training wrote"
            raise DataProblem(found, "a run, or an empty or new folder", "choose another --out")

    @property
    def _outputs(self) -> Outputs:
        return Outputs(self.folder, "train")

    @property
    def _marks(self) -> set[str]:
        """Names of the lists of what commands wrote, which lie beside what they wrote."""
        return {path.name for path in self.folder.glob(".written_by_*")}

    def claim(self, config: Plain) -> None:
        """Make the folder this configuration's own, or find that it already is.

        Raises:
            ValueError: If it holds a run of another configuration; nothing is changed then.
            OSError: If it cannot be written to.
        """
        self.refuse_another(config)
        if not self.begun:
            self._outputs.write(self.config.name, dump_yaml(config))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder; a process that dies lets others in.

        Raises:
            ValueError: If another process is in it.
            OSError: If the folder cannot be written to.
        """
        lock: BaseFileLock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except OSError as error:
                if isinstance(error, Timeout) or error.errno not in NO_LOCKS:
                    raise
                # A file that is there while a process trains; one that was killed leaves it.
                lock = SoftFileLock(self.folder / ".lock.soft")
                warn(
                    f"the drive of {self.folder} knows no file locks ({error.strerror}): a file, {lock.lock_file}, "
                    "keeps other processes out; remove it after a training was killed",
                    stacklevel=3,
                )
                lock.acquire(timeout=0)
        except Timeout as error:
            soft = f", or remove {lock.lock_file} if none does any more" * isinstance(lock, SoftFileLock)
            raise ValueError(
                f"{self.folder}: another process is training in it; expected to be alone: wait for it, stop it, or "
                f"choose another --out{soft}"
            ) from error
        except OSError as error:
            raise OSError(f"{self.folder} cannot be written ({error.strerror}); {FULL_DISK}") from error
        try:
            yield
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def unlock(self) -> None:
        """Remove the lock that a process left which was killed after all else; that of one that lives stays."""
        if (self.folder / ".lock").exists():
            with suppress(ValueError, OSError), self.alone():
                pass

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
            if held_out.val or not is_large(held_out.train)  # of many images without masks there is nothing to restore
        }
        if facts:
            write_atomically(self.held_out, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def restore_held_out(self, data: DomainMixture) -> None:
        """Divide the datasets of this run as they were when it began; others of the same names stay as they are.

        Raises:
            FileNotFoundError: If images of it are gone.
            ValueError: If the file is damaged.
        """
        if not self.held_out.is_file():
            return
        for name, facts in self.read_json(self.held_out).items():
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
        with self.part(self.metrics):
            text = read_text(self.metrics, "a row for each validation")
            rows = list(csv.DictReader(io.StringIO(text, newline=""), restkey=BEYOND, restval=BEYOND))
            for row in rows:  # each is whole, and of numbers
                if BEYOND in row or BEYOND in row.values() or not row.get("step", ""):
                    raise ValueError(f"the row of step {row.get('step', '?')} is not whole")
                for value in row.values():
                    float(value or 0)
            return [{name: value for name, value in row.items() if value != ""} for row in rows]


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


def _being_written(name: str) -> bool:
    """Whether a file or folder is what a killed process leaves of one that was to take its place."""
    return name.startswith(".") and name.endswith((".part", ".new", ".previous"))
