"""The page about every dataset, ``docs/datasets.md``, as the code tells it: ``make docs`` writes it."""

import inspect
import re
from typing import Literal, get_origin

from semiverse.configuration.options import REQUIRED, Option, default_text, options, type_name
from semiverse.data import SegmentationDataset
from semiverse.datasets.catalogue import has_root, known_datasets, open_archive, source_of, usual_folder

Kind = type[SegmentationDataset]

START = """# Datasets

*Written by `make docs` from the code: change the docstrings there, not this page.*

A configuration names a dataset by its class and its arguments: `{class_path: CamVid, init_args: {root: camvid}}`.
Relative roots are looked up from the working directory, then below `$SEMIVERSE_DATA` (default `./data`). Beside the
splits named here every dataset has the split `all`, and a list file (`.txt`) can stand wherever a split can.

- `semiverse datasets` lists what is here, and which of it is found on your disk.
- `semiverse download NAME` fetches what is openly available; for the others it lists the steps.
- `semiverse check --config FILE` reads every image and mask: see [Check your data](guides/check_your_data.md).
- Files of your own are read by the classes [at the end](#for-your-own-files).

The terms are those of each dataset's owner: read them at the source before use."""
OWN = """[Your own images](guides/your_own_images.md) has a complete configuration for each case, and
[A new dataset](guides/a_new_dataset.md) a class of your own in one file."""


def datasets_page() -> str:
    """Every known dataset as Markdown: classes, images, terms, source, how to obtain it, files, arguments."""
    kinds = known_datasets()
    published = [kind for kind in kinds if hasattr(kind, "labels") or hasattr(kind, "source")]
    table = ["| dataset | classes | images of each split | obtain |", "|---|---|---|---|", *map(_row, published)]
    parts = [START, "\n".join(table)]
    parts += [part for kind in published for part in (f"## {kind.__name__}", *_described(kind, _facts(kind)))]
    parts += ["## For your own files", OWN]
    own = [kind for kind in kinds if kind not in published]
    parts += [part for kind in own for part in (f"### {kind.__name__}", *_described(kind))]
    return "\n\n".join(parts) + "\n"


def _row(kind: Kind) -> str:
    """A line of the table at the start."""
    obtain = "by hand" if has_root(kind) else "made when it is read"
    if open_archive(kind):
        obtain = f"`semiverse download {usual_folder(kind)}`"
    name = kind.__name__
    return f"| [{name}](#{name.lower()}) | {len(_classes(kind)) or 'none'} | {_images(kind)} | {obtain} |"


def _described(kind: Kind, *facts: str) -> list[str]:
    """What the docstring says, facts after its first sentence; at last the arguments."""
    first, *rest = _paragraphs(kind)
    lines = ["| argument | meaning | default |", "|---|---|---|"]
    return [first, *facts, *rest, "\n".join([*lines, *(_argument(*item) for item in options(kind).items())])]


def _facts(kind: Kind) -> str:
    """Images, classes, terms, source, how to obtain it: a line each."""
    classes = _classes(kind)
    lines = [
        f"- Images: {_images(kind)}",
        f"- Classes ({len(classes)}): {', '.join(classes)}" if classes else "- Classes: none",
        f"- Terms: {kind.terms}",
        f"- Source: {source_of(kind)}",
        f"- Obtain: {_how_to_obtain(kind)}",
    ]
    return "\n".join(lines if has_root(kind) else lines[:-1])


def _how_to_obtain(kind: Kind) -> str:
    folder = usual_folder(kind)
    if open_archive(kind):
        return (
            f"`semiverse download {folder}` fetches it, verifies it and unpacks it to `$SEMIVERSE_DATA/{folder}`. "
            f"Use it by `root: {folder}`."
        )
    return (
        "by hand. Read the terms. Get it at the source, registering where that is asked. Unpack it to "
        f"`$SEMIVERSE_DATA/{folder}`, so that it looks as described below. Use it by `root: {folder}`. "
        f"`semiverse download {folder}` lists these steps."
    )


def _argument(name: str, option: Option) -> str:
    """A line of the table of arguments; choices are named where there are some."""
    meaning = _markdown(" ".join(option.text.split()))
    if get_origin(option.hint) is Literal:
        meaning += f" One of: {type_name(option.hint)}."
    default = "required" if option.default is REQUIRED else f"`{default_text(option) or repr('')}`"
    return f"| `{name}` | {meaning.replace('|', '&#124;')} | {default} |"


def _paragraphs(kind: Kind) -> list[str]:
    """Paragraphs of the docstring before its arguments, without the line that names the source."""
    text = re.split(r"^(?:Args|Raises):", inspect.getdoc(kind) or "", maxsplit=1, flags=re.MULTILINE)[0]
    text = re.sub(r"^Source: .*\n?", "", text, flags=re.MULTILINE)
    return [_markdown(part.strip()) for part in text.split("\n\n") if part.strip()]


def _images(kind: Kind) -> str:
    """Splits and lists, with the number of images where the class says it."""
    counts = getattr(kind, "image_counts", {})
    splits = dict.fromkeys([*kind.splits, *kind.lists])
    return ", ".join(f"{split} ({counts[split]})" if split in counts else split for split in splits)


def _classes(kind: Kind) -> tuple[str, ...]:
    return kind.labels.classes if hasattr(kind, "labels") else ()


def _markdown(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    print(datasets_page(), end="")
