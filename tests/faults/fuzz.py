"""Gives readers of the library damaged files by the thousand: each is read, or refused in one line with its name."""

import json
import mmap
import os
import re
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from semiverse.files import DataProblem
from tests.faults.mutate import mutate

SECONDS = 5.0
"""Of the processor, after which reading counts as hanging."""
PATIENCE = 60.0
"""Seconds without a result, after which a reader hangs in code that no signal reaches."""
MEMORY = 2**30
"""Bytes that reading one small file may take at most."""
LONGEST = 2000
"""Characters of a message."""


class World(NamedTuple):
    """A valid file, and what reads it.

    Args:
        path: The file.
        read: Reads it; AssertionError where what it gives is not valid.
    """

    path: Path
    read: Callable[[], object]


@dataclass(frozen=True)
class Reader:
    """Something that reads files.

    Args:
        name: For the report.
        kind: How its files are damaged, one of ``mutate.KINDS``.
        worlds: Builds valid files in an empty folder.
        lines: Whether a message may have several lines: one for each mistake of a configuration.
        named: Whether a message has to name the file.
        share: One in so many inputs is given to it: where another reader gets such files too.
    """

    name: str
    kind: str
    worlds: Callable[[Path], Sequence[World]]
    lines: bool = False
    named: bool = True
    share: int = 1


Tell = Callable[[int, str | None], object]
Contents = Sequence[tuple[int, bytes]]
"""Given inputs, instead of damaged ones: the number of a world, and what its file holds."""


class Hang(BaseException):
    """Reading takes too long; no ``except Exception`` stops it."""


def wrong(reader: Reader, world: World) -> str | None:
    """What is wrong with how a file was taken; None if it was read, or refused as it should be."""
    try:
        world.read()
    except Hang:
        return f"hang: {_where(sys.exc_info()[2])}"
    except AssertionError as error:
        return f"wrong success: {error} ({_where(error.__traceback__)})"
    except (ValueError, OSError) as error:
        return _badly_told(reader, world, error)
    except BaseException as error:
        return f"{type(error).__name__}: {_short(error)} ({_where(error.__traceback__)})"
    return None


def _badly_told(reader: Reader, world: World, error: Exception) -> str | None:
    told, kind = str(error), type(error).__name__
    place = _where(error.__traceback__)
    if "not enough memory" in told:
        return f"memory: {_short(error)} ({place})"
    if reader.named and world.path.name not in told:
        return f"no file in {kind}: {_short(error)} ({place})"
    if not told.strip() or ("\n" in told and not reader.lines):
        return f"not one line in {kind}: {_short(error)} ({place})"
    if len(told) > LONGEST:
        return f"{len(told)} characters in {kind}: {_short(error)} ({place})"
    if isinstance(error, DataProblem) and not (error.expected and error.remedy) and "; expected " not in told:
        return f"no remedy in {kind}: {_short(error)} ({place})"
    return None


def _short(error: BaseException) -> str:
    return str(error)[:200].replace("\n", "\\n")


def _where(trace: Any) -> str:
    """The last lines of the library on the way to an error."""
    frames = [frame for frame in traceback.extract_tb(trace) if "/semiverse/" in frame.filename]
    return " < ".join(f"{frame.filename.rpartition('/semiverse/')[2]}:{frame.lineno}" for frame in frames[-2:][::-1])


def content_of(reader: Reader, seeds: Sequence[bytes], seed: int, number: int) -> tuple[int, bytes]:
    """The damaged file of this number, and which world it belongs to: always the same."""
    rng = Random(f"{seed}/{reader.name}/{number}")
    place = rng.randrange(len(seeds))
    return place, mutate(rng, seeds[place], reader.kind, seeds)


def steady(path: Path) -> bytes:
    """The content of a valid file, which is the same whenever it was written."""
    content = path.read_bytes()
    if content.startswith(b"MATLAB 5.0"):  # it says when
        content = b"MATLAB 5.0 MAT-file".ljust(116) + content[116:]
        path.write_bytes(content)
    return content


