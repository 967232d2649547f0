"""Build objects from plain values, checked against signatures: what is wrong is said with its place and what is right.

The parser only knows that something is wrong.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser, set_loader

from semiverse.configuration import Plain, load_yaml, modernized
from semiverse.configuration.options import (
    REQUIRED,
    ClassHint,
    Option,
    alternatives,
    class_hint,
    find_class,
    import_known_classes,
    item_hint,
    listed,
    nearest,
    option_name,
    options,
    type_name,
)
from semiverse.configuration.records import short

Built = TypeVar("Built")


def load_value(text: str) -> Plain:
    """What an option is given as text; a folder may be called "#1" or "&a", which YAML takes for nothing.

    Raises:
        ValueError: If the text is no YAML.
    """
    value = load_yaml(text)
    return text if value is None and text.strip() not in ("", "~", "null", "Null", "NULL") else value


set_loader("semiverse", load_value, exceptions=(ValueError,))


def build(kind: Callable[..., Built], values: Mapping[str, Plain], where: str = "") -> Built:
    """An object of a class from the plain values of its arguments.

    Args:
        kind: The class.
        values: Its arguments.
        where: What messages call it: ``data``.

    Raises:
        ValueError: If an argument is unknown, missing or of another type; or what the class raises.
    """
    import_known_classes()
    values = _spelled_options(values, options(kind), where)
    parser = _new_parser()
    parser.add_class_arguments(kind, "built", sub_configs=True)
    found: Built = _instantiated(parser, {"built": values}, _mistakes(values, options(kind), where)).built
    return found


def arguments(function: Callable[..., Any], values: Mapping[str, Plain]) -> dict[str, Any]:
    """Arguments of a function from plain values; only those that are given, and defaults that are no classes.

    Raises:
        ValueError: If one is unknown, missing or of another type; or what a class raises that is built.
    """
    values, known = modernized(dict(values)), options(function)
    if any(option.built for option in known.values()):
        import_known_classes()
    values = _spelled_options(values, known)
    parser = _new_parser()
    parser.add_function_arguments(function)
    # The parser would fill in the options of a default class, and then hand them on to the class that is asked for.
    defaults = {name: option.default for name, option in known.items() if option.default is not REQUIRED}
    classes = {name: default for name, default in defaults.items() if isinstance(default, type)}
    parser.set_defaults(dict.fromkeys(classes))
    for name, kind in classes.items():
        if isinstance(values.get(name), dict):
            values[name] = {"class_path": kind.__name__} | values[name]
    spelled = {option_name(name): name for name in inspect.signature(function).parameters}
    given = {spelled.get(name, name): value for name, value in values.items()}
    built = vars(_instantiated(parser, given, _mistakes(values, known)))
    for name, value in built.items():
        kinds = [one for one in value.args if isinstance(one, type)] if isinstance(value, partial) else []
        if kinds:  # the parser's own kind of a partial call
            built[name] = partial(kinds[-1], **value.keywords)
    return {name: value for name, value in built.items() if name in given or name not in classes}


def _new_parser() -> ArgumentParser:
    """A parser that reads YAML as we do, and raises errors."""
    return ArgumentParser(parser_mode="semiverse", exit_on_error=False)


def _instantiated(parser: ArgumentParser, values: Mapping[str, Plain], wrong: Iterator[str]) -> Any:  # noqa: ANN401
    """What the parser makes of values; ``wrong`` is asked only where it refuses them.

    Raises:
        ValueError: If they are wrong; the message says where, and what is right.
    """
    try:
        parsed = parser.parse_object(copy.deepcopy(dict(values)))  # which changes what it is given
    except (ArgumentError, OverflowError) as error:
        raise ValueError("\n  ".join(wrong) or re.sub(r"\s*tip: .*", "", str(error))) from error
    try:
        return parser.instantiate(parsed)
    except TypeError as error:  # the parser lets pass nothing where a number belongs, and what is no options
        told = "\n  ".join(wrong)
        if not told and "must be a mapping" not in str(error):
            raise
        raise ValueError(told or f"init_args: {error}; expected names and values: correct it") from error


def _spelled_options(values: Mapping[str, Plain], known: Mapping[str, Option], where: str = "") -> dict[str, Plain]:
    """Options whose values are text where text is wanted.

    Raises:
        ValueError: If YAML read a word as something else, so that its spelling is lost.
    """
    return {
        name: _spelled(value, known[name].hint, f"{where}.{name}".lstrip(".")) if name in known else value
        for name, value in values.items()
    }


def _spelled(value: Plain, hint: Any, where: str) -> Plain:  # noqa: ANN401
    """A value in which whole numbers are text where text or a path is wanted."""
    kinds = alternatives(hint)
    built = next((found for kind in kinds if (found := class_hint(kind))), None)
    inner = next((item for kind in kinds if (item := _item(kind)) is not None), None)
    if {str, Path, type(None)} >= set(kinds) != {type(None)}:
        return _text(value, kinds, where)
    if built and isinstance(value, dict):
        name = value.get("class_path")
        kind = built.base if name is None else find_class(str(name), built)
        given = value if name is None else value.get("init_args")
        if given is not None and not isinstance(given, dict):
            raise ValueError(f"{where}.init_args is {short(given)}; expected names and values: correct it")
        if kind is None or given is None:
            return value
        spelled = _spelled_options(given, built.options(kind), where if name is None else f"{where}.init_args")
        return spelled if name is None else value | {"init_args": spelled}
    if inner is not None and isinstance(value, list):
        return [_spelled(item, inner, f"{where}.{number}") for number, item in enumerate(value)]
    if inner is not None and isinstance(value, dict):
        return {_text(key, (str,), where): _spelled(item, inner, f"{where}.{key}") for key, item in value.items()}
    return value


def _item(hint: Any) -> Any:  # noqa: ANN401
    """Type of the items of a list or mapping, of tuples of any length too; None if it is none."""
    parts = get_args(hint)
    if get_origin(hint) is Sequence or (get_origin(hint) is tuple and len(parts) == 2 and parts[1] is Ellipsis):
        return parts[0]
    return item_hint(hint)


def _text(value: Plain, kinds: tuple[Any, ...], where: str) -> Plain:
    """A value of an option that takes text or a path, and perhaps null."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, bool | float | date) or (value is None and type(None) not in kinds):
        found = f"{where} is {value!r}, as YAML reads yes, no, null, 1.0 and 2021-05-01 without quotes"
        raise ValueError(f"{found}; expected text: put quotes around it")
    return value


