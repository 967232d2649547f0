"""The command line in a process of its own, which something happens to at a chosen moment.

Processes are forked from one that has imported everything: a trial costs what its command computes. A moment is the
n-th time that the command opens a file for writing, moves, removes or flushes one, or opens one of certain files for
reading, or a share of its processor time: all are found again by their numbers.
"""

import csv
import errno
import importlib
import json
import os
import pkgutil
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import semiverse
from semiverse.cli.main import main
from semiverse.data.cache import MAGIC

EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree")
MAKING = ("open", "os.mkdir", "fsync")
"""What a full disk refuses."""
LEFT = (".part", ".new", ".previous", ".lock", ".lock.soft", ".download")
"""Ends of names that no finished call leaves."""
CLOCKS = {"back": -3600.0, "ahead": 365 * 86400.0}
"""Seconds by which clocks jump."""
CHANGES = ("cut", "empty", "vanish", "other")
"""What becomes of a file right before it is opened for reading."""
UNEQUAL = ("seconds", "command", "fetched", "images_per_second", "revision")
"""What differs between two calls that do the same."""
SPENT = re.compile(r"\d+( to \d+)? seconds a run")
"""And in texts of tables."""


OTHER = "another.png"
"""What takes the place of a file: one that can be read too, and is larger."""
LATER = (
    "jinja2", "scipy.stats", "skimage.color", "skimage.draw", "skimage.measure", "skimage.segmentation",
    "sklearn.cluster", "sklearn.decomposition", "sklearn.manifold", "torch._dynamo", "torch.export",
    "torch.utils.tensorboard",
)  # fmt: skip
"""What commands import when they need it."""
KEPT: list[Any] = []
Before = Callable[[], object] | None


class Fault(NamedTuple):
    """What happens.

    Args:
        kind: ``kill``; ``stop`` after so much processor time; an error of the disk by its name; ``size``: files cannot
            grow beyond so many bytes; one of ``CLOCKS``: what time it is changes, for good; or one of ``CHANGES``.
        at: The number of the event, from 1, or seconds, or bytes.
        where: Below which folder files change; the events are then that one of them is opened for reading.
    """

    kind: str
    at: float
    where: str = ""


class Ended(NamedTuple):
    """How a process ended: its code (negative: the signal), what it wrote to stderr, its events, processor time."""

    code: int
    told: str
    events: int
    seconds: float


def import_everything() -> None:
    """Import the library and what it imports late, so that no child has to; of packages, those that are installed."""
    inside = (module.name for module in pkgutil.walk_packages(semiverse.__path__, "semiverse."))
    for name in (*LATER, *(name for name in inside if not name.endswith("__main__"))):
        with suppress(ImportError):
            importlib.import_module(name)


def run(words: Sequence[str], folder: Path, fault: Fault | None = None, before: Before = None) -> Ended:
    """Run a command in a child; only what it does to files below the folder counts."""
    return wait(start(words, folder, fault, before))


def start(words: Sequence[str], folder: Path, fault: Fault | None = None, before: Before = None) -> tuple[int, int]:
    """Begin to run a command in a child: the child, and the pipe that it tells into."""
    source, goal = os.pipe()  # files may not grow
    child = os.fork()
    if child == 0:
        os.close(source)
        _child(words, folder, fault, before, goal)
    os.close(goal)
    return child, source


def wait(started: tuple[int, int]) -> Ended:
    """How a command ended."""
    child, source = started
    with os.fdopen(source, "rb") as pipe:
        told, _, events = pipe.read().decode("utf-8", "replace").partition("\0")
    _, status, used = os.wait4(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), told, int(events or 0), used.ru_utime + used.ru_stime)


def _child(words: Sequence[str], folder: Path, fault: Fault | None, before: Before, goal: int) -> None:
    """What the child does; it never returns."""
    code = 70
    try:
        torch.set_num_threads(1)
        # What could not be read of many files is no error, and told where results are.
        os.dup2(goal if fault is not None and fault.where else os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(goal, 2)
        KEPT.extend((sys.stdout, sys.stderr))  # which would close what they wrote to
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)
        os.environ["SEMIVERSE_CACHE"] = str(folder / "cache")
        if before is not None:
            before()
        watch = Watch(str(folder), fault)
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, f"\0{watch.events}".encode())
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


