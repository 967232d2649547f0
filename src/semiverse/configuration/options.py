"""What can be set: options of functions and classes, read from their signatures and docstrings."""

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse

from semiverse.configuration.source import is_stand_in, read_choices

REQUIRED = inspect.Parameter.empty


class Option(NamedTuple):
    """One thing that can be set.

    Args:
        hint: Its type.
        default: Its value if it is not set; ``REQUIRED`` if it has to be.
        text: What it means.
    """

    hint: Any
    default: Any
    text: str

    @property
    def many(self) -> bool:
        """Whether it takes a list, and nothing else but none at all."""
        kinds = [kind for kind in (get_args(self.hint) or [self.hint]) if kind is not type(None)]
        return get_origin(self.hint) is list or all(get_origin(kind) is list for kind in kinds)

    @property
    def built(self) -> "ClassHint | None":
        """The class of which the option takes an object, a mapping or a list of them; None: it takes plain values."""
        return next((kind for part in alternatives(self.hint) if (kind := class_hint(item_hint(part) or part))), None)


@cache
def options(target: Callable[..., Any]) -> dict[str, Option]:
    """Options of a function or class by name; a class that hands ``**options`` on has those of its base as well."""
    found: dict[str, Option] = {}
    for function, text in _sources(target):
        hints = get_type_hints(function)
        meanings = {parameter.arg_name: parameter.description for parameter in parse(text).params}
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                option = Option(hints.get(parameter.name, Any), parameter.default, meanings.get(parameter.name) or "")
                found.setdefault(parameter.name, option)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _sources(target: Callable[..., Any]) -> Iterator[tuple[Callable[..., Any], str]]:
    """Signatures that options come from, with the docstring of each."""
    if not isinstance(target, type):
        yield target, target.__doc__ or ""
        return
    for kind in target.__mro__:
        if "__init__" in vars(kind):
            yield vars(kind)["__init__"], kind.__doc__ or ""


def _lacks_methods(kind: type) -> bool:
    """Whether a class leaves methods to its subclasses."""
    return any(getattr(value, "__isabstractmethod__", False) for value in (getattr(kind, n, None) for n in dir(kind)))


class ClassHint(NamedTuple):
    """A type that stands for an object to be built.

    Args:
        base: Its class, or the class that its own is derived from.
        waiting: Names of arguments that are not set by the user, such as the model that a method waits for.
    """

    base: type
    waiting: tuple[str, ...]

    @property
    def choices(self) -> dict[str, type]:
        """Classes that can be named in short, by name."""
        if is_stand_in(self.base):
            return read_choices(self.base)
        import_known_classes()
        ours = [kind for kind in _descendants(self.base) if kind.__module__.startswith("semiverse.")]
        whole = [kind for kind in ours if not kind.__name__.startswith("_") and not _lacks_methods(kind)]
        return {kind.__name__: kind for kind in whole or [self.base]}

    def options(self, kind: type) -> dict[str, Option]:
        """Options of one of the classes."""
        return {name: option for name, option in options(kind).items() if name not in self.waiting}


def import_known_classes() -> None:
    """Import the room of classes that may be named in short although nothing that takes them imports them."""
    import_module("semiverse.datasets")  # a method's base class brings the methods with it


def class_hint(hint: Any) -> ClassHint | None:  # noqa: ANN401  (a type hint has no type)
    """A type as a class to be built, or None if it is none: values, dictionaries, unions."""
    if get_origin(hint) is Callable or str(get_origin(hint)) == "<class 'collections.abc.Callable'>":
        given, base = get_args(hint)
        waiting = tuple(inspect.signature(base).parameters)[: len(given)]
        return ClassHint(base, waiting)
    if isinstance(hint, type) and get_origin(hint) is None:
        if hint.__module__.startswith("semiverse") or dataclasses.is_dataclass(hint):
            return ClassHint(hint, ())
    return None


def find_class(name: str, hint: ClassHint) -> type | None:
    """The class of this short name or import path, or None if there is none."""
    if "." not in name:
        return hint.choices.get(name)
    module, _, title = name.rpartition(".")
    try:
        found = getattr(import_module(module), title, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, hint.base) else None


def alternatives(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The types of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def item_hint(hint: Any) -> Any:  # noqa: ANN401
    """Type of the values of a mapping or a list, or None if it is none."""
    origin = get_origin(hint)
    return get_args(hint)[-1] if isinstance(origin, type) and issubclass(origin, Mapping | list) else None


NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null", Any: "anything"}


def type_name(hint: Any) -> str:  # noqa: ANN401
    """A type in words that users understand."""
    if hint in NAMES:
        return NAMES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if len(alternatives(hint)) > 1:
        return " or ".join(type_name(part) for part in alternatives(hint))
    built = class_hint(hint)
    if built is not None:
        return built.base.__name__
    if origin is tuple and Ellipsis not in arguments:
        return f"[{', '.join(type_name(part) for part in arguments)}]"
    if isinstance(origin, type):
        many = "mapping of names to" if issubclass(origin, Mapping) else "list of"
        return f"{many} {type_name(arguments[issubclass(origin, Mapping)])}"
    return "path" if getattr(hint, "__name__", "") == "Path" else getattr(hint, "__name__", str(hint))


def default_text(option: Option) -> str:
    """A default as it would be written in YAML; empty if there is nothing short to say."""
    value = option.default
    if value is REQUIRED:
        return "required"
    if isinstance(value, type):
        return value.__name__
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return str(list(value))
    plain = not dataclasses.is_dataclass(value) and not is_stand_in(value) and "factory" not in repr(value)
    return str(value) if plain else ""


def nearest(name: str, known: Mapping[str, Any] | Sequence[str], otherwise: str) -> str:
    """The question whether the nearest known name was meant, or other advice where none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    """Names as text."""
    return ", ".join(names) or "nothing"


def _descendants(kind: type) -> Iterator[type]:
    children: list[type] = kind.__subclasses__()
    for child in children:
        yield child
        yield from _descendants(child)
