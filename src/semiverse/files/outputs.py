"""Folders for results: a command replaces only what an earlier call of it wrote, and never what it reads.

A hidden file in the folder keeps the list of what was written, with a digest of each: a mask that somebody corrected
by hand since is his.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from semiverse.files.problems import DataProblem, reading
from semiverse.files.writing import FULL_DISK, write_atomically


class Outputs:
    """Writes the results of a command into a folder.

    Args:
        folder: Where; made with the first file.
        command: Whose results they are: each has a list of its own.
        inputs: Files that this call reads.
        known: Files that versions before these lists wrote, by their paths in the folder.
    """

    def __init__(self, folder: Path, command: str, inputs: Iterable[Path] = (), known: Iterable[str] = ()) -> None:
        self.folder, self.command = folder, command
        self.list = folder / f".written_by_{command}"
        self._inputs = {os.path.realpath(given) for given in inputs}
        self._known = self._read() or {name: {None} for name in known}

    def _read(self) -> dict[str, set[str | None]]:
        """Digests of each file that was written, by its path in the folder; one that was written twice has two."""
        found: dict[str, set[str | None]] = {}
        if not self.list.is_file():
            return found
        with reading(self.list):
            lines = self.list.read_text(encoding="utf-8").splitlines()
        for line in lines:
            with suppress(ValueError, TypeError):  # the end of a call that was killed
                name, digest = json.loads(line)
                found.setdefault(name, set()).add(digest)
        return found

    def wrote(self, name: str) -> bool:
        """Whether a file is as an earlier call of the command left it."""
        digests = self._known.get(name, set())
        with suppress(OSError):
            return None in digests or _digest((self.folder / name).read_bytes()) in digests
        return False

    def foreign(self, names: Iterable[str]) -> list[str]:
        """Those of some files that are there, and that no call of the command left so."""
        return [name for name in names if os.path.lexists(self.folder / name) and not self.wrote(name)]

    def there(self, names: Iterable[str]) -> list[str]:
        """Those of some files that an earlier call of the command wrote and nobody changed."""
        return [name for name in names if os.path.lexists(self.folder / name) and self.wrote(name)]

    def refuse_foreign(self, names: Iterable[str]) -> None:
        """Make sure that nothing but earlier results would be replaced.

        Args:
            names: Paths in the folder that are going to be written.

        Raises:
            ValueError: If one of them is a file that is read, or one that the command did not write.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise DataProblem(f"{self.folder} is a file", "a folder for the results", "choose another --out")
        listed = list(names)
        for name in listed:
            if os.path.realpath(self.folder / name) in self._inputs:
                found = f"{self.folder / name} is one of the files that are read"
                raise DataProblem(found, "results elsewhere, as they would replace it", "choose another --out")
        if foreign := self.foreign(listed):
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            found = f"{self.folder} holds {foreign[0]}{more}, which semiverse {self.command} did not write, or not so"
            remedy = "choose another --out, or move them elsewhere"
            raise DataProblem(found, "only its own earlier results there, as nothing else is replaced", remedy)

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file whole or not at all, and note it.

        Raises:
            ValueError: If another file is there.
            OSError: If it cannot be written.
        """
        self.refuse_foreign([name])
        data = content.encode("utf-8") if isinstance(content, str) else content
        digest = _digest(data)
        self._note(name, digest)
        write_atomically(self.folder / name, data)
        self._known.setdefault(name, set()).add(digest)

    def take(self, name: str, file: Path) -> None:
        """Put a complete file, which lies on the same drive, in its place, and note it.

        Raises:
            ValueError: If another file is there.
            OSError: If it cannot be moved.
        """
        self.refuse_foreign([name])
        digest = _digest(file.read_bytes())
        self._note(name, digest)
        file.replace(self.folder / name)
        self._known.setdefault(name, set()).add(digest)

    def _note(self, name: str, digest: str) -> None:
        """Add a line to the list, before the file: a call that is killed between leaves a note, not a file too many."""
        if digest in self._known.get(name, set()) and self.list.is_file():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.list.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, digest]) + "\n")
        except OSError as error:
            raise OSError(f"{self.folder} cannot be written ({error.strerror}); {FULL_DISK}") from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove earlier results; what is not, or not any more, the command's own stays."""
        for name in names:
            if self.wrote(name):
                (self.folder / name).unlink(missing_ok=True)
                self._known.pop(name)

    @property
    def names(self) -> list[str]:
        """What earlier calls wrote, and this one."""
        return list(self._known)


def refuse_inside(folder: Path, places: Iterable[Path]) -> None:
    """Make sure that results do not come to lie among the images that are read.

    Args:
        folder: For the results.
        places: Files and folders that are read.

    Raises:
        ValueError: If the folder is one of those that are read: the next call would read the results.
    """
    for place in places:
        if place.is_dir() and os.path.realpath(place) == os.path.realpath(folder):
            found = f"{folder} is the folder that the images are read from"
            raise DataProblem(found, "another one, as results would lie among them", "choose another --out")


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
