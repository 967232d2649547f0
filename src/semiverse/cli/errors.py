"""Find what is wrong with options, and say where and what is right."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from semiverse.cli.schema import REQUIRED, ClassHint, Option, alternatives, class_hint, find_class, item_hint, type_name
from semiverse.configuration import Plain, load_yaml


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
    """What is wrong with a value of this type."""
    choices = alternatives(hint)
    if len(choices) > 1:
        of_each = [list(value_mistakes(value, choice, where)) for choice in choices if choice is not type(None)]
        if all(of_each) and not (type(None) in choices and _read(value) is None):
            yield from of_each[0] if len(of_each) == 1 and _is_deep(choices) else [_wrong(value, hint, where)]
        return
    built, inner = class_hint(hint), item_hint(hint)
    if built is not None:
        yield from _class_mistakes(value, built, where)
    elif inner is not None:
        value = _read(value)
        if not isinstance(value, dict):
            yield _wrong(value, hint, where)
            return
        for name, item in value.items():
            yield from value_mistakes(item, inner, f"{where}.{name}")
    elif not _fits(value, hint):
        yield _wrong(value, hint, where)


def _class_mistakes(value: Plain, hint: ClassHint, where: str) -> Iterator[str]:
    """What is wrong with the description of an object."""
    if isinstance(value, str) and isinstance(_read(value), dict):
        value = _read(value)
    if isinstance(value, str):
        value = {"class_path": value}
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


def nearest(name: str, known: Mapping[str, Any] | Sequence[str], otherwise: str) -> str:
    """The question whether the nearest known name was meant, or other advice where none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    """Names as text."""
    return ", ".join(names) or "nothing"


def _wrong(value: Plain, hint: Any, where: str) -> str:  # noqa: ANN401
    literals = [str(choice) for part in alternatives(hint) if get_origin(part) is Literal for choice in get_args(part)]
    return f"{where} is {value!r}; expected {type_name(hint)}: {nearest(str(value), literals, 'correct it')}"


def _is_deep(choices: Sequence[Any]) -> bool:
    """Whether a type has parts of its own, so that a mistake is better shown there."""
    return any(class_hint(choice) is not None or item_hint(choice) is not None for choice in choices)


def _fits(value: Plain, hint: Any) -> bool:  # noqa: ANN401
    """Whether a plain value is of a plain type; what is not known here is left to the parser."""
    if hint is Any:
        return True
    if hint in (str, Path):
        return isinstance(value, str)
    origin, arguments = get_origin(hint), get_args(hint)
    value = _read(value)
    if origin is Literal:
        return value in arguments or str(value) in arguments
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    if hint is type(None):
        return value is None
    if origin is tuple and Ellipsis not in arguments:
        return isinstance(value, list) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    return True


def _read(value: Plain) -> Plain:
    """A value, read as YAML if it is text: on a command line all values are."""
    return load_yaml(value) if isinstance(value, str) else value
