"""A report: from run folders to a page with tables, figures and verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from semiverse.reporting.comparisons import compare
from semiverse.reporting.curves import curve_pictures
from semiverse.reporting.details import across_pictures, domain_pictures
from semiverse.reporting.efficiency import efficiency_pictures
from semiverse.reporting.examples import Examples, add_predictions, example_picture, read_examples
from semiverse.reporting.latent import LatentClasses, Order, latent_pictures, read_latent_classes
from semiverse.reporting.page import DomainSection, Page, figure_files, render, table_files, write
from semiverse.reporting.runs import Setting, find_runs, read_runs, settings
from semiverse.reporting.scores import class_table, difference_table, evaluations, further_table, score_table
from semiverse.reporting.verdicts import verdict_on, verdict_table


def write_report(
    runs: Sequence[Path],
    out: Path | None,
    images: int,
    title: str | None,
    device: str,
    latent_order: Order,
    latent_validation: bool,
) -> Path:
    """Read runs, compare them, and write the page; arguments as for ``semiverse report``.

    Raises:
        FileNotFoundError: If something given is no run.
        ValueError: If the folder holds files that are not from an earlier report.
    """
    compared = settings(read_runs(find_runs(runs)))
    out = out or (runs[0] if len(runs) == 1 else runs[0].parent) / "report"
    examples, remarks = read_examples(compared, images)
    remarks += add_predictions(examples, compared, device) if images else []
    latent, missing = read_latent_classes(compared, examples, latent_validation, device)
    across, undetailed = across_pictures(compared)
    facts = [run for setting in compared for run in setting.runs]
    remarks += [*missing, *undetailed, *(problem for run in facts for problem in run.problems)]
    pairs = compare(compared)
    page = Page(
        title or f"Report of {facts[0].name if len(facts) == 1 else f'{len(facts)} runs'}",
        compared,
        score_table(compared),
        difference_table(facts) if len(facts) > 1 else None,
        _sections(compared, examples, latent, latent_order),
        curve_pictures(compared),
        list(dict.fromkeys(remarks)),
        across,
        efficiency_pictures(compared),
        [verdict_on(pair) for pair in pairs],
        verdict_table(pairs) if pairs else None,
    )
    files = table_files(page) | figure_files(page)
    classes = {section.name: len(section.classes.rows) for section in page.domains if section.classes is not None}
    classes |= {example.domain: len(example.labels) for example in examples}
    write(out, {"index.html": render(page, ["index.html", *files], classes), **files})
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
        example, found = by_domain.get(domain), evaluations(domain, compared)
        colors = dict(zip(example.labels.classes, example.labels.palette, strict=True)) if example else {}
        frequencies = example.frequencies if example else {}
        pictures = [example_picture(example, compared)] if example is not None and example.samples else []
        for classes in latent.get(domain, ()):
            pictures += latent_pictures(domain, classes, example, order)
        pictures += domain_pictures(domain, found, frequencies, compared)
        table = class_table(domain, found, frequencies, colors)
        sections.append(DomainSection(domain, table, pictures, further_table(domain, found)))
    return sections
