"""The page: what stands where, and its summary in words."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from semiverse.configuration import dump_yaml
from semiverse.files import write_atomically
from semiverse.progress import progress
from semiverse.reporting.figures import draw
from semiverse.reporting.runs import RunFacts, Setting
from semiverse.reporting.scores import protocols, score_cell, sums
from semiverse.reporting.tables import Table, as_csv, as_latex, as_markdown
from semiverse.reporting.verdicts import Finding

MARK = "semiverse-report-files"
"""Name of the page's own list of the files that were written with it, so that they may be written again."""


@dataclass
class Picture:
    """A figure on the page.

    Args:
        name: Of its files.
        caption: What it shows.
        figure: What to draw.
        png: The drawing, once it is made.
    """

    name: str
    caption: str
    figure: Figure
    png: bytes = b""

    def draw(self) -> dict[str, bytes]:
        """Draw it for the page, and for files of its own by their endings."""
        self.png = draw(self.figure, "png")
        self.figure.set_layout_engine("none")  # the layout is found; finding it again takes most of the time
        return {"png": self.png, "pdf": draw(self.figure, "pdf")}

    @property
    def source(self) -> str:
        """The drawing as an address that holds it."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"

    @property
    def width(self) -> int:
        """Width on the page in pixels, at which letters have the size of the page's small print."""
        return round(96 * float(self.figure.get_figwidth()))


@dataclass
class DomainSection:
    """What is shown of one domain."""

    name: str
    classes: Table | None
    pictures: list[Picture] = field(default_factory=list)
    further: Table | None = None


@dataclass
class Page:
    """Everything on the page.

    Args:
        title: In large letters.
        settings: The runs.
        scores: The comparison.
        differences: How their configurations differ; None for one run.
        domains: A section each.
        across: What domains have to do with each other.
        curves: Of the training.
        remarks: What is missing and why.
        efficiency: Scores over the number of labelled images.
        findings: What other data brought, in sentences.
        verdicts: The same in numbers; None where nothing compares.
    """

    title: str
    settings: Sequence[Setting]
    scores: Table
    differences: Table | None
    domains: list[DomainSection]
    curves: list[Picture]
    remarks: list[str]
    across: list[Picture] = field(default_factory=list)
    efficiency: list[Picture] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    verdicts: Table | None = None

    @property
    def runs(self) -> list[RunFacts]:
        """All of them."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def tables(self) -> list[Table]:
        """All that are written to files."""
        of_domains = [table for section in self.domains for table in (section.further, section.classes)]
        return [table for table in (self.scores, self.verdicts, *of_domains, self.differences) if table is not None]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        of_domains = [picture for section in self.domains for picture in section.pictures]
        return [*self.efficiency, *self.curves, *of_domains, *self.across]


def render(page: Page, files: Sequence[str], class_counts: Mapping[str, int]) -> str:
    """The page as HTML that needs nothing else.

    Args:
        page: What to show.
        files: What is written beside it, relative to its folder.
        class_counts: Number of classes of each domain, where known.
    """
    environment = Environment(
        loader=PackageLoader("semiverse.reporting", ""),
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
        label_lists=label_lists(page.runs),
    )


def label_lists(runs: Sequence[RunFacts]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Domain, names of runs, and the images that keep their labels in all of these."""
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for run in runs:
        for domain, ids in run.labeled.items():
            if ids:
                shared.setdefault((domain, tuple(ids)), []).append(run.name)
    return [(domain, ", ".join(names), ids) for (domain, ids), names in shared.items()]


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
    subject = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    if len(settings) < len(runs):
        subject += f" of {len(settings)} settings" if len(settings) > 1 else " of one setting"
    networks = _listed(list(dict.fromkeys(_network(run.config.get("model", {})) for run in runs)))
    sentence = f"{subject} ({methods}) on {_listed(described)}: {networks}, {_range([run.steps for run in runs])} steps"
    seconds = [run.seconds for run in runs if run.seconds is not None]
    if seconds:
        low, high = duration(min(seconds)), duration(max(seconds))
        sentence += f", {low if low == high else f'{low} to {high}'}{'' if len(runs) == 1 else ' each'}"
    hardware = list(dict.fromkeys(_hardware(run) for run in runs if run.environment))
    return f"{sentence} on {_listed(hardware)}." if hardware else f"{sentence}."


