"""What run folders say, and which runs are repetitions of one setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from semiverse.configuration.records import checked, record
from semiverse.files import bearable, read_json
from semiverse.methods.method import Curve, Role, declared
from semiverse.run import Run

TABLE = "table.json"
"""What ``semiverse reproduce`` leaves of a table, for programs."""
INSIDE = ("*", "runs/*/seed*", "runs/*/*/seed*")
"""Where runs lie in a folder of runs, or in what ``semiverse reproduce`` made."""


class Protocol(NamedTuple):
    """How a score was made; only scores of one protocol stand in one column.

    ``via`` is decoder or embedding, ``variant`` says how the mean over classes was taken, ``full_resolution`` whether
    at the owner's size.
    """

    domain: str
    split: str
    via: str
    variant: str
    full_resolution: bool


PROTOCOL = {"via": "decoder", "variant": "default", "full_resolution": False}
"""What evaluations of earlier versions did not say."""


class Score(NamedTuple):
    """What a run reached: values in [0, 1], None where nothing was to score.

    ``step`` is None for an evaluation, and the step of the validation during training otherwise; ``confusion`` has
    pixels by true and predicted class, ``seen_as`` by other domain, true class and class of the other domain.
    ``boundary_width`` is in pixels, a mean over the images; ``calibration`` has the error and the bins.
    """

    miou: float | None = None
    iou: Mapping[str, float | None] = {}
    pixel_accuracy: float | None = None
    images: int | None = None
    step: int | None = None
    confusion: Mapping[str, Mapping[str, int]] | None = None
    image_miou: float | None = None
    image_mious: Mapping[str, float | None] | None = None
    boundary_miou: float | None = None
    boundary_width: float | None = None
    calibration: Mapping[str, Any] | None = None
    seen_as: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None


FINISHED = {"steps": int, "seconds": float | None, "best_sum_miou": float | None, "best_step": int | None}
"""What ``finished.json`` says."""
ENVIRONMENT = {"command": str, "accelerators": list[str], "versions": dict[str, str | None]}
"""What ``environment.json`` says, other than texts and numbers."""
EVALUATION = {"domains": dict[str, dict[str, Any]], "same_name_similarity": float | None} | {
    "centroid_similarity": dict[str, dict[str, float]]
}
"""What ``evaluation.json`` says of all domains together."""


def read_if_there(path: Path, problems: list[str], hints: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Values of a file; empty if there is none or it is damaged, which is noted.

    Args:
        path: The file.
        problems: Takes what is wrong with it.
        hints: Types of values that it may have.
    """
    if not path.is_file():
        return {}
    try:
        values = read_json(path, "what a run keeps")
        return {name: checked(value, hints.get(name, Any), f"{path}: {name}") for name, value in values.items()}
    except ValueError as error:
        problems.append(f"{error}. It was left out.")
        return {}


def _read_scores(
    folder: Path, config: Mapping[str, Any], rows: Sequence[Mapping[str, float]], problems: list[str]
) -> dict[Protocol, Score]:
    """Scores of every evaluation*.json, and of the last validation during training for domains that have none."""
    found: dict[Protocol, Score] = {}
    # Those of evaluation.json come last, so that they count.
    for path in sorted(folder.glob("evaluation*.json"), reverse=True):
        for domain, result in read_if_there(path, problems, EVALUATION).get("domains", {}).items():
            where = f"{path}: {domain}"
            given = {"domain": domain, "split": validation_split(config, domain)} | PROTOCOL
            given |= {name: result[name] for name in Protocol._fields if result.get(name)}
            try:
                score = record(Score, {name: result[name] for name in Score._fields if name in result}, where)
                found[record(Protocol, given, where)] = score
            except ValueError as error:
                problems.append(f"{error}. It was left out.")
    known = {protocol.domain for protocol in found}
    for column, value in rows[-1].items() if rows else ():
        domain, _, name = column.partition("/")
        via = manner_of_scoring(name)
        if via is not None and domain in config["data"]["domains"] and domain not in known:
            protocol = Protocol(domain, validation_split(config, domain), via, "default", False)
            found[protocol] = Score(None if isnan(value) else value, step=int(rows[-1]["step"]))
    return found


def manner_of_scoring(name: str) -> str | None:
    """What predicts where a column of metrics.csv has this name behind its domain; None if that is no mIoU."""
    if name.startswith("miou_by_"):
        return name.removeprefix("miou_by_")
    return "decoder" if name == "miou" else None


def validation_split(config: Mapping[str, Any], domain: str) -> str:
    """The split on which a training validates a domain."""
    return str(config["data"]["domains"].get(domain, {}).get("val", "val"))


class Declared(NamedTuple):
    """What the method of a run declares: what its options stand for, and how to show what it records, by name."""

    reads: Mapping[str, Role]
    records: Mapping[str, Curve]


def _read_declared(run: Run, class_path: str, problems: list[str]) -> Declared | None:
    """What a training wrote of its method; of one by an earlier version, what the class says today.

    None if there is neither, which is noted.
    """
    try:
        values = read_if_there(run.method, problems)
        if not values:
            module, _, name = class_path.rpartition(".")
            values = declared(getattr(import_module(module), name))
        reads, records = (
            checked(values.get(name), dict[str, dict[str, Any]], f"{run.method}: {name}") for name in Declared._fields
        )
        roles = {option: record(Role, role, f"{run.method}: {option}") for option, role in reads.items()}
        return Declared(roles, {name: record(Curve, curve, f"{run.method}: {name}") for name, curve in records.items()})
    except Exception as error:
        problems.append(
            f"What {class_path} learns from and records is not known ({bearable(str(error))}): there are no verdicts "
            "on its runs, and their curves are called as in metrics.csv."
        )
        return None


