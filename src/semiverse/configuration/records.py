"""Records out of files: data classes and named tuples from plain values, each checked against its type first.

A file that was cut, mixed up or edited by hand may hold anything where a number is expected; whoever computes with it
would stop far away from the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from semiverse.files import DataProblem

Kind = TypeVar("Kind")
LARGEST = 2**512
"""Beyond, a whole number of hundreds of digits cannot be computed with as a float."""
REMEDY = "restore the file, or have it written anew"


def record(kind: type[Kind], values: object, where: str) -> Kind:
    """A data class or named tuple of what a file says; fields that it leaves out have their defaults.

    Args:
        kind: The class; classes of this kind among its fields, and in lists of them, are made too.
        values: What the file says.
        where: What that is, with the file, for messages.

    Raises:
        ValueError: If a field is missing, unknown or of another type.
    """
    hints, needed = _fields(cast(Any, kind))
    given = checked(values, dict[str, Any], where)
    if unknown := [name for name in given if name not in hints]:
        raise DataProblem(f"{where} has {unknown[0][:60]!r}", f"only {', '.join(hints)}", REMEDY)
    if lacking := [name for name in needed if name not in given]:
        raise DataProblem(f"{where} has no {lacking[0]!r}", f"{', '.join(needed)}", REMEDY)
    return kind(**{name: _made(value, hints[name], f"{where}: {name}") for name, value in given.items()})


def checked(value: Any, hint: Any, where: str) -> Any:  # noqa: ANN401  (of any type, as the hint says)
    """A value of a file that has the type of a hint.

    Raises:
        ValueError: If it has another.
    """
    if not fits(value, hint):
        from semiverse.configuration.options import type_name  # only now, as it reads sources

        raise DataProblem(f"{where} is {short(value)}", type_name(hint), REMEDY)
    return value


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401  (a type hint has no type)
    """Whether a plain value has the type of a hint; whole numbers are floats too, truth values are no numbers.

    Texts are no sequences, but paths. What has a class of its own is made from a mapping.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if hint in (Any, object):
        return True
    if hint is None or hint is type(None):
        return value is None
    if hint is float or hint is int:
        return _is_number(value, hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if origin is tuple and Ellipsis not in parts:
        return isinstance(value, list | tuple) and len(value) == len(parts) and all(map(fits, value, parts))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, list | tuple) and all(fits(item, parts[0]) for item in value)
    if _has_fields(hint):
        return isinstance(value, dict | hint)
    return isinstance(value, str | Path if hint is Path else hint)


def _made(value: object, hint: Any, where: str) -> Any:  # noqa: ANN401
    checked(value, hint, where)
    if isinstance(value, dict) and _has_fields(hint):
        return record(hint, value, where)
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(value, list) and isinstance(origin, type) and issubclass(origin, Sequence):
        if _has_fields(parts[0]):
            value = [_made(item, parts[0], f"{where}.{number}") for number, item in enumerate(value)]
        return tuple(value) if origin is tuple else value
    return value


def _is_number(value: object, kind: type) -> bool:
    if isinstance(value, float):
        return kind is float
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def _has_fields(hint: Any) -> bool:  # noqa: ANN401
    return isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields"))


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401
    """Type of each field, and the fields without a default."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        own = {one.name: one for one in fields(kind) if one.init}
        needed = [name for name, one in own.items() if one.default is MISSING and one.default_factory is MISSING]
        return {name: hints[name] for name in own}, needed
    names, defaults = kind._fields, kind._field_defaults
    return {name: hints[name] for name in names}, [name for name in names if name not in defaults]


def short(value: object) -> str:
    """A value as it is written in Python, for messages; only its beginning where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"