def _what_came_of_it(settings: Sequence[Setting]) -> list[str]:
    """The highest mIoU, or sum of it over domains, of each way of scoring."""
    sentences = []
    for manner, members in protocols(settings).items():
        reached = {setting.name: sums(setting, members) for setting in settings}
        reached = {name: values for name, values in reached.items() if values}
        if not reached:
            continue
        best = max(reached, key=lambda name: mean(reached[name]))
        winner = next(setting for setting in settings if setting.name == best)
        what = "mIoU" if len(members) == 1 else "sum of mIoU"
        what = f"Highest {what}" if len(reached) > 1 else what[0].upper() + what[1:]
        who = f"{best}, " if len(settings) > 1 else ""
        parts = [f"{p.domain} {score_cell(winner, [p]).shown}" for p in members]
        sentences.append(f"{what} {manner}: {who}{score_cell(winner, members).shown} ({', '.join(parts)}).")
    return sentences


def _network(model: Mapping[str, Any]) -> str:
    width = model.get("width", 1.0)
    scaled = "" if width == 1.0 else f" at width {width:g}"
    return f"{model.get('encoder', 'network')}{scaled} with {model.get('decoder', 'its')} decoder"


def _hardware(run: RunFacts) -> str:
    """What a run computed on: the accelerators of its machine, unless it was told to leave them alone."""
    on_cpu = (run.config.get("trainer") or {}).get("accelerator") == "cpu"
    accelerators = [] if on_cpu else run.environment.get("accelerators", [])
    return _listed(list(dict.fromkeys(accelerators))) or str(run.environment.get("processor", "unknown hardware"))


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader expects."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _range(values: Sequence[int]) -> str:
    low, high = (min(values), max(values)) if values else (0, 0)
    return str(low) if low == high else f"{low} to {high}"


def _listed(words: Sequence[str]) -> str:
    """Words with commas and "and"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + (f" and {words[-1]}" if words else "")


def table_files(page: Page) -> dict[str, str | bytes]:
    """Files of all tables."""
    writers = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
    named = zip(file_names([table.name for table in page.tables]), page.tables, strict=True)
    return {f"tables/{name}.{ending}": as_text(table) for name, table in named for ending, as_text in writers.items()}


def figure_files(page: Page) -> dict[str, str | bytes]:
    """Files of all figures, which are drawn now."""
    files: dict[str, str | bytes] = {}
    pictures = page.pictures
    named = zip(file_names([picture.name for picture in pictures]), pictures, strict=True)
    for name, picture in progress(named, "drawing", len(pictures), "figures"):
        files |= {f"figures/{name}.{ending}": data for ending, data in picture.draw().items()}
    return files


def file_names(texts: Sequence[str]) -> list[str]:
    """Texts as names of files, numbered where they differ only in what no file name has."""
    names: list[str] = []
    for text in texts:
        name = plain = re.sub(r"[^\w.-]+", "_", text)
        number = 1
        while name in names:
            number += 1
            name = f"{plain}_{number}"
        names.append(name)
    return names


def write(out: Path, files: dict[str, str | bytes]) -> None:
    """Write everything, the page first: it says which files are the report's own.

    Raises:
        ValueError: If a file to write is there and not from an earlier report.
    """
    page = out / "index.html"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    own = re.search(rf'<meta name="{MARK}" content="([^"]*)">', text)
    known = set(own[1].split()) if own else set()
    foreign = [name for name in files if name not in known and (out / name).exists()]
    if foreign:
        raise ValueError(
            f"{out} already has {foreign[0]}, which no report wrote; expected a new folder or an earlier report: "
            "choose another --out"
        )
    for name, content in files.items():
        write_atomically(out / name, content)