@dataclass(frozen=True)
class RunFacts:
    """A run folder, read.

    Args:
        run: Where it is.
        name: What it is called on the page.
        config: Its resolved configuration.
        labeled: Images that keep their labels, by domain.
        rows: Of metrics.csv.
        scores: By protocol: of its evaluations; of the last validation for domains that have none.
        environment: Of environment.json.
        finished: Of finished.json; empty for an unfinished run.
        declared: What its method says of itself; None if that is not known.
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
    declared: Declared | None = None
    problems: tuple[str, ...] = ()

    @property
    def domains(self) -> list[str]:
        """Names, in the order of the configuration."""
        return list(self.config["data"]["domains"])

    @property
    def separate(self) -> bool:
        """Whether every domain has a network of its own."""
        return bool(self.config.get("model", {}).get("separate", False))

    @property
    def method(self) -> str:
        """The method's class, and what decides between separate and joint training."""
        title: str = self.config["method"]["class_path"].rpartition(".")[2]
        return title + " with separate networks" * (self.separate and len(self.domains) > 1)

    @property
    def steps(self) -> int:
        """Steps done."""
        return int(self.finished.get("steps", self.rows[-1]["step"] if self.rows else 0))

    def total(self, members: Sequence[Protocol], title: str | None = None) -> float | None:
        """Sum over protocols of the mIoU, or of a class's share, in [0, 1] each; None where one of them is unknown."""
        scores = [self.scores[protocol] for protocol in members if protocol in self.scores]
        values = [score.miou if title is None else score.iou.get(title) for score in scores]
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(members) else None

    def validated(self, members: Sequence[Protocol]) -> list[bool]:
        """Whether scores are those of a validation during training."""
        return [self.scores[protocol].step is not None for protocol in members if protocol in self.scores]

    @property
    def seconds(self) -> float | None:
        """Seconds of training; None while it is unfinished."""
        return self.finished.get("seconds")


def find_runs(places: Sequence[Path]) -> list[Path]:
    """Run folders among the given ones, and inside those that are none themselves.

    None where a table was made of results alone, without runs.

    Raises:
        FileNotFoundError: If a place neither is nor holds a run, nor a table.
    """
    found: list[Path] = []
    for place in places:
        inside = [path.parent for pattern in INSIDE for path in sorted(place.glob(f"{pattern}/config.yaml"))]
        if (place / "config.yaml").is_file():
            inside = [place]
        without = any((place / name).is_file() for name in (TABLE, "index.html"))  # a report, caught by runs/*
        if not inside and not without:
            raise FileNotFoundError(
                f"{place} is no run folder ({'it has no config.yaml' if place.exists() else 'it does not exist'}); "
                "expected what semiverse train wrote, or a folder of such folders: check the path"
            )
        found += [path for path in inside if path.resolve() not in [known.resolve() for known in found]]
    if not found and not any((place / TABLE).is_file() for place in places):
        raise FileNotFoundError(
            f"no run in {', '.join(map(str, places))}; expected a folder that semiverse train wrote: name one"
        )
    return found


def read_runs(folders: Sequence[Path]) -> list[RunFacts]:
    """Everything that runs wrote about themselves, except their weights."""
    return [read_run(folder, name) for folder, name in zip(folders, _run_names(folders), strict=True)]


def _run_names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart, without what all of these ends end in."""
    parts = [folder.resolve().parts for folder in folders]
    different, longest = len(set(parts)), max(map(len, parts), default=1)
    length = next(n for n in range(1, longest + 1) if len({path[-n:] for path in parts}) == different)
    ends = [path[-length:] for path in parts]
    while length > 1 and len({end[-1] for end in ends}) == 1:
        ends = [end[:-1] for end in ends]
        length -= 1
    return ["/".join(end) for end in ends]


def read_run(folder: Path, name: str) -> RunFacts:
    """One run under this name.

    Raises:
        ValueError: If its configuration is damaged.
    """
    run = Run(folder)
    problems: list[str] = []
    config = run.read_config()
    if not {"data", "method"} <= set(config):
        raise ValueError(f"{run.config}: no data or no method; expected a configuration that semiverse train wrote")
    rows = list[dict[str, float]]()
    try:
        rows = [{key: float(value) for key, value in row.items()} for row in run.read_metrics()]
    except ValueError as error:
        problems.append(f"{error}; curves are left out")
    scores = _read_scores(folder, config, rows, problems)
    environment = read_if_there(folder / "environment.json", problems, ENVIRONMENT)
    finished = read_if_there(folder / "finished.json", problems, FINISHED)
    ids = dict.fromkeys(config["data"]["domains"], list[str] | dict[str, Any])  # once a list
    labeled = _ids(read_if_there(folder / "labeled.json", problems, ids), folder / "labeled.json", problems)
    method = _read_declared(run, config["method"]["class_path"], problems)
    return RunFacts(run, name, config, labeled, rows, scores, environment, finished, method, tuple(problems))


def _ids(labeled: Mapping[str, Any], path: Path, problems: list[str]) -> dict[str, list[str]]:
    """Images that keep their labels, by domain."""
    found = {name: facts.get("ids") if isinstance(facts, dict) else facts for name, facts in labeled.items()}
    try:
        return dict(checked(found, dict[str, list[str]], str(path)))
    except ValueError as error:
        problems.append(f"{error}. It was left out.")
        return {}
