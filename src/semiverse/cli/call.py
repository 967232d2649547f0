"""Turn words of a command line and YAML files into a call of a typed function."""

import io
import logging
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import semiverse
from semiverse.cli.help import command_help, topic_help
from semiverse.cli.main import Command
from semiverse.configuration import USER_ERRORS, Plain, describe, dump_yaml, load_yaml, merged, read_config
from semiverse.configuration.options import REQUIRED, Option, alternatives, options
from semiverse.downloads.hub import is_hub_name
from semiverse.files import DataProblem, disk_failure, out_of_memory
from semiverse.importing import uncollected


def call(name: str, command: Command, words: Sequence[str]) -> int:
    """Run the command ``name`` with these words; returns its exit code."""
    debug = "--debug" in words
    hooks = sys.unraisablehook, threading.excepthook
    words = [word for word in words if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every sign; what it lacks is spelled
            stream.reconfigure(errors="backslashreplace")
    if not debug:
        threading.excepthook = _told_in_a_line
    try:
        with messages(debug), stoppable():
            if "-h" in words or "--help" in words:
                print(command_help(name, command.positional))
                return 0
            with uncollected():
                function = getattr(import_module(f"semiverse.commands.{name}"), name)
            text = _asked_text(name, function, command.positional, words)
            if text is not None:
                print(text)
                return 0
            result = function(**parse(name, function, command.positional, words))
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stdout = None
        return 0
    except KeyboardInterrupt as stop:
        _stay_quiet()
        print(f"\nsemiverse {name}: stopped{'; ' * bool(command.again)}{command.again}", file=sys.stderr)
        traceback.clear_frames(stop.__traceback__)  # what they hold is given back here and now
        return 130
    except Exception as error:
        memory = out_of_memory(error)
        if debug or not (memory or isinstance(error, USER_ERRORS)):
            raise
        told = (
            (disk_failure(error) or error) if not memory or isinstance(error, DataProblem) else _memory(error, command)
        )
        print(f"semiverse {name}: {told}", file=sys.stderr)
        return 2
    finally:
        sys.unraisablehook, threading.excepthook = hooks
    return result if isinstance(result, int) else 0


def parse(_: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Arguments of a function from words and files; objects are built.

    Raises:
        ValueError: If an option is unknown, missing or of another type.
        FileNotFoundError: If a file with options is missing.
    """
    from semiverse.configuration.build import arguments  # help needs no parser

    return arguments(function, given_values(function, positional, words))


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
    shipped = Path(semiverse.__file__).parent / "recipes" / f"{path}.yaml"  # such as universal/rows/univ_cross
    values = read_config(shipped if shipped.is_file() and not path.is_file() else path)
    if "data" in known and not set(values) <= set(known):
        elsewhere = options(import_module("semiverse.commands.train").train)
        return {name: value for name, value in values.items() if name in known or name not in elsewhere}
    return values


def _data_of_run(run: Path) -> dict[str, Plain]:
    """The data that a run was trained on, so that options can change parts of it."""
    folder = run.parent if run.name == "model" and not (run / "config.yaml").is_file() else run
    if (folder / "config.yaml").is_file():
        values = read_config(folder / "config.yaml", silent=True)
        return {"data": values["data"]} if values.get("data") else {}
    if not folder.exists() and not is_hub_name(run):
        raise FileNotFoundError(f"{run}: no such folder; expected a run, or a model: check the path")
    return {}


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
    name, *rest = path
    old = values.get(name)
    if "class_path" in values and name not in ("class_path", "init_args"):
        set_value(values, ["init_args", *path], value)
    elif rest:
        read = load_yaml(old) if isinstance(old, str) else old  # YAML, or a class's name
        values[name] = dict(read) if isinstance(read, dict) else {"class_path": old} if isinstance(old, str) else {}
        set_value(values[name], rest, value)
    else:
        values[name] = merged(old, value)
        if name == "class_path" and old not in (None, value):
            values.pop("init_args", None)


def _asked_text(name: str, function: Callable[..., Any], positional: Sequence[str], words: Sequence[str]) -> str | None:
    """What to print instead of running the command, if help on an option or the configuration is asked for."""
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


def _memory(error: BaseException, command: Command) -> str:
    """What to say where memory ran out."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"not enough memory ({reason}); expected less to be needed at once: {command.smaller}"


@contextmanager
def stoppable() -> Iterator[None]:
    """Let what schedulers and closing terminals send (SIGTERM, SIGHUP) end a command as Ctrl-C does.

    What is ignored stays so, as under nohup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, *signals)}
    changed = {one: old for one, old in before.items() if old in (signal.SIG_DFL, signal.default_int_handler)}
    for one in changed:
        signal.signal(one, _stop)
    try:
        yield
    finally:
        for one, old in changed.items():
            signal.signal(one, old)


def _stop(*_: object) -> None:
    _stay_quiet()
    raise KeyboardInterrupt


def _stay_quiet() -> None:
    """Tell nothing of what ends together with a command that is stopped, such as its loading processes."""
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.unraisablehook = threading.excepthook = _tell_nothing


def _tell_nothing(_: object) -> None:
    pass


def _told_in_a_line(failed: threading.ExceptHookArgs) -> None:
    """A disk that failed a thread, such as that of TensorBoard's files, fails what comes next as well."""
    told = None if failed.exc_value is None else disk_failure(failed.exc_value)
    if told is None:
        threading.__excepthook__(failed)
    else:
        print(f"warning: {told}", file=sys.stderr)


class _Ours(logging.Filter):
    """Lets records of the library pass, and errors of others: what they tell besides is not for users."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.startswith("semiverse") or record.levelno >= logging.ERROR


@contextmanager
def messages(debug: bool) -> Iterator[None]:
    """Our own messages and warnings without ornament; those of others only where errors are looked for."""
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")
    filters = [] if debug else [(handler, _Ours()) for handler in logging.getLogger().handlers]
    for handler, passing in filters:
        handler.addFilter(passing)
    ours = logging.getLogger("semiverse")
    level = ours.level
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    with warnings.catch_warnings():
        if not debug:
            warnings.filterwarnings("default", module="semiverse")  # each once
            warnings.filterwarnings("ignore", module="(?!semiverse)")
            warnings.filterwarnings("ignore", category=FutureWarning)  # of other libraries, about how we call them
            warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        try:
            yield
        finally:
            ours.setLevel(level)
            for handler, passing in filters:
                handler.removeFilter(passing)
