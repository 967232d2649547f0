"""Tables and figures from one or many runs, on one page that can be forwarded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.reporting.comparisons import compare
from semiverse.reporting.curves import curve_figures
from semiverse.reporting.details import across_pictures, domain_pictures
from semiverse.reporting.efficiency import efficiency_figures
from semiverse.reporting.examples import Examples, add_predictions, choice, read_examples
from semiverse.reporting.figures import confusion_figure
from semiverse.reporting.latent import (
    LatentClasses,
    Order,
    given_class_figure,
    latent_example_figure,
    read_latent_classes,
)
from semiverse.reporting.page import DomainSection, Page, Picture, figure_files, render, table_files, write
from semiverse.reporting.pictures import example_figure
from semiverse.reporting.runs import Setting, find_runs, read_runs, settings
from semiverse.reporting.scores import class_table, difference_table, evaluations, further_table, score_table
from semiverse.reporting.verdicts import finding, verdict_table


def report(
    runs: list[Path],
    out: Path | None = None,
    images: int = 4,
    title: str | None = None,
    device: str = "auto",
    latent_order: Order = "class",
    latent_validation: bool = False,
) -> Path:
    """Compare runs: tables, curves and example pictures on one self-contained HTML page, and as files for papers.

    Runs that differ only in the seed become one row with mean and standard deviation; where runs allow it, a verdict
    says whether unlabelled images and other domains helped. A run that is not finished or was never evaluated is shown
    with what there is. A report that is there already is replaced; other files never are.

    Args:
        runs: Run folders, or folders that hold run folders.
        out: Where to write index.html, tables and figures; None: ``report`` inside the only folder given, or beside the
            first of several.
        images: Example images of each domain, the best, worst and most improved where evaluations have details, else
            evenly chosen; 0: none.
        title: Of the page; None: made from the names of the runs.
        device: Where to compute the example predictions; auto: a GPU if there is one.
        latent_order: Order of latent classes in P(l|c): by the class that predicts each most, or by number.
        latent_validation: Estimate P(l|c) from all validation images as well, beside that of the training.

    Returns:
        The page that was written.

    Raises:
        FileNotFoundError: If something given is no run.
        ValueError: If the folder holds files that are not from an earlier report.
    """
    if images < 0:
        raise ValueError(f"images is {images}; expected how many examples of each domain to show: 0 or more")
    folders = find_runs(runs)
    out = out or (runs[0] if len(runs) == 1 else runs[0].parent) / "report"
    compared = settings(read_runs(folders))
    examples, remarks = read_examples(compared, images)
    remarks += add_predictions(examples, compared, device) if images else []
    latent, missing = read_latent_classes(compared, examples, latent_validation, device)
    pairs = compare(compared)
    across, undetailed = across_pictures(compared)
    remarks += [*missing, *undetailed]
    facts = [run for setting in compared for run in setting.runs]
    page = Page(
        title or f"Report of {facts[0].name if len(facts) == 1 else f'{len(facts)} runs'}",
        compared,
        score_table(compared),
        difference_table(facts) if len(facts) > 1 else None,
        _sections(compared, examples, latent, latent_order),
        [Picture(name, *drawn) for name, drawn in curve_figures(compared).items()],
        [*remarks, *(problem for run in facts for problem in run.problems)],
        across,
        [Picture(name, *drawn) for name, drawn in efficiency_figures(compared).items()],
        [finding(pair) for pair in pairs],
        verdict_table(pairs) if pairs else None,
    )
    files = table_files(page) | figure_files(page)
    classes = {section.name: len(section.classes.rows) for section in page.domains if section.classes is not None}
    classes |= {example.domain: len(example.labels) for example in examples}
    html = render(page, ["index.html", *files], classes)
    write(out, {"index.html": html, **files})
    print(f"report: {out / 'index.html'}")
    return out / "index.html"


def _sections(
    compared: Sequence[Setting],
    examples: Sequence[Examples],
    latent: Mapping[str, Sequence[LatentClasses]],
    order: Order,
) -> list[DomainSection]:
    """A section for every domain of any run."""
    by_domain = {example.domain: example for example in examples}
    sections = []
    for domain in dict.fromkeys(domain for setting in compared for run in setting.runs for domain in run.domains):
        example = by_domain.get(domain)
        colors = dict(zip(example.labels.classes, example.labels.palette, strict=True)) if example else {}
        frequencies = example.frequencies if example else {}
        classes = class_table(domain, compared, frequencies, colors)
        found = evaluations(domain, compared)
        pictures = [_example_picture(example, compared)] if example is not None and example.samples else []
        for classes_found in latent.get(domain, ()):
            pictures += _latent_pictures(domain, classes_found, example, order)
        pictures += [*domain_pictures(domain, found, frequencies), *_confusions(domain, compared)]
        sections.append(DomainSection(domain, classes, pictures, further_table(domain, found)))
    return sections


def _example_picture(example: Examples, compared: Sequence[Setting]) -> Picture:
    several = [f"{setting.name} is shown by {setting.runs[0].name}" for setting in compared if len(setting.runs) > 1]
    caption = (
        f"{len(example.samples)} of the {example.split_size} validation images, "
        f"{choice(example.kinds, example.scores, compared[0].name)}. Black in the truth: no "
        f"label, not scored.{' ' * bool(several)}{'; '.join(several)}{'.' * bool(several)}"
    )
    return Picture(f"examples_{example.domain}", caption, example_figure(example))


def _latent_pictures(domain: str, found: LatentClasses, example: Examples | None, order: Order) -> list[Picture]:
    """P(l|c) of a setting, and latent classes over the examples."""
    by_class = " Ordered by the class that predicts each most; unused ones, below 0.1 everywhere, last."
    caption = (
        f"How the classes of {domain} predict the latent classes of {found.setting}; a row sums to 1. Their numbers "
        f"and colours mean nothing.{by_class * (order == 'class')}"
    )
    name = f"latent_given_class_{domain}_{found.setting}"
    pictures = [Picture(name, caption, given_class_figure(found, order))]
    if example is not None and found.masks and found.setting in example.predictions:
        caption = f"Classes and latent classes that {found.setting} sees, in colours over the grey images."
        drawn = latent_example_figure(found, example)
        pictures.append(Picture(f"latent_examples_{domain}_{found.setting}", caption, drawn))
    return pictures


def _confusions(domain: str, compared: Sequence[Setting]) -> list[Picture]:
    """Confusion of the classes for each setting and way of scoring, where evaluations kept it."""
    pictures = []
    for run in [setting.runs[0] for setting in compared]:
        for protocol, score in run.scores.items():
            if protocol.domain == domain and score.confusion:
                manner = f"by {protocol.via}, split {protocol.split}"
                name = f"confusion_{domain}_{run.name}_{protocol.via}_{protocol.split}"
                caption = f"Confusion of {run.name}, {manner}: what the pixels of each class were taken for."
                pictures.append(Picture(name, caption, confusion_figure(score.confusion, list(score.iou))))
    return pictures
