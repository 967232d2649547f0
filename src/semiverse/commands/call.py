"""Turn words of a command line and YAML files into a call of a typed function."""

import inspect
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_loader

from semiverse.configuration import load_yaml

USER_ERRORS = (ValueError, OSError, FloatingPointError)
"""What is the data's or the call's fault; everything else is ours and keeps its traceback."""


class Parser(ArgumentParser):
    """Options from a function's signature; a misspelt name is answered with the nearest right one."""

    vocabulary: Callable[[], set[str]] = set

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002  (jsonargparse's signature)
        """Say what is wrong in one message and leave with exit code 2."""
        unknown = re.findall(
            r"Option '([\w.]+)' is not accepted|import path string: (\w+)|--([\w.]+)|[Kk]ey '([\w.]+)'|\"([\w.]+)\"", message
        )
        words = {word.split(".")[-1] for found in unknown for word in found if word}
        known = self.vocabulary()
        near = {word: get_close_matches(word, known, n=1) for word in sorted(words - known)}
        hints = [f"did you mean {match[0]!r} instead of {word!r}?" for word, match in near.items() if match]
        print("\n".join([f"semiverse: {_tidy(message)}", *hints]), file=sys.stderr)
        sys.exit(2)


def call(name: str, module: str, positional: Sequence[str], words: Sequence[str]) -> int:
    """Run the command ``name`` with these words; returns its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    debug = "--debug" in words
    try:
        function = getattr(import_module(f"semiverse.commands.{module}"), name)
        with warnings.catch_warnings():
            if not debug:
                warnings.filterwarnings("ignore", module="(?!semiverse)")
                warnings.showwarning = _show_warning
            arguments = parse(name, function, positional, [word for word in words if word != "--debug"])
            result = function(**arguments)
    except USER_ERRORS as error:
        if debug:
            raise
        print(f"semiverse {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"semiverse {name}: stopped; the same call goes on from the last checkpoint", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def parse(name: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Arguments of a function from words and files; objects are built."""
    set_loader("semiverse", load_yaml, exceptions=(ValueError,))
    parser = Parser(prog=f"semiverse {name}", parser_mode="semiverse")
    parser.vocabulary = partial(_vocabulary, parser)
    parser.add_argument("--config", action="config", help="YAML file with any of these options; later options win")
    parser.add_function_arguments(function, sub_configs=True)
    import_module("semiverse.datasets")  # so that class names are known
    words = _named(positional, words, _defaults_of_run(function, positional, words))
    parsed = parser.parse_args(words)
    built = parser.instantiate(parsed)
    arguments = {key: value for key, value in vars(built).items() if key != "config"}
    return {key: _as_partial(value) for key, value in arguments.items()}


def _named(positional: Sequence[str], words: Sequence[str], first: list[str]) -> list[str]:
    """Words with names put before those that were given without."""
    options: list[str] = []
    values: list[str] = []
    waiting = False
    for word in words:
        if waiting or word.startswith("-"):
            options.append(word)
            flag = word in ("-h", "--help") or "=" in word or word.startswith("--print_config")
            waiting = not waiting and not flag
        else:
            values.append(word)
    for i, name in enumerate(positional):
        if name.endswith("...") and values[i:]:
            first += [f"--{name.removesuffix('...')}", json.dumps(values[i:])]
            values = values[:i]
        elif i < len(values):
            first += [f"--{name}", values[i]]
    if len(values) > len(positional):
        raise ValueError(f"{values[len(positional)]!r} was given without a name; expected --option value pairs")
    return first + options


def _defaults_of_run(function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> list[str]:
    """The data of the run that a command is about, so that options can change parts of it."""
    names = inspect.signature(function).parameters
    if "run" not in positional or "data" not in names or not words or words[0].startswith("-"):
        return []
    config = Path(words[0]) / "config.yaml"
    if not config.is_file():
        return []
    data = load_yaml(config.read_text(encoding="utf-8"))["data"]
    return ["--data", json.dumps(data)]


def _as_partial(value: object) -> object:
    """jsonargparse's own partial call of a class as a plain ``partial`` of that class."""
    if isinstance(value, partial):
        kinds = [argument for argument in value.args if isinstance(argument, type)]
        if kinds:
            return partial(kinds[-1], **value.keywords)
    return value


def _vocabulary(parser: Parser) -> set[str]:
    """Names of all options and of the classes that can be chosen."""
    words = {key.split(".")[-1] for key in parser.get_defaults(skip_validation=True)}
    for module in ("datasets", "methods", "mixture", "models", "data", "resolution"):
        for title, member in vars(import_module(f"semiverse.{module}")).items():
            if isinstance(member, type) and member.__module__.startswith("semiverse"):
                words |= {title, *inspect.signature(member).parameters}
    return words


def _tidy(message: str) -> str:
    """Without the parser's own pointers."""
    return re.sub(r"\s*tip: .*", "", message).strip()


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
