"""What ``--help`` prints: every option with its meaning and default, and of what it is made."""

import argparse
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from docstring_parser import parse

from semiverse.configuration.options import (
    REQUIRED,
    ClassHint,
    Option,
    default_text,
    find_class,
    item_hint,
    listed,
    options,
    read_function,
    type_name,
)


def command_help(name: str, positional: Sequence[str]) -> str:
    """Help on a command, without importing it; classes to choose from are imported where they are listed."""
    function = read_function(f"semiverse.commands.{name}", name)
    known = options(function)
    words = [f"{word.removesuffix('...').upper()}{'...' if word.endswith('...') else ''}" for word in positional]
    entries = {f"--{title}": _meaning(f"--{title}", option) for title, option in known.items()}
    if any(option.built for option in known.values()):
        words.append("[--config FILE]" if "run" in positional else "--config FILE")
        file = "YAML file with any of these options; what stands behind it wins"
        printed = "Print every value that would be used, as YAML, and stop"
        entries = {"--config FILE": file, **entries, "--print_config": printed}
    entries["--debug"] = "Show where an error came from"
    usage = " ".join(["usage: semiverse", name, *words, "[--option value ...]"])
    return f"{usage}\n\n{_text(_description(function.__doc__), entries)}"


def topic_help(function: Callable[..., Any], path: Sequence[str], name: str | None) -> str:
    """Help on the class that an option takes (``--method.help Universal``), or on the classes to choose from.

    Args:
        function: The command.
        path: Names that lead to the option.
        name: One of its classes; None: the only one, or a list of all.

    Raises:
        ValueError: If there is no such option or class.
    """
    hint, dotted = _hint_at(options(function), path), f"--{'.'.join(path)}"
    if name is None and len(hint.choices) > 1:
        about = f"{dotted} takes one of these, or the import path of a class of your own:"
        entries = {title: parse(kind.__doc__ or "").short_description or "" for title, kind in hint.choices.items()}
        return f"{_text(about, entries)}\n\n{dotted}.help NAME lists the options of one of them."
    name = name or next(iter(hint.choices))
    kind = find_class(name, hint)
    if kind is None:
        expected = listed(hint.choices, name, "choose one of them")
        raise ValueError(f"there is no {hint.base.__name__} {name!r}; expected one of {expected}")
    known = {f"{dotted}.{title}": option for title, option in hint.options(kind).items()}
    about = f"{kind.__module__}.{kind.__qualname__}\n\n{_description(kind.__doc__)}"
    return _text(about, {title: _meaning(title, option) for title, option in known.items()})


def _hint_at(known: Mapping[str, Option], path: Sequence[str]) -> ClassHint:
    """The class that the option at a path takes; names of a mapping's items may be left out."""
    name, *rest = path
    if name not in known:
        raise ValueError(f"there is no option {name!r}; expected one of {listed(known, name, 'correct it')}")
    hint, found = known[name].hint, known[name].built
    if found is None:
        raise ValueError(f"option {name!r} takes {type_name(hint)} and has no options of its own: see --help")
    parts = {title: option for kind in found.choices.values() for title, option in found.options(kind).items()}
    if rest and item_hint(hint) is not None and rest[0] not in parts:
        rest = rest[1:]
    return _hint_at(parts, rest) if rest else found


def _meaning(name: str, option: Option) -> str:
    """Text, choices or type, and default of an option."""
    kind, default = type_name(option.hint), default_text(option)
    if option.built:
        several = len(option.built.choices) > 1
        kind = f"one of {', '.join(option.built.choices)}; {name}.help NAME" if several else f"see {name}.help"
    facts = [kind, default if option.default is REQUIRED else f"default: {default}" if default else ""]
    return f"{option.text} [{'; '.join(filter(None, facts))}]".strip()


def _text(about: str, entries: Mapping[str, str]) -> str:
    """Paragraphs, and below them entries beside their meanings."""
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    form = partial(argparse.RawDescriptionHelpFormatter, max_help_position=26, width=width)
    wrapped = "\n\n".join(textwrap.fill(paragraph, width) for paragraph in about.split("\n\n"))
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=wrapped, add_help=False, formatter_class=form, prefix_chars="\0"
    )
    group = parser.add_argument_group()
    for number, (title, meaning) in enumerate(entries.items()):
        group.add_argument(str(number), metavar=title, help=meaning.replace("``", "").replace("%", "%%"))
    return parser.format_help().strip("\n")


def _description(text: str | None) -> str:
    """What a docstring says before its arguments."""
    parsed = parse(text or "")
    return "\n\n".join(filter(None, [parsed.short_description, parsed.long_description])).replace("``", "")
