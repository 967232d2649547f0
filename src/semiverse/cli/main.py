"""The command line: a list of functions, whose signatures are its options."""

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from semiverse import __version__


@dataclass(frozen=True)
class Command:
    """A function that a user can call: ``semiverse.commands.NAME.NAME``.

    Args:
        summary: What it does, for the list of commands.
        positional: Arguments given without their names, in order; the last may end in "..." and then takes many.
        again: What the same call does after Ctrl-C; "": it begins anew.
        smaller: What to do where memory runs out.
    """

    summary: str
    positional: tuple[str, ...] = ()
    again: str = ""
    smaller: str = "make the data smaller, or use a machine with more"


RESUMES = "the same call goes on from the last checkpoint"
TRAINING = "lower data.crop or data.batch_size, or the resolution of a domain"
PIECES = "see images in pieces (--window [512, 512], say), or use a machine with more"
COMMANDS = {
    "demo": Command("train the embedded worlds in a few minutes and show what was learned", again=RESUMES),
    "datasets": Command("list the known datasets: classes, licence terms, how to obtain them"),
    "download": Command(
        "fetch openly available datasets, verify and unpack them",
        ("names...",),
        "the same call goes on where it stopped, if the server can send the rest of a file",
    ),
    "init": Command("look at folders of images and write a configuration for training on them", ("paths...",)),
    "split": Command("divide images into training and validation, draw labelled ones; write verifiable lists"),
    "check": Command("is the data on disk what the configuration says it is?"),
    "train": Command("train a model; the same call resumes an unfinished run", again=RESUMES, smaller=TRAINING),
    "evaluate": Command("score a trained model", ("run",), smaller=PIECES),
    "predict": Command("segment images, folders of images, and videos", ("run", "images..."), smaller=PIECES),
    "export": Command("write a model as ONNX or a program of torch, and compare it with the model", ("run",)),
    "pseudolabel": Command(
        "label images with what a model is sure of, as a dataset to train from", ("run", "images..."), smaller=PIECES
    ),
    "selftrain": Command("train, label what has no labels, and train anew from both, for some rounds", again=RESUMES),
    "cluster": Command(
        "divide images into clusters without any labels; name them to get first masks",
        ("images...",),
        "the same call goes on with the images that are left",
    ),
    "push": Command("put a model on a hub, with a card that says what it is", ("run", "to")),
    "serve": Command("answer requests with a model: a page and an HTTP interface", ("run",)),
    "report": Command("tables and figures from one or many runs", ("runs...",)),
    "reproduce": Command(
        "run the rows of a published or open table, next to its numbers",
        ("recipe",),
        "the same call goes on with the runs that are left",
    ),
}
OVERVIEW = """usage: semiverse COMMAND [options]

One segmentation model for all your datasets, from a handful of labels.

commands:
{}

semiverse COMMAND --help lists a command's options; semiverse --version prints the version.
Any command takes --debug, which shows where an error came from."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 finished with problems that are listed, 2 wrong call or data."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
        print(OVERVIEW.format(lines))
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
    # Threads that spin while they wait slow a shared processor down many times over, and those that sleep at once slow
    # small networks down by a third, so they spin for a moment (docs/performance.md); it has to be said before torch is
    # imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Only now, and only what this command needs: --help and --version answer at once.
    code: int = import_module("semiverse.cli.call").call(name, COMMANDS[name], rest)
    return code


def entry() -> None:
    """What the installed script runs."""
    code = main()
    gc.freeze()  # the process ends: to look for garbage among all that was imported would take a second of it
    sys.exit(code)
