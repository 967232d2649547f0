"""The page: what stands where, and its summary in words."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from semiverse.commands.reporting.comparisons import protocols
from semiverse.commands.reporting.runs import RunFacts, Setting
from semiverse.commands.reporting.tables import Table, percent_cell
from semiverse.configuration import dump_yaml

MARK = "semiverse-report-files"
"""Name of the page's own list of the files that were written with it, so that they may be written again."""


@dataclass
class Picture:
    """A figure on the page: its file name without extension, what it shows, and its PNG bytes."""

    name: str
    caption: str
    png: bytes

    @property
    def source(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"

    @property
    def width(self) -> int:
        """Width at which the picture is sharp on a common screen: the file has half as many pixels again."""
        return int.from_bytes(self.png[16:20]) * 2 // 3


@dataclass
class DomainSection:
    """What is shown of one domain."""

    name: str
    classes: Table | None
    pictures: list[Picture] = field(default_factory=list)


@dataclass
class Page:
    """Everything on the page.

    Args:
        title: In large letters.
        settings: The runs.
        scores: The comparison.
        differences: How their configurations differ; None for one run.
        domains: A section each.
        curves: Of the training.
        remarks: What is missing and why.
    """

    title: str
    settings: Sequence[Setting]
    scores: Table
    differences: Table | None
    domains: list[DomainSection]
    curves: list[Picture]
    remarks: list[str]

    @property
    def runs(self) -> list[RunFacts]:
        """All of them."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def tables(self) -> list[Table]:
        """All that are written to files."""
        classes = [section.classes for section in self.domains if section.classes is not None]
        return [self.scores, *classes, *([self.differences] if self.differences is not None else [])]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return [*self.curves, *(picture for section in self.domains for picture in section.pictures)]


def render(page: Page, files: Sequence[str], class_counts: Mapping[str, int]) -> str:
    """The page as HTML that needs nothing else.

    Args:
        page: What to show.
        files: What is written beside it, relative to its folder.
        class_counts: Number of classes of each domain, where known.
    """
    environment = Environment(
        loader=PackageLoader("semiverse.commands", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yaml"] = dump_yaml
    template = environment.get_template("page.html.j2")
    return template.render(
        page=page,
        summary=summary(page.settings, class_counts),
        mark=MARK,
        files=" ".join(files),
        environments=environments(page.runs),
    )


def summary(settings: Sequence[Setting], class_counts: Mapping[str, int]) -> list[str]:
    """What was trained on what, and what came of it, in sentences."""
    runs = [run for setting in settings for run in setting.runs]
    return [_what_was_trained(settings, runs, class_counts), *_what_came_of_it(settings)]


def _what_was_trained(settings: Sequence[Setting], runs: Sequence[RunFacts], class_counts: Mapping[str, int]) -> str:
    methods = _listed(list(dict.fromkeys(run.method for run in runs)))
    domains = dict.fromkeys(domain for run in runs for domain in run.domains)
    described = []
    for domain in domains:
        budgets = [len(run.labeled[domain]) for run in runs if domain in run.labeled]
        facts = [f"{class_counts[domain]} classes"] if domain in class_counts else []
        facts += [f"{_range(budgets)} labelled images"] if budgets else []
        described.append(f"{domain} ({', '.join(facts)})" if facts else domain)
    subject = "One run" if len(runs) == 1 else f"{len(runs)} runs of {len(settings)} settings"
    if len(settings) == 1 and len(runs) > 1:
        subject = f"{len(runs)} runs of one setting"
    networks = _listed(list(dict.fromkeys(_network(run.config.get("model", {})) for run in runs)))
    sentence = f"{subject} ({methods}) on {_listed(described)}: {networks}, {_range([run.steps for run in runs])} steps"
    seconds = [run.seconds for run in runs if run.seconds is not None]
    if seconds:
        low, high = duration(min(seconds)), duration(max(seconds))
        sentence += f", {low if low == high else f'{low} to {high}'}{'' if len(runs) == 1 else ' each'}"
    hardware = list(dict.fromkeys(_hardware(run.environment) for run in runs if run.environment))
    return f"{sentence} on {_listed(hardware)}." if hardware else f"{sentence}."


def _what_came_of_it(settings: Sequence[Setting]) -> list[str]:
    """The highest mIoU of each way of scoring that several settings share, or the scores of the only one."""
    sentences = []
    for manner, members in protocols(settings).items():
        sums: dict[str, list[float]] = {}
        for setting in settings:
            found = [[run.scores[p].miou for p in members if p in run.scores] for run in setting.runs]
            whole = [sum(v or 0.0 for v in values) for values in found if len(values) == len(members) and None not in values]
            if whole:
                sums[setting.name] = whole
        if not sums:
            continue
        best = max(sums, key=lambda name: sum(sums[name]) / len(sums[name]))
        runs = next(setting.runs for setting in settings if setting.name == best)
        parts = []
        for p in members:
            values = [run.scores[p].miou for run in runs if p in run.scores]
            parts.append(f"{p.domain} {percent_cell([value for value in values if value is not None]).text}")
        what = "mIoU" if len(members) == 1 else f"sum of mIoU, {percent_cell(sums[best]).text}"
        lead = f"Highest {what}, {manner}: {best}" if len(sums) > 1 else f"{best}, mIoU in % {manner}"
        sentences.append(f"{lead} ({', '.join(parts)}).")
    return sentences


def _network(model: Mapping[str, Any]) -> str:
    width = model.get("width", 1.0)
    scaled = "" if width == 1.0 else f" at width {width:g}"
    return f"{model.get('encoder', 'network')}{scaled} with {model.get('decoder', 'its')} decoder"


def _hardware(environment: Mapping[str, Any]) -> str:
    accelerators = environment.get("accelerators") or []
    return _listed(list(dict.fromkeys(accelerators))) or str(environment.get("processor", "unknown hardware"))


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader expects."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def environments(runs: Sequence[RunFacts]) -> list[tuple[str, dict[str, str]]]:
    """Environments without the values that every run has of its own, with the names of the runs that share them."""
    shared: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in runs:
        facts = {key: value for key, value in run.environment.items() if key not in ("command", "seed")}
        versions = facts.pop("versions", {})
        flat = {key: _text(value) for key, value in (facts | versions).items()}
        shared.setdefault(tuple(flat.items()), []).append(run.name)
    return [(", ".join(names), dict(facts)) for facts, names in shared.items() if facts]


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


def _range(values: Sequence[int]) -> str:
    low, high = (min(values), max(values)) if values else (0, 0)
    return str(low) if low == high else f"{low} to {high}"


def _listed(words: Sequence[str]) -> str:
    """Words with commas and "and"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + (f" and {words[-1]}" if words else "")
