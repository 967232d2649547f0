"""Find what is wrong with options, and say where and what is right."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser, set_loader

from semiverse.configuration.options import (
    REQUIRED,
    ClassHint,
    Option,
    alternatives,
    class_hint,
    find_class,
    item_hint,
    listed,
    nearest,
    type_name,
)
from semiverse.configuration.values import Plain, load_yaml

set_loader("semiverse", load_yaml, exceptions=(ValueError,))


def new_parser() -> ArgumentParser:
    """A parser that reads YAML as we do, and raises errors."""
    return ArgumentParser(parser_mode="semiverse", exit_on_error=False)


def mistakes(values: Mapping[str, Plain], known: Mapping[str, Option], where: str = "") -> Iterator[str]:
    """Everything that is wrong with these options, one message each: where, what was found, what was expected."""
    for name, value in values.items():
        place = f"{where}.{name}".lstrip(".")
        if name in known:
            yield from value_mistakes(value, known[name].hint, place)
        else:
            yield f"{place} is no option; expected {listed(known)}: {nearest(str(name), known, 'remove or rename it')}"
    for name, option in known.items():
        if option.default is REQUIRED and name not in values:
            place = f"{where}.{name}".lstrip(".")
            yield f"{place} is missing; expected {type_name(option.hint)} ({option.text.rstrip('.')}): add it"


def value_mistakes(value: Plain, hint: Any, where: str) -> Iterator[str]:  # noqa: ANN401  (a type hint has no type)
    """What is wrong with a value of this type: shown at its parts, where only one kind of it has some."""
    if _fits(value, hint):
        return
    deep = [part for part in alternatives(hint) if class_hint(part) or item_hint(part) is not None]
    built, inner = (class_hint(deep[0]), item_hint(deep[0])) if len(deep) == 1 else (None, None)
    value = value if built else _read(value)
    if built:
        yield from _class_mistakes(value, built, where)
    elif isinstance(value, list if get_origin(deep[0] if deep else hint) is list else dict) and inner is not None:
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from value_mistakes(item, inner, f"{where}.{name}")
    else:
        literals = [str(one) for part in alternatives(hint) if get_origin(part) is Literal for one in get_args(part)]
        yield f"{where} is {value!r}; expected {type_name(hint)}: {nearest(str(value), literals, 'correct it')}"


def _class_mistakes(value: Plain, hint: ClassHint, where: str) -> Iterator[str]:
    """What is wrong with the description of an object."""
    if isinstance(value, str):
        value = read if isinstance(read := _read(value), dict) else {"class_path": value}
    if not isinstance(value, dict):
        yield f"{where} is {value!r}; expected options of {hint.base.__name__}: give names and values"
        return
    kind: type | None = hint.base
    arguments = value
    if "class_path" in value:
        kind = find_class(str(value["class_path"]), hint)
        arguments = value.get("init_args") or {}
        yield from (f"{where}.{name} stands beside class_path; expected only init_args there: move it into init_args"
                    for name in value if name not in ("class_path", "init_args"))  # fmt: skip
    elif len(hint.choices) > 1:
        yield f"{where} names no class; expected class_path, one of {listed(hint.choices)}: add it, and init_args"
        return
    if kind is None:
        name = str(value["class_path"])
        advice = nearest(name.split(".")[-1], hint.choices, "or give the import path of your own class")
        yield f"{where}: there is no {hint.base.__name__} {name!r}; expected one of {listed(hint.choices)}: {advice}"
    else:
        yield from mistakes(arguments, hint.options(kind), f"{where}.init_args" if "class_path" in value else where)


def _fits(value: Plain, hint: Any) -> bool:  # noqa: ANN401
    """Whether the parser takes a value for one of this type."""
    parser = new_parser()
    parser.add_argument("--value", type=hint)
    try:
        parser.parse_object({"value": copy.deepcopy(value)})
    except ArgumentError:
        return False
    return True


def _read(value: Plain) -> Plain:
    """A value, read as YAML if it is text: on a command line all values are."""
    return load_yaml(value) if isinstance(value, str) else value
