"""What can be set: options of functions and classes, read from their signatures and docstrings.

Functions of the library are read from its source too, so that explaining a command imports nothing that it would need.
"""

import ast
import dataclasses
import inspect
import pkgutil
import types
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse

from semiverse.configuration import signatures

REQUIRED = inspect.Parameter.empty
LIBRARY = Path(__file__).parents[1]


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
        return all(get_origin(kind) is list for kind in alternatives(self.hint) if kind is not type(None))

    @property
    def built(self) -> "ClassHint | None":
        """The class of which the option takes an object, a mapping or a list of them; None: it takes plain values."""
        return next((kind for part in alternatives(self.hint) if (kind := class_hint(item_hint(part) or part))), None)


def option_name(argument: str) -> str:
    """What the option of an argument is called."""
    return argument.removesuffix("_")


@cache
def options(target: Callable[..., Any]) -> dict[str, Option]:
    """Options of a function or class by name; a class that hands ``**options`` on has those of its base as well.

    An argument whose name is a word of Python ends in an underscore, its option does not: ``as_`` is ``--as``.
    """
    found: dict[str, Option] = {}
    for function, signature, text in signatures(target):
        hints = get_type_hints(function)
        meanings = {parameter.arg_name: parameter.description for parameter in parse(text).params}
        for name, parameter in signature.parameters.items():
            if name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(
                    option_name(name), Option(hints.get(name, Any), parameter.default, meanings.get(name) or "")
                )
    return found


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
        """Classes that can be named in short, by name: those of ours that leave no method to their subclasses."""
        if hasattr(self.base, "__stand_in__"):
            return _read_choices(self.base)
        import_known_classes()
        known = [self.base]
        for kind in known:  # which grows
            known += kind.__subclasses__()
        ours = {
            kind.__name__: kind
            for kind in sorted(known[1:], key=lambda kind: kind.__name__)
            if kind.__module__.startswith("semiverse.") and not kind.__name__.startswith("_")
            if not any(getattr(getattr(kind, name, None), "__isabstractmethod__", False) for name in dir(kind))
        }
        return ours or {self.base.__name__: self.base}

    def options(self, kind: type) -> dict[str, Option]:
        """Options of one of the classes."""
        return {name: option for name, option in options(kind).items() if name not in self.waiting}


def import_known_classes() -> None:
    """Import the room of classes that may be named in short although nothing that takes them imports them."""
    import_module("semiverse.datasets")  # a method's base class brings the methods with it


def class_hint(hint: Any) -> ClassHint | None:  # noqa: ANN401  (a type hint has no type)
    """A type as a class to be built, or None if it is none: values, dictionaries, unions."""
    if get_origin(hint) is Callable:
        given, base = get_args(hint)
        return ClassHint(base, tuple(inspect.signature(base).parameters)[: len(given)])
    if isinstance(hint, type) and get_origin(hint) is None:
        if hint.__module__.startswith("semiverse") or dataclasses.is_dataclass(hint):
            return ClassHint(hint, ())
    return None


def find_class(name: str, hint: ClassHint) -> type | None:
    """The class of this short name or import path, or None if there is none."""
    if "." not in name:
        return hint.choices.get(name)
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
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
        return " or ".join(map(type_name, arguments))
    if built := class_hint(hint):
        return built.base.__name__
    if origin is tuple and Ellipsis not in arguments:
        return f"[{', '.join(map(type_name, arguments))}]"
    if isinstance(origin, type):
        named = issubclass(origin, Mapping)
        return f"{'mapping of names to' if named else 'list of'} {type_name(arguments[named])}"
    name: str = getattr(hint, "__name__", str(hint))
    return "path" if name == "Path" else name


def default_text(option: Option) -> str:
    """A default as it would be written in YAML; empty if there is nothing short to say."""
    value = option.default
    if value is REQUIRED:
        return "required"
    if isinstance(value, type):
        return value.__name__
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if dataclasses.is_dataclass(value) or hasattr(value, "__stand_in__") or "factory" in repr(value):
        return ""
    return str(list(value) if isinstance(value, tuple) else value)


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """The question whether the nearest known name was meant, or other advice where none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def listed(known: Mapping[str, Any], name: str, otherwise: str) -> str:
    """Known names, and the nearest to one that is not known, or other advice."""
    return f"{', '.join(known) or 'nothing'}: {nearest(name, known, otherwise)}"


def read_function(module: str, name: str) -> Callable[..., Any]:
    """A function of one of our modules with signature and docstring alone, without importing the module.

    Classes of ours in its signature are stand-ins of the same names.
    """
    found: Callable[..., Any] = _Names(module)[name]
    return found


def _place(module: str) -> Path:
    """Where one of our modules or packages is, without a suffix."""
    return LIBRARY.joinpath(*module.split(".")[1:])


class _Names(dict[str, Any]):
    """What names at the top of one of our modules stand for; classes by stand-ins, others' modules imported."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module, place = module, _place(module)
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        self._body = ast.parse(file.read_text(encoding="utf-8")).body

    def __missing__(self, name: str) -> Any:  # noqa: ANN401
        for node in self._body:
            match node:
                case ast.ClassDef() if node.name == name:
                    return self.setdefault(name, _stand_in(name, self.module))
                case ast.FunctionDef() if node.name == name:  # its signature and docstring, and nothing to do
                    node.decorator_list, node.body = [], node.body[:1]
                    exec(compile(ast.Module([node], []), name, "exec"), {}, self)
                    return self[name]
                case (
                    ast.Assign(targets=[ast.Name(id=found)], value=ast.expr() as value)
                    | ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value)
                ) if found == name:
                    return self.setdefault(name, eval(compile(ast.Expression(value), name, "eval"), {}, self))
                case ast.Import() if name in [alias.asname or alias.name for alias in node.names]:
                    return import_module(name)
                case ast.ImportFrom(module=str(home)):
                    for alias in node.names:
                        if name == (alias.asname or alias.name):
                            source = _Names(home) if home.startswith("semiverse.") else vars(import_module(home))
                            return self.setdefault(name, source[alias.name])
        raise KeyError(name)  # so that built-in names are found


def _read_choices(kind: type) -> dict[str, type]:
    """Stand-ins for the classes that derive from one and lack nothing, from the modules beside it, by name."""
    room = kind.__module__.rpartition(".")[0]
    classes = {
        node.name: (f"{room}.{file.stem}", node)
        for file in _place(room).glob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }

    def derives(name: str) -> bool:
        bases = map(ast.unparse, classes[name][1].bases) if name in classes else ()
        return any(base == kind.__name__ or derives(base) for base in bases)

    whole = {
        name: _stand_in(name, module)
        for name, (module, node) in sorted(classes.items())
        if derives(name) and not name.startswith("_") and "@abstractmethod" not in ast.unparse(node)
    }
    return whole or {kind.__name__: kind}


def _stand_in(name: str, module: str) -> type:
    return type(name, (), {"__module__": module, "__stand_in__": True})
