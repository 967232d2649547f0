"""The page: what stands where, and how it is written with its tables and figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from semiverse.configuration import dump_yaml
from semiverse.files import write_atomically
from semiverse.progress import progress
from semiverse.reporting.figures import Picture
from semiverse.reporting.runs import RunFacts, Setting
from semiverse.reporting.summary import environments, label_lists, summary_sentences
from semiverse.reporting.tables import WRITERS, Table
from semiverse.reporting.verdicts import Verdict

MARK = "semiverse-report-files"
"""Name of the page's own list of the files that were written with it, so that they may be written again."""


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
    findings: list[Verdict] = field(default_factory=list)
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
        summary=summary_sentences(page.settings, class_counts),
        mark=MARK,
        files=" ".join(files),
        environments=environments(page.runs),
        label_lists=label_lists(page.runs),
    )


def table_files(page: Page) -> dict[str, str | bytes]:
    """Files of all tables."""
    named = zip(file_names([table.name for table in page.tables]), page.tables, strict=True)
    return {f"tables/{name}.{ending}": as_text(table) for name, table in named for ending, as_text in WRITERS.items()}


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
