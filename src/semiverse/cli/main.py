"""The command line: a list of functions, whose signatures are its options."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from semiverse import __version__


@dataclass(frozen=True)
class Command:
    """A function that a user can call.

    Args:
        module: Where it is.
        summary: What it does, for the list of commands.
        positional: Arguments given without their names, in order; the last may end in "..." and then takes many.
    """

    module: str
    summary: str
    positional: tuple[str, ...] = ()


COMMANDS = {
    "demo": Command("demo", "train the embedded worlds in a few minutes and show what was learned"),
    "datasets": Command("datasets", "list the known datasets: classes, licence terms, how to obtain them"),
    "download": Command("download", "fetch openly available datasets, verify and unpack them", ("names...",)),
    "split": Command("split", "divide images into training and validation, draw labelled ones; write verifiable lists"),
    "check": Command("check", "is the data on disk what the configuration says it is?"),
    "train": Command("train", "train a model; the same call resumes an unfinished run"),
    "evaluate": Command("evaluate", "score a trained model", ("run",)),
    "predict": Command("predict", "segment images or folders of images", ("run", "images...")),
    "pseudolabel": Command(
        "pseudolabel", "label images with what a model is sure of, as a dataset to train from", ("run", "images...")
    ),
    "cluster": Command(
        "cluster", "divide images into clusters without any labels; name them to get first masks", ("images...",)
    ),
    "report": Command("report", "tables and figures from one or many runs", ("runs...",)),
    "reproduce": Command("reproduce", "run the rows of a published or open table, next to its numbers", ("recipe",)),
}


def overview() -> str:
    """What ``semiverse --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: semiverse COMMAND [options]",
            "",
            "One segmentation model for all your datasets, from a handful of labels.",
            "",
            "commands:",
            *lines,
            "",
            "semiverse COMMAND --help lists a command's options; semiverse --version prints the version.",
            "Any command takes --debug, which shows where an error came from.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 finished with problems that are listed, 2 wrong call or data."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return 0
    if given[0] == "--version":
        print(f"semiverse {__version__}")
        return 0
    name, *rest = given
    if name not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        print(f"semiverse: no command {name!r}; expected one of {', '.join(COMMANDS)}{hint}", file=sys.stderr)
        return 2
    # Threads that spin while they wait slow a shared processor down many times over (docs/performance.md); it has to be
    # said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only now, and only what this command needs: --help and --version answer at once.
    call = import_module("semiverse.cli.call").call
    command = COMMANDS[name]
    code: int = call(name, command.module, command.positional, rest)
    return code


def entry() -> None:
    """What the installed script runs."""
    sys.exit(main())
