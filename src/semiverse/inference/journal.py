"""What is done of some work, noted line by line, so that a call that was killed goes on and several processes merge.

Each process appends to a file of its own, hidden in the folder of the results; a line is on its way to the disk before
the next image is begun. The last process to finish reads them all, writes one list and removes them. They exchange
nothing else, so any number of nodes may share a folder.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, TextIO
from uuid import uuid4

from filelock import FileLock

from semiverse.distributed import launched
from semiverse.files import FULL_DISK, DataProblem

Entry = dict[str, Any]
LONGEST = 1800.0
"""Seconds after which a process gives up waiting for others of which nothing is seen."""
LAUNCH = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")
"""What the processes of one launch have in common."""


class Journal:
    """What is done of some work.

    Args:
        folder: Of the results.
        command: Whose they are.
        call: What the results depend on: only what a call with the same values noted counts.
        fresh: Start over: what earlier calls noted counts for nothing.
        share: Number of this process, and how many there are; None: as it was launched.

    Attributes:
        begun: Whether a call with the same values began before, or another process of this one.
        entries: What it noted, by key.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        call: Mapping[str, Any],
        fresh: bool = False,
        share: tuple[int, int] | None = None,
    ) -> None:
        self.folder, self.command, self.share = folder, command, share or launched()
        values = json.dumps(call, sort_keys=True, default=str) + (_launch(self.share[1]) if fresh else "")
        self._call = blake2b(values.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self._own = folder / f".{command}_{self.share[0]}.jsonl"
        self._lock_file = folder / f".{command}.lock"
        self._file: TextIO | None = None
        self._lock = Lock()
        found = list(self._read())
        self.begun, self.entries = bool(found), dict(entry for entries in found for entry in entries)

    def start(self) -> None:
        """Begin to note: from here on the call may be killed.

        Raises:
            OSError: If nothing can be written there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = _lines(self._own)
        known = bool(mine) and mine[0] == self._call
        with self._writing():
            self._file = self._own.open("a" if known else "w", encoding="utf-8")
        self._write("" if known else json.dumps(self._call))  # the last line may have been cut

    def note(self, key: str, entry: Entry) -> None:
        """Note that something is done; threads may do so at once."""
        with self._lock:
            if self._file is not None:
                self._write(json.dumps([key, entry]))

    def _write(self, line: str) -> None:
        """Append a line.

        Raises:
            OSError: If that cannot be done; the message names the file.
        """
        with self._writing():
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Name the file in what a disk refuses."""
        try:
            yield
        except OSError as error:
            raise OSError(f"{self._own} cannot be written ({error.strerror}); {FULL_DISK}") from error

    def wait_for(self, keys: Sequence[str]) -> list[Entry]:
        """Entries that this and other processes note, once all are there.

        Raises:
            ValueError: If nobody notes anything for half an hour.
        """
        known, since = dict[str, int](), time.monotonic()
        while True:
            found = dict(entry for entries in self._read() for entry in entries)
            if all(key in found for key in keys):
                return [found[key] for key in keys]
            sizes = {path.name: path.stat().st_size for path in self._files()}  # no times: clocks may jump
            known, since = (sizes, time.monotonic()) if sizes != known else (known, since)
            if time.monotonic() - since > LONGEST:
                missing = f"{self.folder}: {sum(key not in found for key in keys)} of {len(keys)} processes"
                expected = f"something of them within {LONGEST / 60:.0f} minutes"
                raise DataProblem(f"{missing} did not measure", expected, "repeat the call, which goes on")
            time.sleep(0.2)

    def close(self) -> None:
        """Stop to note; what was noted stays.

        Raises:
            OSError: If a line that could not be written before still cannot; the message names the file.
        """
        if self._file is not None:
            with self._writing():
                self._file.close()
            self._file = None

    def finish(self, keys: Iterable[str], merge: Callable[[dict[str, Entry]], None]) -> bool:
        """Merge what all processes noted if nothing is left to do, and remove what they noted.

        Args:
            keys: Everything that has to be done, by all processes.
            merge: Gets the entries by key, in the order of the keys.

        Returns:
            Whether this process did so, being the last one.
        """
        self.close()
        try:
            return self._finish(list(keys), merge)
        except ValueError:
            with suppress(OSError):  # it holds something
                self.folder.rmdir()
            raise

    def _finish(self, keys: Sequence[str], merge: Callable[[dict[str, Entry]], None]) -> bool:
        if not self._merge_alone(keys, merge):
            return False
        # Its own notes at last, when nothing else is left: a call that is killed before goes on with them. Without the
        # notes of others nobody else merges.
        self._own.unlink(missing_ok=True)
        return True

    def _merge_alone(self, keys: Sequence[str], merge: Callable[[dict[str, Entry]], None]) -> bool:
        """Merge what all noted, and remove the notes of others; False if something is left to do."""
        with self._alone():
            found = dict(entry for entries in self._read() for entry in entries)
            if not self._own.exists() or any(key not in found for key in keys):
                return False
            try:
                merge({key: found[key] for key in keys})
            except ValueError:  # there is nothing to go on with
                self.remove()
                raise
            for path in self._files():
                if path != self._own:
                    path.unlink(missing_ok=True)
            return True

    def remove(self) -> None:
        """Forget what was noted."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def is_alone(self) -> bool:
        """Whether nothing but notes lies in the folder: those of a call that could write nothing else, perhaps."""
        return set(self.folder.iterdir()) <= {*self._files(), self._lock_file}

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f".{self.command}_*.jsonl"))

    def _read(self) -> Iterator[list[tuple[str, Entry]]]:
        """What each process noted for this call."""
        for path in self._files():
            call, *lines = _lines(path) or [None]
            if call == self._call:
                yield [(line[0], line[1]) for line in lines if _is_entry(line)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time, where the drive knows locks."""
        lock = FileLock(self._lock_file, timeout=60)
        held = False
        with suppress(OSError, NotImplementedError):  # Timeout is an OSError
            lock.acquire()
            held = True
        try:
            yield
        finally:
            if held:
                Path(lock.lock_file).unlink(missing_ok=True)
                lock.release()


def refuse_foreign(journal: Journal) -> None:
    """Make sure that a folder is new, or holds what the same call began.

    Raises:
        ValueError: If it holds anything else.
    """
    folder = journal.folder
    if folder.exists() and not (folder.is_dir() and journal.is_alone()) and not journal.begun:
        found = f"{folder} is not empty; expected a new folder, as nothing is overwritten"
        raise ValueError(f"{found}: choose another --out, or repeat the call that began it")


def _is_entry(line: object) -> bool:
    """Whether a line is a key and what was noted of it."""
    return isinstance(line, list) and len(line) == 2 and isinstance(line[0], str) and isinstance(line[1], dict)


def _lines(path: Path) -> list[Any]:
    """Lines of a journal that are whole."""
    found: list[Any] = []
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


def _launch(processes: int) -> str:
    """What tells this launch from others."""
    if processes == 1:
        return uuid4().hex
    return " ".join(os.environ.get(name, "") for name in LAUNCH) + f" {os.getppid()}" * (
        "MASTER_PORT" not in os.environ
    )
