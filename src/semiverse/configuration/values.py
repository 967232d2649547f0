"""Configurations as plain values: read from YAML, merged, described from objects, compared."""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import yaml

REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

USER_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)
"""What is the data's, the call's or the installation's fault; everything else is ours and keeps its traceback."""

Plain = Any
"""None, bool, int, float, str, and lists and string-keyed dictionaries of them."""


def describe(value: object) -> Plain:
    """An object as the plain values that would build it again.

    Data classes become their fields; other objects ``class_path`` and ``init_args``, read from attributes that carry
    the names of the constructor's arguments; classes, functions and partial calls of them the same, with defaults
    filled in.

    Raises:
        TypeError: If an object does not keep its arguments under their own names, or a function has no name.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [describe(item) for item in value]
    if isinstance(value, type | partial) or inspect.isfunction(value):
        return _described_callable(value)
    if is_dataclass(value):
        return {field.name: describe(getattr(value, field.name)) for field in fields(value)}
    names = [
        name for name, parameter in inspect.signature(type(value)).parameters.items() if parameter.kind not in REST
    ]
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise TypeError(
            f"{type(value).__name__} does not keep its arguments {', '.join(missing)}; expected attributes of the same "
            "names, from which its configuration is written: store them in __init__"
        )
    return {"class_path": _path(type(value)), "init_args": {name: describe(getattr(value, name)) for name in names}}


def _described_callable(value: Callable[..., Any]) -> Plain:
    """A class or function that waits for its first argument, such as a method for its model."""
    called, given = (value.func, value.keywords) if isinstance(value, partial) else (value, {})
    arguments: dict[str, Any] = {}
    for function in reversed(_constructors(called)):
        arguments |= {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
    return {"class_path": _path(called), "init_args": describe(arguments | given)}


def _constructors(called: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Functions whose arguments a class takes (its own and, by ``**options``, those it inherits), or the function."""
    if not isinstance(called, type):
        return [called]
    found: list[Callable[..., Any]] = []
    for kind in called.__mro__:
        if "__init__" in vars(kind):
            constructor = vars(kind)["__init__"]
            found.append(constructor)
            if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(constructor).parameters.values()):
                break
    return found


def _path(called: Callable[..., Any]) -> str:
    """Where a class or function is imported from: the shortest package that offers it under its own name."""
    module, name = called.__module__, called.__qualname__
    if "<" in name:
        raise TypeError(
            f"{name} in {module} cannot be named in a configuration; expected a class or a function of a module: write "
            "one, or fill in options with functools.partial"
        )
    parts = module.split(".")
    packages = (".".join(parts[:length]) for length in range(1, len(parts)))
    offers = (package for package in packages if vars(sys.modules[package]).get(name) is called)
    return f"{next(offers, module)}.{name}"


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
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                raise ValueError(
                    f"key {key.value!r} stands twice (again in line {key.start_mark.line + 1}); expected each once: "
                    "rename one of them"
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around text that the loader would read as a number."""


# YAML 1.1 reads 1e-3 as text; papers write learning rates that way.
_EXPONENT = re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
for _side in (_UniqueKeyLoader, _Dumper):
    _side.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789."))


def load_yaml(text: str) -> Plain:
    """Plain values from YAML text.

    Raises:
        ValueError: If a key stands twice, or the text is no YAML.
    """
    try:
        return yaml.load(text, _UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ValueError(
            f"not readable as YAML ({error}); expected keys and values: check indents and quotes"
        ) from error


def dump_yaml(values: Plain) -> str:
    """Plain values as YAML text, in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_config(path: Path) -> dict[str, Plain]:
    """Options from a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or no mapping.
    """
    if not path.is_file():
        near = get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        hint = f"did you mean {path.with_name(near[0])}?" if near else "check the path"
        raise FileNotFoundError(f"{path}: no such file; expected a YAML file with options: {hint}")
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(
            f"{path}: found {type(values).__name__}; expected options as keys and values: see the examples"
        )
    return modernized(values)


def merged(old: Plain, new: Plain) -> Plain:
    """The new value; of two mappings, what either says, and the new one where both do, unless they are two classes."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    if "class_path" in new and new["class_path"] != old.get("class_path"):
        return new
    return old | {name: merged(old.get(name), value) for name, value in new.items()}


def modernized(values: dict[str, Plain]) -> dict[str, Plain]:
    """The same configuration with keys of earlier versions written as today.

    Every file passes through here when it is read, and all options together before they are checked: a key of an
    earlier version that is left then was given in words, after the files.
    """
    return values
