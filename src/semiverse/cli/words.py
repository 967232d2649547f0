"""Words of a command line as plain values."""

from collections.abc import Sequence
from typing import Any

from semiverse.configuration import Plain, load_yaml, merged
from semiverse.configuration.options import Option, alternatives


def split_words(words: Sequence[str], known: dict[str, Option]) -> tuple[list[str], list[tuple[str, str]]]:
    """Words without a name, and pairs of names (without dashes) and values; they may stand in any order.

    Options that are true or false need no value to be true.

    Raises:
        ValueError: If a value is missing.
    """
    nameless: list[str] = []
    pairs: list[tuple[str, str]] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--"):
            nameless.append(word)
            continue
        name, sign, value = word.removeprefix("--").partition("=")
        if not sign:
            flag = name in known and bool in alternatives(known[name].hint)
            if flag and (not waiting or waiting[0].lower() not in ("true", "false")):
                value = "true"
            elif not waiting:
                raise ValueError(f"--{name} has no value; expected one after it: --{name} VALUE")
            else:
                value = waiting.pop(0)
        pairs.append((name, value))
    return nameless, pairs


def name_words(nameless: Sequence[str], positional: Sequence[str]) -> dict[str, Plain]:
    """Words without a name as values of the arguments that take them; the last of these may take many.

    Raises:
        ValueError: If there are more words than arguments.
    """
    values: dict[str, Plain] = {}
    rest = list(nameless)
    for name in positional:
        if name.endswith("...") and rest:
            values[name.removesuffix("...")], rest = rest, []
        elif rest:
            values[name] = rest.pop(0)
    if rest:
        first = " ".join(positional).upper()
        raise ValueError(f"{rest[0]!r} stands alone; expected {first} and then names: put --option before it")
    return values


def set_value(values: dict[str, Plain], path: Sequence[str], value: Plain) -> None:
    """Set the option that a dotted path leads to; ``class_path`` and ``init_args`` need not be named."""
    inner = values
    for name in path[:-1]:
        inner = _as_mapping(_inside(inner, name), name)
    target = _inside(inner, path[-1])
    old = target.get(path[-1])
    replaces = path[-1] == "class_path" and old not in (None, value)
    target[path[-1]] = merged(old, value)
    if replaces:
        target.pop("init_args", None)


def _inside(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping that holds ``name``: the arguments of a class where the class itself is described."""
    if "class_path" in values and name not in ("class_path", "init_args"):
        return _as_mapping(values, "init_args")
    return values


def _as_mapping(values: dict[str, Any], name: str) -> dict[str, Any]:
    """``values[name]`` as a mapping: made if it is not there, read if it is text, a class if it is a class's name."""
    inner = values.get(name)
    if isinstance(inner, str):
        read = load_yaml(inner)
        inner = read if isinstance(read, dict) else {"class_path": inner}
    values[name] = dict(inner) if isinstance(inner, dict) else {}
    mapping: dict[str, Any] = values[name]
    return mapping