class Watch:
    """Counts events from now on, and lets a fault happen in this process.

    Args:
        folder: Only what is done to files below it counts.
        fault: What happens; None: nothing.
    """

    def __init__(self, folder: str, fault: Fault | None) -> None:
        self.folder, self.fault, self.events = folder, fault, 0
        if fault is not None and fault.kind in CLOCKS:
            self._shift, tell = 0.0, time.time
            time.time = lambda: tell() + self._shift
        if fault is not None and fault.kind == "stop":
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, max(fault.at, 1e-3))
        if fault is not None and fault.kind == "size":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(fault.at), int(fault.at)))
        sys.addaudithook(self.seen)
        flush = os.fsync

        def flushed(number: int) -> None:
            self.happen("fsync")
            flush(number)

        os.fsync = flushed

    def seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python says of what is done."""
        if event != "open" and event not in EVENTS:
            return
        writing = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        place = arguments[0]
        if self.fault is not None and self.fault.where:
            inside = f"{self.folder}/{self.fault.where}/"
            if not writing and isinstance(place, str | os.PathLike) and os.fspath(place).startswith(inside):
                self.change(os.fspath(place))
        elif writing and isinstance(place, str | bytes | os.PathLike) and os.fsdecode(place).startswith(self.folder):
            self.happen(event, os.fsdecode(place))

    def change(self, path: str) -> None:
        """Count an opening for reading, and change the file if it is the one: without opening anything."""
        self.events += 1
        if self.fault is None or self.events != self.fault.at or not os.path.isfile(path):
            return
        match self.fault.kind:
            case "cut":
                os.truncate(path, os.path.getsize(path) // 2)
            case "empty":
                os.truncate(path, 0)
            case "vanish":
                os.unlink(path)
            case "other":
                os.replace(f"{self.folder}/{OTHER}", path)

    def happen(self, event: str, place: str | None = None) -> None:
        """Count one, and do what is to be done at it."""
        self.events += 1
        if self.fault is None or self.fault.kind in ("stop", "size") or self.fault.where:
            return
        if self.fault.kind in CLOCKS:
            self._shift = CLOCKS[self.fault.kind] if self.events >= self.fault.at else 0.0
            return
        kind, reached = self.fault.kind, self.events == self.fault.at
        if kind == "kill" and reached:
            os.kill(os.getpid(), signal.SIGKILL)
        full = kind in ("ENOSPC", "EDQUOT")
        lasting = (kind == "EROFS" or full) and self.events >= self.fault.at
        if kind != "kill" and (lasting or reached) and (event in MAKING or not full):  # removing needs no space
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number), place)


def contents(folder: Path) -> dict[str, Any]:
    """What a call left below a folder, without what differs between two calls that do the same."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".written_by_") or name.startswith("cache/surveys/"):
            continue
        if name.startswith("cache/") and path.name.endswith(LEFT):  # as in ``left``
            continue
        if path.name == "environment.json" or "tensorboard" in path.parts:
            continue
        found[name] = _content(path)
    return found


def _content(path: Path) -> Any:
    match path.suffix:
        case ".json":
            return _equal(json.loads(path.read_text()))
        case ".csv":
            return [{k: v for k, v in row.items() if k not in UNEQUAL} for row in csv.DictReader(path.open())]
        case ".ckpt":
            state = torch.load(path, weights_only=True)
            return repr(_equal({key: _digest(value) for key, value in state.items()}))
        case ".image" | ".mask":  # of the cache, without the stamp, which tells when its source was written
            content = path.read_bytes()
            return content[: len(MAGIC)] + content[len(MAGIC) + 16 :]
        case ".md" | ".tex":
            return _equal(path.read_text())
        case _:
            return path.read_bytes()


def _digest(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _digest(item) for key, item in value.items()}
    return [_digest(item) for item in value] if isinstance(value, list | tuple) else value


def _equal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _equal(item) for key, item in value.items() if key not in UNEQUAL}
    if isinstance(value, str):
        return SPENT.sub("", value)
    return [_equal(item) for item in value] if isinstance(value, list) else value


def damaged(folder: Path) -> list[str]:
    """Files that are not whole."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.endswith(LEFT) or any(part.endswith(LEFT) for part in path.relative_to(folder).parts):
            continue  # what is written beside, until it is whole
        try:
            _decode(path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}"[:200])
    return found


def _decode(path: Path) -> None:
    match path.suffix:
        case ".json":
            json.loads(path.read_text())
        case ".yaml":
            yaml.safe_load(path.read_text())
        case ".csv":
            rows = list(csv.reader(path.open()))
            assert rows and len({len(row) for row in rows}) == 1
        case ".safetensors":
            load_file(path)
        case ".ckpt":
            torch.load(path, weights_only=True)
        case ".npz":
            with np.load(path) as stored:
                [stored[name] for name in stored]
        case ".png" | ".jpg":
            with Image.open(path) as image:
                image.load()


def left(folder: Path) -> list[str]:
    """What a finished call should not have left."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.name.endswith(LEFT)]
    return [str(path) for path in found if path.parts[0] != "cache"]  # others may be writing there: swept after a day


def fresh(prepared: Path, work: Path) -> None:
    """The same files at the same place, as before any call."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(prepared, work, symlinks=True)
