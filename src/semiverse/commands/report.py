"""Tables and figures from one or many runs, on one page that can be forwarded."""

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from semiverse.commands.reporting.comparisons import class_table, difference_table, score_table
from semiverse.commands.reporting.examples import Examples, add_predictions, read_examples
from semiverse.commands.reporting.figures import confusion_figure, curve_figures, draw
from semiverse.commands.reporting.page import MARK, DomainSection, Page, Picture, render
from semiverse.commands.reporting.pictures import example_figure
from semiverse.commands.reporting.runs import Setting, find_runs, read_runs, settings
from semiverse.commands.reporting.tables import as_csv, as_latex, as_markdown
from semiverse.run import write_atomically

Files = dict[str, str | bytes]
"""Contents by path in the report's folder."""


def report(
    runs: list[Path], out: Path | None = None, images: int = 4, title: str | None = None, device: str = "auto"
) -> Path:
    """Compare runs: tables, curves and example pictures on one self-contained HTML page, and as files for papers.

    Runs that differ only in the seed become one row with mean and standard deviation. A run that is not finished or was
    never evaluated is shown with what there is. A report that is there already is replaced; other files never are.

    Args:
        runs: Run folders, or folders that hold run folders.
        out: Where to write index.html, tables and figures; None: ``report`` inside the only run given, or beside the
            first of several.
        images: Example images of each domain.
        title: Of the page; None: made from the names of the runs.
        device: Where to compute the example predictions; auto: a GPU if there is one.

    Returns:
        The page that was written.

    Raises:
        FileNotFoundError: If something given is no run.
        ValueError: If the folder holds files that are not from an earlier report.
    """
    if images < 0:
        raise ValueError(f"images is {images}; expected how many examples of each domain to show: 0 or more")
    folders = find_runs(runs)
    out = out or _beside(runs, folders)
    compared = settings(read_runs(folders))
    examples, remarks = read_examples(compared, images)
    if images:
        remarks += add_predictions(examples, compared, device)
    files: Files = {}
    curves = [_picture(name, *drawn, files) for name, drawn in curve_figures(compared).items()]
    sections = _sections(compared, examples, files)
    facts = [run for setting in compared for run in setting.runs]
    page = Page(
        title or f"Report of {facts[0].name if len(facts) == 1 else f'{len(facts)} runs'}",
        compared,
        score_table(compared),
        difference_table(facts) if len(facts) > 1 else None,
        sections,
        curves,
        [*remarks, *(problem for run in facts for problem in run.problems)],
    )
    for table in page.tables:
        for ending, written in (("csv", as_csv), ("md", as_markdown), ("tex", as_latex)):
            files[f"tables/{_file_name(table.name)}.{ending}"] = written(table)
    classes = {section.name: len(section.classes.rows) for section in sections if section.classes is not None}
    classes |= {example.domain: len(example.labels) for example in examples}
    files = {"index.html": render(page, ["index.html", *files], classes), **files}
    _write(out, files)
    print(f"report: {out / 'index.html'}")
    return out / "index.html"


def _beside(given: Sequence[Path], folders: Sequence[Path]) -> Path:
    if len(given) == 1:
        return given[0] / "report"
    return folders[0].parent / "report"


def _sections(compared: Sequence[Setting], examples: Sequence[Examples], files: Files) -> list[DomainSection]:
    """A section for every domain of any run."""
    by_domain = {example.domain: example for example in examples}
    sections = []
    for domain in dict.fromkeys(domain for setting in compared for run in setting.runs for domain in run.domains):
        example = by_domain.get(domain)
        section = DomainSection(domain, class_table(domain, compared, example.frequencies if example else None))
        if example is not None and example.samples:
            caption = (
                f"{len(example.samples)} of the {example.split_size} validation images, chosen evenly. Black in the truth: "
                f"no label, not scored.{_representatives(compared)}"
            )
            section.pictures.append(_picture(f"examples_{domain}", caption, example_figure(example), files))
        section.pictures += _confusions(domain, compared, files)
        sections.append(section)
    return sections


def _representatives(compared: Sequence[Setting]) -> str:
    """Which run stands for a setting of several."""
    several = [f"{setting.name} is {setting.runs[0].name}" for setting in compared if len(setting.runs) > 1]
    return f" {'; '.join(several)}." if several else ""


def _confusions(domain: str, compared: Sequence[Setting], files: Files) -> list[Picture]:
    """Confusion of the classes, one a setting and way of scoring, where evaluations kept it."""
    pictures = []
    for setting in compared:
        run = setting.runs[0]
        for protocol, score in run.scores.items():
            if protocol.domain == domain and score.confusion:
                manner = f"by {protocol.via}, split {protocol.split}"
                name = f"confusion_{domain}_{run.name}_{protocol.via}_{protocol.split}"
                caption = f"Confusion of {run.name}, {manner}: what the pixels of each class were taken for."
                figure = confusion_figure(score.confusion, list(score.iou))
                pictures.append(_picture(name, caption, figure, files))
    return pictures


def _picture(name: str, caption: str, figure: Figure, files: Files) -> Picture:
    """Draw a figure for the page and for its files."""
    png = draw(figure, "png")
    files[f"figures/{_file_name(name)}.png"] = png
    files[f"figures/{_file_name(name)}.pdf"] = draw(figure, "pdf")
    return Picture(name, caption, png)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)


def _write(out: Path, files: Files) -> None:
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
            f"{out} already has {foreign[0]}, which no report wrote; expected a new folder or an earlier report: choose "
            "another --out"
        )
    for name, content in files.items():
        write_atomically(out / name, content)
