"""What run folders say, and which runs are repetitions of one setting."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from semiverse.configuration import load_yaml
from semiverse.run import Run

Via = str
"""``decoder`` or ``embedding``."""


class Protocol(NamedTuple):
    """How a score was made; only scores of one protocol stand in one column.

    ``variant`` says how the mean over classes was taken, ``full_resolution`` whether at the owner's size.
    """

    domain: str
    split: str
    via: Via
    variant: str
    full_resolution: bool


class Score(NamedTuple):
    """What a run reached: values in [0, 1], None where nothing was to score.

    ``step`` is None for an evaluation, and the step of the validation during training otherwise; ``confusion`` has
    pixels by true and predicted class.
    """

    miou: float | None
    iou: Mapping[str, float | None] = {}
    pixel_accuracy: float | None = None
    images: int | None = None
    step: int | None = None
    confusion: Mapping[str, Mapping[str, int]] | None = None


@dataclass(frozen=True)
class RunFacts:
    """A run folder, read.

    Args:
        run: Where it is.
        name: What it is called on the page.
        config: Its resolved configuration.
        labeled: Images that keep their labels, by domain.
        rows: Of metrics.csv.
        scores: By protocol: of its evaluations, or of the last validation where there is none.
        environment: Of environment.json.
        finished: Of finished.json; empty for an unfinished run.
        problems: Files that could not be read.
    """

    run: Run
    name: str
    config: dict[str, Any]
    labeled: dict[str, list[str]]
    rows: list[dict[str, float]]
    scores: dict[Protocol, Score]
    environment: dict[str, Any]
    finished: dict[str, Any]
    problems: tuple[str, ...] = ()

    @property
    def domains(self) -> list[str]:
        """Names, in the order of the configuration."""
        return list(self.config["data"]["domains"])

    @property
    def method(self) -> str:
        """The method's class, and what decides between separate and joint training."""
        separate = self.config.get("model", {}).get("separate", False) and len(self.domains) > 1
        return self.config["method"]["class_path"].rpartition(".")[2] + (", separate networks" if separate else "")

    @property
    def steps(self) -> int:
        """Steps done."""
        return int(self.finished.get("steps", self.rows[-1]["step"] if self.rows else 0))

    @property
    def seconds(self) -> float | None:
        """Seconds of training; None while it is unfinished."""
        return self.finished.get("seconds")


@dataclass(frozen=True)
class Setting:
    """Runs that differ only in their seeds."""

    name: str
    runs: list[RunFacts]


def find_runs(places: Sequence[Path]) -> list[Path]:
    """Run folders among the given ones, and inside those that are none themselves.

    Raises:
        FileNotFoundError: If a place neither is nor holds a run.
    """
    found: list[Path] = []
    for place in places:
        inside = [place] if (place / "config.yaml").is_file() else sorted(path.parent for path in place.glob("*/config.yaml"))
        if not inside and not (place / "index.html").is_file():  # an earlier report, caught by runs/*
            raise FileNotFoundError(
                f"{place} is no run folder ({'it has no config.yaml' if place.exists() else 'it does not exist'}); "
                "expected what semiverse train wrote, or a folder of such folders: check the path"
            )
        found += [path for path in inside if path.resolve() not in [known.resolve() for known in found]]
    if not found:
        raise FileNotFoundError(
            f"no run in {', '.join(map(str, places))}; expected at least one folder that semiverse train wrote: name one"
        )
    return found


def read_runs(folders: Sequence[Path]) -> list[RunFacts]:
    """Everything that runs wrote about themselves, except their weights."""
    names = [folder.resolve().name for folder in folders]
    unique = [
        name if names.count(name) == 1 else f"{folder.resolve().parent.name}/{name}"
        for name, folder in zip(names, folders, strict=True)
    ]
    return [read_run(folder, name) for folder, name in zip(folders, unique, strict=True)]


def read_run(folder: Path, name: str) -> RunFacts:
    """One run under this name.

    Raises:
        ValueError: If its configuration is damaged.
    """
    run, problems = Run(folder), []  # type: tuple[Run, list[str]]
    config = load_yaml(run.config.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not {"data", "method"} <= set(config):
        raise ValueError(f"{run.config}: no data or no method; expected a configuration that semiverse train wrote")
    rows = [{key: float(value) for key, value in row.items()} for row in run.read_metrics()]
    scores = dict(_evaluated(folder, config, problems)) or dict(_validated(config, rows))
    labeled, environment, finished = (
        _read_json(folder / f"{part}.json", problems) for part in ("labeled", "environment", "finished")
    )
    return RunFacts(run, name, config, labeled, rows, scores, environment, finished, tuple(problems))


def _read_json(path: Path, problems: list[str]) -> dict[str, Any]:
    """Values of a file; empty if there is none or it is damaged, which is noted."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        problems.append(f"{path} is no JSON ({error}) and was left out")
        return {}
    return values if isinstance(values, dict) else {}


def _evaluated(folder: Path, config: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[Protocol, Score]]:
    """Scores of every evaluation*.json, those of evaluation.json last, so that they count."""
    for path in sorted(folder.glob("evaluation*.json"), reverse=True):
        for domain, result in _read_json(path, problems).get("domains", {}).items():
            protocol = Protocol(
                domain,
                result.get("split") or _validation_split(config, domain),
                result.get("via", "decoder"),
                result.get("variant", "default"),
                result.get("full_resolution", False),
            )
            kept = {name: result.get(name) for name in ("miou", "pixel_accuracy", "images", "confusion")}
            yield protocol, Score(iou=result.get("iou", {}), **kept)


def _validated(config: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> Iterator[tuple[Protocol, Score]]:
    """Scores of the last validation during training."""
    for domain in config["data"]["domains"] if rows else ():
        for via, column in (("decoder", f"{domain}/miou"), ("embedding", f"{domain}/miou_by_embedding")):
            if column in rows[-1]:
                protocol = Protocol(domain, _validation_split(config, domain), via, "default", False)
                yield protocol, Score(rows[-1][column], step=int(rows[-1]["step"]))


def _validation_split(config: Mapping[str, Any], domain: str) -> str:
    return str(config["data"]["domains"].get(domain, {}).get("val", "val"))


def settings(runs: Sequence[RunFacts]) -> list[Setting]:
    """Runs in groups that differ only in the seed (of training or data), in where networks lie, or in loading."""
    groups: dict[str, list[RunFacts]] = {}
    for run in runs:
        config = deepcopy(run.config)
        for section, keys in ((config, ("seed", "networks", "check")), (config["data"], ("seed", "workers"))):
            for key in keys:
                section.pop(key, None)
        groups.setdefault(json.dumps(config, sort_keys=True, default=str), []).append(run)
    return [Setting(_common_name(group), group) for group in groups.values()]


def _common_name(runs: Sequence[RunFacts]) -> str:
    """How the names of repetitions begin; the method if they have nothing in common."""
    if len(runs) == 1:
        return runs[0].name
    common = os.path.commonprefix([run.name for run in runs]).rstrip("0123456789")
    common = common.rstrip("-_. ").removesuffix("seed").rstrip("-_. /")
    return common or runs[0].method
