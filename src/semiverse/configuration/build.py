"""Build objects from plain values: checked first against the signatures of what is built."""

import copy
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from jsonargparse import ArgumentError, ArgumentParser

from semiverse.configuration.mistakes import mistakes, new_parser
from semiverse.configuration.options import REQUIRED, import_known_classes, options
from semiverse.configuration.values import Plain, modernized

Built = TypeVar("Built")


def build(kind: type[Built], values: Mapping[str, Plain], where: str = "") -> Built:
    """An object of a class from the plain values of its arguments.

    Args:
        kind: The class.
        values: Its arguments.
        where: What messages call it: ``data``.

    Raises:
        ValueError: If an argument is unknown, missing or of another type; or what the class raises.
    """
    import_known_classes()
    parser, target = new_parser(), cast(Callable[..., Built], kind)
    parser.add_class_arguments(kind, "built", sub_configs=True)
    found: Built = _instantiated(parser, {"built": values}, lambda: mistakes(values, options(target), where)).built
    return found


def arguments(function: Callable[..., Any], values: Mapping[str, Plain]) -> dict[str, Any]:
    """Arguments of a function from plain values; only those that are given, and defaults that are no classes.

    Raises:
        ValueError: If one is unknown, missing or of another type; or what a class raises that is built.
    """
    values, known = modernized(dict(values)), options(function)
    if any(option.built for option in known.values()):
        import_known_classes()
    parser = new_parser()
    parser.add_function_arguments(function)
    # The parser would fill in the options of a default class, and then hand them on to the class that is asked for.
    classes = {name: option.default for name, option in known.items() if _is_class(option.default)}
    parser.set_defaults(dict.fromkeys(classes))
    for name, kind in classes.items():
        if isinstance(values.get(name), dict):
            values[name] = {"class_path": kind.__name__} | values[name]
    built = vars(_instantiated(parser, values, lambda: mistakes(values, known)))
    return {name: _as_partial(value) for name, value in built.items() if name in values or name not in classes}


def _instantiated(parser: ArgumentParser, values: Mapping[str, Plain], wrong: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What the parser makes of values.

    Raises:
        ValueError: If they are wrong; the message says where, and what is right.
    """
    try:
        parsed = parser.parse_object(copy.deepcopy(dict(values)))  # which changes what it is given
    except ArgumentError as error:
        # The parser knows that something is wrong, but not how to say where.
        raise ValueError("\n  ".join(wrong()) or re.sub(r"\s*tip: .*", "", str(error))) from error
    return parser.instantiate(parsed)


def _is_class(value: object) -> bool:
    return isinstance(value, type) and value is not REQUIRED


def _as_partial(value: object) -> object:
    """A plain ``partial`` of a class instead of the parser's own kind of it."""
    if isinstance(value, partial):
        kinds = [argument for argument in value.args if isinstance(argument, type)]
        if kinds:
            return partial(kinds[-1], **value.keywords)
    return value
