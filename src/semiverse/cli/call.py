"""Turn words of a command line and YAML files into a call of a typed function."""

import copy
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, set_loader

from semiverse.cli.errors import mistakes
from semiverse.cli.help import command_help, topic_help
from semiverse.cli.schema import REQUIRED, options
from semiverse.cli.words import merged, name_words, read_config, set_value, split_words
from semiverse.configuration import Plain, describe, dump_yaml, load_yaml, modernized

USER_ERRORS = (ValueError, OSError, FloatingPointError, ImportError)
"""What is the data's, the call's or the installation's fault; everything else is ours and keeps its traceback."""

CONTINUES = {
    "train": "the same call goes on from the last checkpoint",
    "demo": "the same call goes on from the last checkpoint",
    "cluster": "the same call goes on with the images that are left",
    "reproduce": "the same call goes on with the runs that are left",
    "download": "the same call goes on where it stopped, if the server can send the rest of a file",
}
"""What a command does when it is called again after Ctrl-C; the others begin anew."""


def call(name: str, module: str, positional: Sequence[str], words: Sequence[str]) -> int:
    """Run the command ``name`` with these words; returns its exit code."""
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        with messages(debug):
            function = getattr(import_module(f"semiverse.commands.{module}"), name)
            text = _asked_text(name, function, positional, words)
            if text is not None:
                print(text)
                return 0
            result = function(**parse(name, function, positional, words))
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = None
        return 0
    except USER_ERRORS as error:
        if debug:
            raise
        print(f"semiverse {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = f"; {CONTINUES[name]}" if name in CONTINUES else ""
        print(f"\nsemiverse {name}: stopped{again}", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def parse(name: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Arguments of a function from words and files; objects are built.

    Raises:
        ValueError: If an option is unknown, missing or of another type.
        FileNotFoundError: If a file with options is missing.
    """
    parser, values = _parser(name, function), modernized(given_values(function, positional, words))
    defaults = _class_defaults(function)
    for key, kind in defaults.items():
        if isinstance(values.get(key), dict):
            values[key] = {"class_path": kind.__name__} | values[key]
    built = vars(parser.instantiate(_checked(parser, function, values)))
    return {key: _as_partial(value) for key, value in built.items() if key in values or key not in defaults}


def given_values(function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> dict[str, Plain]:
    """Options of a function as plain values, from words and the files that they name; later ones win.

    A command about a run starts from the data of that run.

    Raises:
        ValueError: If words or a file cannot be read as options.
        FileNotFoundError: If a file with options is missing.
    """
    known = options(function)
    nameless, pairs = split_words(words, known)
    named = name_words(nameless, positional)
    run = named.get("run") or dict(pairs).get("run")
    values: dict[str, Plain] = _data_of_run(Path(run)) if run and "data" in known else {}
    for title, value in pairs:
        if title == "config":
            values = merged(values, _from_file(Path(value), list(known)))
        elif title in known and known[title].many and not value.lstrip().startswith("["):
            values[title] = [*values.get(title, ()), load_yaml(value)]  # one of a list; several times: several
        else:
            set_value(values, title.split("."), value)
    if run and "data" in known and known["data"].default is REQUIRED and "data" not in values:
        raise ValueError(
            f"{run} has no config.yaml that would say which data it is about; expected a run folder, or the data as "
            "options: add --config FILE"
        )
    return values | named


def _from_file(path: Path, known: Sequence[str]) -> dict[str, Plain]:
    """Options from a YAML file; a file made for training serves the other commands that take data as well."""
    values = read_config(path)
    if "data" in known and not set(values) <= set(known):
        elsewhere = options(import_module("semiverse.commands.train").train)
        return {name: value for name, value in values.items() if name in known or name not in elsewhere}
    return values


def _asked_text(name: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> str | None:
    """What to print instead of running the command, if help or the configuration is asked for."""
    if "-h" in words or "--help" in words:
        return command_help(name, function, positional)
    for word, following in zip(words, [*words[1:], "--"], strict=False):
        topic = re.fullmatch(r"--([\w.]+)\.help(?:=(\w+))?", word)
        if topic:
            choice = topic[2] or (None if following.startswith("-") else following)
            return topic_help(function, topic[1].split("."), choice)
    if "--print_config" in words:
        values = describe(parse(name, function, positional, [word for word in words if word != "--print_config"]))
        values |= {"data": values["data"]["init_args"]} if values.get("data") else {}
        return dump_yaml(values).rstrip()
    return None


def _parser(name: str, function: Callable[..., Any]) -> ArgumentParser:
    set_loader("semiverse", load_yaml, exceptions=(ValueError,))
    if "data" in options(function):
        import_module("semiverse.datasets")  # so that class names are known
    parser = ArgumentParser(prog=f"semiverse {name}", parser_mode="semiverse", exit_on_error=False)
    parser.add_function_arguments(function)
    # The parser would fill in the options of the default class, and then hand them on to the class that is asked for.
    parser.set_defaults(dict.fromkeys(_class_defaults(function)))
    return parser


def _class_defaults(function: Callable[..., Any]) -> dict[str, type]:
    """Options of a function whose default is a class, with that class."""
    found = {name: option.default for name, option in options(function).items() if option.default is not REQUIRED}
    return {name: default for name, default in found.items() if isinstance(default, type)}


def _checked(parser: ArgumentParser, function: Callable[..., Any], values: dict[str, Plain]) -> Any:  # noqa: ANN401
    """Values of the right types, objects still described.

    Raises:
        ValueError: If an option is unknown, missing or of another type; the message says which, and the right one.
    """
    given = copy.deepcopy(values)
    try:
        return parser.parse_object(values)
    except ArgumentError as error:
        # The parser knows that something is wrong, but not how to say where.
        found = list(mistakes(given, options(function)))
        raise ValueError("\n  ".join(found) if found else re.sub(r"\s*tip: .*", "", str(error))) from error


def _data_of_run(run: Path) -> dict[str, Plain]:
    """The data that a run was trained on, so that options can change parts of it."""
    folder = run.parent if run.name == "model" and not (run / "config.yaml").is_file() else run
    if (folder / "config.yaml").is_file():
        return {"data": load_yaml((folder / "config.yaml").read_text(encoding="utf-8"))["data"]}
    if not folder.exists():
        raise FileNotFoundError(f"{run}: no such folder; expected a run, or a model: check the path")
    return {}


def _as_partial(value: object) -> object:
    """A plain ``partial`` of a class instead of the parser's own kind of it."""
    if isinstance(value, partial):
        kinds = [argument for argument in value.args if isinstance(argument, type)]
        if kinds:
            return partial(kinds[-1], **value.keywords)
    return value


@contextmanager
def messages(debug: bool) -> Iterator[None]:
    """Our own messages and warnings without ornament; those of others only where errors are looked for."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ours = logging.getLogger("semiverse")
    level = ours.level
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    with warnings.catch_warnings():
        if not debug:
            warnings.filterwarnings("always", module="semiverse")
            warnings.filterwarnings("ignore", module="(?!semiverse)")
            warnings.filterwarnings("ignore", category=FutureWarning)  # of other libraries, about how we call them
            warnings.showwarning = _show_warning
        try:
            yield
        finally:
            ours.setLevel(level)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