def _mistakes(values: Mapping[str, Plain], known: Mapping[str, Option], where: str = "") -> Iterator[str]:
    """Everything that is wrong with these options, one message each: where, what was found, what was expected."""
    for name, value in values.items():
        place = f"{where}.{name}".lstrip(".")
        if name in known:
            yield from _value_mistakes(value, known[name].hint, place)
        else:
            yield f"{place[:160]} is no option; expected {listed(known, str(name), 'remove or rename it')}"
    for name, option in known.items():
        if option.default is REQUIRED and name not in values:
            place = f"{where}.{name}".lstrip(".")
            yield f"{place} is missing; expected {type_name(option.hint)} ({option.text.rstrip('.')}): add it"


def _value_mistakes(value: Plain, hint: Any, where: str) -> Iterator[str]:  # noqa: ANN401  (a type hint has no type)
    """What is wrong with a value of this type: shown at its parts, where only one kind of it has some."""
    parser = _new_parser()
    parser.add_argument("--value", type=hint)
    accepted = True
    try:
        parser.parse_object({"value": copy.deepcopy(value)})
    except (ArgumentError, OverflowError):
        accepted = False
    if accepted and (not _holds_null(value) or (value is None and not _lacks(value, hint))):
        return
    deep = [part for part in alternatives(hint) if class_hint(part) or item_hint(part) is not None]
    built, inner = (class_hint(deep[0]), item_hint(deep[0])) if len(deep) == 1 else (None, None)
    read = load_yaml(value) if isinstance(value, str) else value  # on a command line all values are text
    if built:
        class_name = isinstance(value, str) and not isinstance(read, dict)
        yield from _class_mistakes({"class_path": value} if class_name else read, built, where)
    elif isinstance(read, list if get_origin(deep[0] if deep else hint) is list else dict) and inner is not None:
        for name, item in read.items() if isinstance(read, dict) else enumerate(read):
            yield from _value_mistakes(item, inner, f"{where}.{name}")
    elif not accepted or _lacks(read, hint):
        literals = [str(one) for part in alternatives(hint) if get_origin(part) is Literal for one in get_args(part)]
        try:
            _spelled(read, hint, where)
        except ValueError as error:  # of a list on a command line
            yield str(error)
            return
        yield f"{where} is {short(read)}; expected {type_name(hint)}: {nearest(str(read), literals, 'correct it')}"


def _holds_null(value: Plain) -> bool:
    """Whether null stands anywhere in it: the parser lets it pass in options of objects and in tuples."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_holds_null, inner))


def _lacks(value: Plain, hint: Any) -> bool:  # noqa: ANN401  (a type hint has no type)
    """Whether null stands where this type, or that of a part of a tuple, knows none."""
    kinds = alternatives(hint)
    if value is None:
        return not {Any, type(None)} & {*kinds}
    tuples = [get_args(kind) for kind in kinds if get_origin(kind) is tuple]
    if not isinstance(value, list | tuple) or not tuples:
        return False
    return all(any(map(_lacks, value, types[:1] * len(value) if types[-1] is ... else types)) for types in tuples)


def _class_mistakes(value: Plain, hint: ClassHint, where: str) -> Iterator[str]:
    """What is wrong with the description of an object."""
    if not isinstance(value, dict):
        yield f"{where} is {short(value)}; expected options of {hint.base.__name__}: give names and values"
    elif "class_path" in value:
        yield from (f"{where}.{name} stands beside class_path; expected only init_args there: move it into init_args"
                    for name in value if name not in ("class_path", "init_args"))  # fmt: skip
        name, given = str(value["class_path"]), value.get("init_args") or {}
        if not isinstance(given, dict):
            yield f"{where}.init_args is {short(given)}; expected names and values: correct it"
        elif kind := find_class(name, hint):
            yield from _mistakes(given, hint.options(kind), f"{where}.init_args")
        else:
            expected = listed(hint.choices, name.split(".")[-1], "or give the import path of your own class")
            yield f"{where}: there is no {hint.base.__name__} {short(name)}; expected one of {expected}"
    elif len(hint.choices) > 1:
        yield f"{where} names no class; expected class_path, one of {', '.join(hint.choices)}: add it, and init_args"
    else:
        yield from _mistakes(value, hint.options(hint.base), where)
