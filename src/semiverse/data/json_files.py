"""Read annotations from JSON."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, wanted: str) -> dict[str, Any]:
    """The content of a JSON file whose outermost value is an object.

    Args:
        path: The file.
        wanted: What it should hold, for the message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or another value.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {wanted}: correct the path")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # no UTF-8, or no JSON
        raise ValueError(
            f"{path}: not readable as JSON ({error}); expected {wanted}: export or download it again"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: found a {type(content).__name__} in this JSON; expected an object with {wanted}: is it another "
            "kind of file? Export it again"
        )
    return content


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
        kinds = kind if isinstance(kind, tuple) else (kind,)
        found = "no" if value is None else f"a {type(value).__name__} as"
        raise ValueError(
            f"{where} has {found} {name!r}; expected {' or '.join(each.__name__ for each in kinds)}: correct the file, "
            "or export it again"
        )
    return value
