"""Files of the user's read whole: text, JSON, and the values in it."""

import json
from pathlib import Path
from typing import Any

from semiverse.files.problems import DataProblem, missing, reading


def read_json(path: Path, wanted: str) -> dict[str, Any]:
    """The content of a JSON file whose outermost value is an object.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or another value.
    """
    with reading(path, wanted, "export or download it again", "not readable as JSON"):
        content = json.loads(read_text(path, wanted), object_pairs_hook=_once)
    if not isinstance(content, dict):
        found = f"{path}: found a {type(content).__name__} in this JSON"
        raise DataProblem(found, f"an object with {wanted}", "is it another kind of file? Export it again")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; Python's reader would silently take the last of two values of a key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in an object")
    return found


def read_text(path: Path, wanted: str = "UTF-8 text") -> str:
    """The text of a file of the user's, without the mark that Windows' programs put before it.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it may not be read, or is no UTF-8.
    """
    with reading(path, wanted):
        if not path.is_file():
            raise missing(path, wanted)
        content = path.read_bytes()
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found = "UTF-16, as PowerShell writes it" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else f"{error}"
            raise DataProblem(f"{path}: no UTF-8 text ({found})", wanted, "save it as UTF-8") from error


def value_of(entry: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:  # noqa: ANN401  (JSON)
    """A value of a JSON object that has to be there and of its type.

    Args:
        entry: The object.
        name: The key.
        kind: Type or types that it may have.
        where: What the object is, for the message.

    Raises:
        ValueError: If it is missing or of another type.
    """
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        found = "no" if value is None else f"a {type(value).__name__} as"
        expected = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise DataProblem(f"{where} has {found} {name!r}", expected, "correct the file, or export it again")
    return value
