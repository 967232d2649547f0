"""The page: what stands where, and its summary in words."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from semiverse.commands.reporting.figures import draw
from semiverse.commands.reporting.runs import RunFacts, Setting
from semiverse.commands.reporting.summary import summary
from semiverse.commands.reporting.tables import Table
from semiverse.commands.reporting.verdicts import Finding
from semiverse.configuration import dump_yaml

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
