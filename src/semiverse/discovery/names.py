"""Names of classes, and their colours, where files of a folder hold them."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from semiverse.discovery.found import Files
from semiverse.labels import Color

_CALLED = re.compile(r"(class|label|name|categor|palette|obj|^data$|^dataset$)", re.IGNORECASE)
_COLOR = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_COLOR_FIRST = re.compile(rf"^\s*{_COLOR}[\s,;:]+(\S.*?)\s*$")
_COLOR_LAST = re.compile(rf"^\s*(\S.*?)\s*[\s,;:]\s*{_COLOR}\s*(?:[,;:].*)?$")
_NUMBERED = re.compile(r"^\s*(\d+)\s*[:=,;\t ]\s*(\S.*?)\s*$")


class Names(NamedTuple):
    """Names by id, their colours if the file has them, and the file."""

    by_id: dict[int, str]
    colors: dict[Color, str]
    file: Path


def find_names(files: Files) -> Names | None:
    """The first file that lists classes: ``classes.txt``, ``obj.names``, ``class_dict.csv``, ``data.yaml``, ..."""
    candidates = [path for path in files.ending(".txt", ".names", ".csv", ".yaml", ".yml") if _CALLED.search(path.stem)]
    for path in sorted(candidates, key=lambda path: (len(path.parts), path.as_posix())):
        if path.suffix == ".names" or len(path.parts) <= 2:
            names = _read(files.root / path)
            if names is not None:
                return names._replace(file=path)
    return None


def _read(path: Path) -> Names | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix in (".yaml", ".yml"):
            content = yaml.safe_load(text)
            listed = content.get("names") if isinstance(content, dict) else None
            if isinstance(listed, dict):
                return Names({int(number): str(title) for number, title in listed.items()}, {}, path)
            return Names(dict(enumerate(map(str, listed))), {}, path) if isinstance(listed, list) else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return _from_lines(lines, path)


def _from_lines(lines: list[str], path: Path) -> Names | None:
    colored: dict[Color, str] = {}
    for line in lines:
        first, last = _COLOR_FIRST.match(line), _COLOR_LAST.match(line)
        if first:
            colored[int(first[1]), int(first[2]), int(first[3])] = first[4]
        elif last:
            colored[int(last[2]), int(last[3]), int(last[4])] = last[1]
    if len(colored) >= max(1, len(lines) - 1):  # the first line may be a heading
        return Names(dict(enumerate(colored.values())), colored, path)
    numbered = [_NUMBERED.match(line) for line in lines]
    if lines and all(numbered):
        by_id = {int(match[1]): match[2] for match in numbered if match}
    else:
        by_id = {i: line.strip() for i, line in enumerate(lines)}
    titles = list(by_id.values())
    usable = 1 <= len(titles) <= 255 and len(set(titles)) == len(titles) and max(map(len, titles)) <= 60
    return Names(by_id, {}, path) if usable else None