def attempt(
    reader: Reader, folder: Path, numbers: Iterator[int], seed: int, tell: Tell, contents: Contents = ()
) -> None:
    """Read inputs in this process; ``tell`` is called before (None) and after (the result, "" if good) each."""
    worlds = list(reader.worlds(folder))
    seeds = [steady(world.path) for world in worlds]
    for world in worlds:
        found = wrong(reader, world)
        assert found is None, f"{reader.name}: a valid file is not read: {found}"
        world.read()  # or it raises what is wrong with the world
    signal.signal(signal.SIGPROF, _hangs)
    for number in numbers:
        tell(number, None)
        place, content = contents[number] if contents else content_of(reader, seeds, seed, number)
        world = worlds[place]
        world.path.write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            found = wrong(reader, world)
        except Hang:
            found = "hang"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        if grown > MEMORY:
            found = f"memory: {grown / 2**20:.0f} MiB ({found})"
        world.path.write_bytes(seeds[place])
        tell(number, found or "")


def _hangs(*_: object) -> None:
    raise Hang


def run(
    reader: Reader, folder: Path, numbers: range, seed: int = 0, contents: Contents = ()
) -> Iterator[tuple[int, str]]:
    """Read inputs in a process of its own, which is begun anew when one of them ended it; number and what was wrong.

    Yields:
        Each number with "" or what is wrong.
    """
    start = numbers.start
    while start < numbers.stop:
        shared = mmap.mmap(-1, 8)
        source, goal = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(source)
            _work(reader, folder, range(start, numbers.stop), seed, goal, shared, contents)
        os.close(goal)
        last = start - 1
        for number, found in _answers(source, child):
            if number < 0:  # its worlds could not even be built
                raise AssertionError(found)
            last = number
            yield number, found
        os.close(source)
        _, status = os.waitpid(child, 0)
        if last >= numbers.stop - 1:
            return
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 and last >= start:
            start = last + 1  # memory had grown: a fresh process
            continue
        number = struct.unpack("q", shared[:8])[0]
        how = (
            "hang in code without signals"
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            else status
        )
        yield number, f"crash: the process ended ({how})"
        start = number + 1


def _answers(source: int, child: int) -> Iterator[tuple[int, str]]:
    """Results of a child, which is killed when it is silent for too long."""
    import select

    buffer = b""
    while True:
        if not select.select([source], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            return
        piece = os.read(source, 1 << 16)
        if not piece:
            return
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            number, found = json.loads(line)
            yield number, found


def _work(
    reader: Reader, folder: Path, numbers: range, seed: int, goal: int, shared: mmap.mmap, contents: Contents
) -> None:
    """What the child does; it never returns."""
    import torch

    code = 1
    try:
        torch.set_num_threads(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        size = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size + 4 * MEMORY, resource.RLIM_INFINITY))
        grown: list[bool] = []

        def tell(number: int, found: str | None) -> None:
            if found is None:
                shared[:8] = struct.pack("q", number)
                return
            os.write(goal, json.dumps([number, found]).encode() + b"\n")
            if found.startswith("memory"):
                grown.append(True)

        fresh = iter(number for number in numbers if not grown)
        attempt(reader, folder, fresh, seed, tell, contents)
        code = 0
    except BaseException:
        with suppress(BaseException):
            os.write(goal, json.dumps([-1, traceback.format_exc()[-2000:]]).encode() + b"\n")
    finally:
        os._exit(code)


def campaign(reader: Reader, folder: Path, state: Path, total: int, seed: int, step: Callable[[int], object]) -> None:
    """Read inputs up to a number, going on where an earlier call stopped; results are appended to a file of lines."""
    known = read_state(state)
    done = max((line["to"] for line in known if line["seed"] == seed), default=0)
    step(min(done, total))
    started, first = time.time(), done
    failures: list[tuple[int, str]] = []

    def keep(upto: int) -> None:
        nonlocal started, first
        now = time.time()
        line = {"target": reader.name, "seed": seed, "from": first, "to": upto, "seconds": round(now - started, 1)}
        with state.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"failures": failures}) + "\n")
        started, first = now, upto
        failures.clear()

    number = done - 1
    for number, found in run(reader, folder, range(done, total), seed):
        if found:
            failures.append((number, found))
        step(1)
        if (number + 1) % 1000 == 0:
            keep(number + 1)
    if number + 1 > first:
        keep(number + 1)
    shutil.rmtree(folder, ignore_errors=True)


def read_state(state: Path) -> list[dict[str, Any]]:
    """Lines of a state file; none if there is none yet."""
    if not state.is_file():
        return []
    found = []
    for line in state.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):  # the end of a call that was killed
            found.append(json.loads(line))
    return found
