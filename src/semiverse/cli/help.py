"""What ``--help`` prints: every option with its meaning and default, and of what it is made."""

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from docstring_parser import parse

from semiverse.cli.errors import listed, nearest
from semiverse.cli.schema import (
    REQUIRED,
    ClassHint,
    Option,
    alternatives,
    class_hint,
    default_text,
    find_class,
    item_hint,
    options,
    type_name,
)

COLUMN = 26
"""Where meanings begin."""


def command_help(name: str, function: Callable[..., Any], positional: Sequence[str]) -> str:
    """Help on a command."""
    known = options(function)
    words = [f"{word.removesuffix('...').upper()}{'...' if word.endswith('...') else ''}" for word in positional]
    config = any(_parts(option) for option in known.values())
    file = [] if not config else ["[--config FILE]" if "run" in positional else "--config FILE"]
    usage = " ".join(["usage: semiverse", name, *words, *file, "[--option value ...]"])
    lines = [usage, "", *_wrapped(_description(function.__doc__), 0), ""]
    if config:
        lines += _entry("--config FILE", "YAML file with any of these options; what stands behind it wins")
    lines += [line for title, option in known.items() for line in _entry(f"--{title}", _meaning(f"--{title}", option))]
    if config:
        lines += _entry("--print_config", "Print every value that would be used, as YAML, and stop")
    return "\n".join([*lines, *_entry("--debug", "Show where an error came from")])


def topic_help(function: Callable[..., Any], path: Sequence[str], name: str | None) -> str:
    """Help on the class that an option takes (``--method.help Universal``), or on the classes to choose from.

    Args:
        function: The command.
        path: Names that lead to the option.
        name: One of its classes; None: the only one, or a list of all.

    Raises:
        ValueError: If there is no such option or class.
    """
    hint = _hint_at(options(function), path)
    if name is None and len(hint.choices) == 1:
        name = next(iter(hint.choices))
    if name is None:
        dotted = ".".join(path)
        lines = [f"--{dotted} takes one of these, or the import path of a class of your own:", ""]
        lines += [line for title, kind in hint.choices.items() for line in _entry(title, _summary(kind.__doc__))]
        return "\n".join([*lines, "", f"--{dotted}.help NAME lists the options of one of them."])
    kind = find_class(name, hint)
    if kind is None:
        advice = nearest(name, hint.choices, "choose one of them")
        raise ValueError(f"there is no {hint.base.__name__} {name!r}; expected one of {listed(hint.choices)}: {advice}")
    lines = [f"{kind.__module__}.{kind.__qualname__}", "", *_wrapped(_description(kind.__doc__), 0), ""]
    for title, option in hint.options(kind).items():
        lines += _entry(title, _meaning(f"--{'.'.join([*path, title])}", option))
    return "\n".join(lines)


def _hint_at(known: Mapping[str, Option], path: Sequence[str]) -> ClassHint:
    """The class that the option at a path takes; names of a mapping's items may be left out."""
    name, *rest = path
    if name not in known:
        raise ValueError(
            f"there is no option {name!r}; expected one of {listed(known)}: {nearest(name, known, 'correct it')}"
        )
    hint = known[name].hint
    found = next((built for part in alternatives(hint) if (built := class_hint(part))), None)
    inner = class_hint(item_hint(hint))
    if found is None and inner is not None:
        found = inner
        rest = rest[1:] if rest and rest[0] not in inner.options(inner.base) else rest
    if found is None:
        raise ValueError(f"option {name!r} takes {type_name(hint)} and has no options of its own: see --help")
    parts = {title: option for kind in found.choices.values() for title, option in found.options(kind).items()}
    return _hint_at(parts, rest) if rest else found


def _parts(option: Option) -> ClassHint | None:
    """The class whose options an option has, if it has any."""
    inner = item_hint(option.hint)
    hints = (inner,) if inner is not None else alternatives(option.hint)
    return next((built for hint in hints if (built := class_hint(hint))), None)


def _meaning(name: str, option: Option) -> str:
    """Text, choices or type, and default of an option."""
    built = _parts(option)
    if built is None:
        kind = type_name(option.hint)
    elif len(built.choices) > 1:
        kind = f"one of {listed(built.choices)}; {name}.help NAME"
    else:
        kind = f"see {name}.help"
    default = default_text(option)
    facts = [kind, default if option.default is REQUIRED else f"default: {default}" if default else ""]
    return f"{option.text} [{'; '.join(filter(None, facts))}]".strip()


def _entry(title: str, text: str) -> Iterator[str]:
    first, *rest = _wrapped(" ".join(text.split()), COLUMN)
    if len(title) + 4 > COLUMN:
        yield f"  {title}"
        yield first
    else:
        yield f"  {title:<{COLUMN - 2}}{first.strip()}"
    yield from rest


def _wrapped(text: str, indent: int) -> list[str]:
    """Lines of a text, paragraph by paragraph."""
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    space = " " * indent
    return [
        line
        for paragraph in text.split("\n\n")
        for line in (textwrap.wrap(paragraph, width, initial_indent=space, subsequent_indent=space) or [space])
    ]


def _summary(text: str | None) -> str:
    return (parse(text or "").short_description or "").replace("``", "")


def _description(text: str | None) -> str:
    """What a docstring says before its arguments."""
    parsed = parse(text or "")
    return "\n\n".join(filter(None, [parsed.short_description, parsed.long_description])).replace("``", "")
