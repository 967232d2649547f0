"""Configurations as plain values: read from YAML, described from objects, compared."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

Plain = Any
"""None, bool, int, float, str, and lists and string-keyed dictionaries of them."""


def describe(value: object) -> Plain:
    """An object as the plain values that would build it again.

    Data classes become their fields; other objects ``class_path`` and ``init_args``, read from attributes that carry
    the names of the constructor's arguments; classes and partial calls of them the same, with defaults filled in.

    Raises:
        TypeError: If an object does not keep its arguments under their own names.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [describe(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: describe(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, type | partial):
        return _described_class(value)
    names = _argument_names(type(value))
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise TypeError(
            f"{type(value).__name__} does not keep its arguments {', '.join(missing)}; expected attributes of the same "
            "names, from which its configuration is written: store them in __init__"
        )
    return {"class_path": _path(type(value)), "init_args": {name: describe(getattr(value, name)) for name in names}}


def describe_arguments(value: object) -> Plain:
    """Only the arguments of an object, for places where its class is fixed."""
    return describe(value)["init_args"]


def _described_class(value: type | partial[Any]) -> Plain:
    """A class that waits for its first argument, such as a method for its model."""
    kind, given = (value.func, value.keywords) if isinstance(value, partial) else (value, {})
    arguments: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if "__init__" in vars(base) and base.__module__.split(".")[0] not in ("torch", "pytorch_lightning", "builtins"):
            signature = inspect.signature(base.__init__)
            arguments |= {
                name: parameter.default
                for name, parameter in signature.parameters.items()
                if parameter.default is not inspect.Parameter.empty
            }
    return {"class_path": _path(kind), "init_args": describe(arguments | given)}


def _argument_names(kind: type) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]


def _path(kind: type) -> str:
    """Where a class is imported from: the package that re-exports it, if one does."""
    return f"{kind.__module__}.{kind.__qualname__}"


def differences(old: Plain, new: Plain, where: str = "") -> list[str]:
    """Where two configurations differ, one line each: ``data.batch_size: 4, now 8``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [
            line
            for key in keys
            for line in differences(old.get(key, "(absent)"), new.get(key, "(absent)"), f"{where}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{where}: {old}, now {new}"]


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would silently keep the last, such as the second of two equal domains."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ValueError(f"key {key!r} stands twice (again in line {line}); expected each once: rename one of them")
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 as text; papers write learning rates that way.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)$|^[-+]?\d[\d_]*\.[\d_]*$|^[-+]?\.(?:inf|nan)$"),
    list("-+0123456789."),
)


def load_yaml(text: str) -> Plain:
    """Plain values from YAML text.

    Raises:
        ValueError: If a key stands twice, or the text is no YAML.
    """
    try:
        return yaml.load(text, _UniqueKeyLoader)  # noqa: S506  (a safe loader)
    except yaml.YAMLError as error:
        raise ValueError(f"not readable as YAML: {error}") from error


def dump_yaml(values: Plain) -> str:
    """Plain values as YAML text, in the order given."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
