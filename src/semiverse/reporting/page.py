"""The page: from run folders to tables, figures and verdicts in one file, and what it says of the runs in sentences."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from semiverse.configuration import dump_yaml
from semiverse.files import Outputs
from semiverse.models.saving import find_model
from semiverse.progress import progress
from semiverse.reporting.comparisons import compare
from semiverse.reporting.curves import curve_pictures, efficiency_pictures
from semiverse.reporting.details import across_pictures, domain_pictures
from semiverse.reporting.examples import Examples, add_predictions, example_picture, read_examples
from semiverse.reporting.figures import Picture
from semiverse.reporting.latent import LatentClasses, Order, latent_pictures, read_latent_classes
from semiverse.reporting.published import Published, read_published
from semiverse.reporting.rounds import tables_of_rounds
from semiverse.reporting.runs import RunFacts, find_runs, read_runs
from semiverse.reporting.scores import (
    class_table,
    difference_table,
    evaluations,
    further_table,
    protocols,
    score_cell,
    score_table,
    sums,
)
from semiverse.reporting.settings import Setting, settings
from semiverse.reporting.tables import WRITERS, Table, in_words
from semiverse.reporting.verdicts import verdict_on, verdict_table

MARK = "semiverse-report-files"
"""Name of the page's own list of the files that were written with it, so that they may be written again."""


class DomainSection(NamedTuple):
    """What is shown of one domain."""

    name: str
    classes: Table | None
    pictures: list[Picture]
    further: Table | None


class Shown(NamedTuple):
    """What pictures show; fields as the arguments of ``semiverse report``, ``seen_as`` for ``as_``."""

    images: int = 4
    device: str = "auto"
    latent_order: Order = "class"
    latent_validation: bool = False
    seen_as: Sequence[str] = ()
    classes: Sequence[str] | None = None


def write_report(runs: Sequence[Path], out: Path | None, title: str | None, shown: Shown) -> Path:
    """Read runs, compare them, and write the page; arguments as for ``semiverse report``.

    Raises:
        FileNotFoundError: If something given is no run.
        ValueError: If the folder holds files that are not from an earlier report, or a class is unknown.
    """
    models = _models_by_themselves(runs)
    compared = settings(read_runs(find_runs([place for place in runs if place not in models.values()] or runs)))
    facts = [run for setting in compared for run in setting.runs]
    published, unread = read_published(runs, shown.images)
    rounds, unread_rounds = tables_of_rounds(runs)
    out = out or (runs[0] if len(runs) == 1 else runs[0].parent) / "report"
    examples, remarks = read_examples(compared, shown.images)
    _refuse_unknown(shown.classes, compared, examples)
    columns = models | {setting.name: setting.runs[0].run.folder for setting in compared}
    remarks += add_predictions(examples, columns, shown.device, shown.seen_as) if shown.images else []
    latent, missing = read_latent_classes(compared, examples, shown.latent_validation, shown.device)
    across, undetailed = across_pictures(compared, shown.classes)
    remarks += [*unread, *unread_rounds, *missing, *undetailed, *(problem for run in facts for problem in run.problems)]
    pairs, sections = compare(compared), _sections(compared, examples, latent, shown)
    counts = {section.name: len(section.classes.rows) for section in sections if section.classes is not None}
    counts |= {example.domain: len(example.labels) for example in examples}
    page: dict[str, Any] = {
        "title": title or _title(published, facts),
        "summary": summary_sentences(compared, counts) if facts else [],
        "published": published,
        "rounds": rounds,
        "remarks": list(dict.fromkeys(remarks)),
        "findings": [verdict_on(pair) for pair in pairs],
        "verdicts": verdict_table(pairs) if pairs else None,
        "scores": score_table(compared) if facts else None,
        "efficiency": [] if any(one.pictures for one in published) else efficiency_pictures(compared),
        "domains": sections,
        "across": across,
        "curves": curve_pictures(compared),
        "differences": difference_table(facts) if len(facts) > 1 else None,
        "runs": facts,
        "label_lists": label_lists(facts),
        "environments": _environments(facts),
    }
    files = _table_and_figure_files(page)
    listed = " ".join(["index.html", *files])  # the page names the files that are written with it
    _write(out, {"index.html": rendered("page.html.j2", **page, mark=MARK, files=listed), **files})
    return out / "index.html"


def _title(published: Sequence[Published], facts: Sequence[RunFacts]) -> str:
    if len(published) == 1:
        return published[0].title
    return f"Report of {facts[0].name if len(facts) == 1 else f'{len(facts)} runs'}"


def _models_by_themselves(places: Sequence[Path]) -> dict[str, Path]:
    """Folders that hold a model but no run, such as a published one, by their names."""
    found: dict[str, Path] = {}
    for place in places:
        with suppress(FileNotFoundError):
            folder = find_model(place)
            if not (place / "config.yaml").is_file():
                name = (folder.parent if folder.name == "model" else folder).name
                found[str(place) if name in found else name] = place
    return found


def _refuse_unknown(classes: Sequence[str] | None, compared: Sequence[Setting], examples: Sequence[Examples]) -> None:
    """Make sure that all classes to be shown are those of a domain.

    Raises:
        ValueError: If one is not.
    """
    known = {(example.domain, title) for example in examples for title in example.labels.classes}
    runs = [run for setting in compared for run in setting.runs]
    known |= {(protocol.domain, title) for run in runs for protocol, score in run.scores.items() for title in score.iou}
    titles = {title for _, title in known}
    unknown = sorted({*(classes or ())} - titles - {f"{domain}/{title}" for domain, title in known})
    if unknown:
        raise ValueError(
            f"there is no class {', '.join(unknown)}; expected some of {', '.join(sorted(titles))}: correct --classes"
        )


def _sections(
    compared: Sequence[Setting],
    examples: Sequence[Examples],
    latent: Mapping[str, Sequence[LatentClasses]],
    shown: Shown,
) -> list[DomainSection]:
    """A section for every domain of any run."""
    by_domain = {example.domain: example for example in examples}
    sections = []
    for domain in dict.fromkeys(domain for setting in compared for run in setting.runs for domain in run.domains):
        example, found = by_domain.get(domain), evaluations(domain, compared)
        colors = dict(zip(example.labels.classes, example.labels.palette, strict=True)) if example else {}
        frequencies = example.frequencies if example else {}
        pictures = example_picture(example, compared, shown.classes) if example is not None else []
        pictures += latent_pictures(domain, latent.get(domain, ()), example, shown.latent_order)
        pictures += domain_pictures(domain, found, frequencies, compared)
        table = class_table(domain, found, frequencies, colors)
        sections.append(DomainSection(domain, table, pictures, further_table(domain, found)))
    return sections


def _table_and_figure_files(page: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Files of all tables, and of all figures, which are drawn now."""
    files: dict[str, str | bytes] = {}
    sections: list[DomainSection] = page["domains"]
    of_domains = [table for section in sections for table in (section.further, section.classes)]
    printed = [one.table for one in page["published"]]
    tables = [
        t
        for t in (*printed, *page["rounds"], page["scores"], page["verdicts"], *of_domains, page["differences"])
        if t is not None
    ]
    for name, table in zip(file_names([table.name for table in tables]), tables, strict=True):
        files |= {f"tables/{name}.{ending}": as_text(table) for ending, as_text in WRITERS.items()}
    pictures = [p for one in page["published"] for p in one.pictures]
    pictures += [*page["efficiency"], *page["curves"], *(p for s in sections for p in s.pictures), *page["across"]]
    named = zip(file_names([picture.name for picture in pictures]), pictures, strict=True)
    for name, picture in progress(named, "drawing", len(pictures), "figures"):
        files |= {f"figures/{name}.{ending}": data for ending, data in picture.draw().items()}
    return files


def file_names(texts: Sequence[str]) -> list[str]:
    """Texts as names of files, numbered where they differ only in what no file name has."""
    names: list[str] = []
    for text in texts:
        plain = re.sub(r"[^\w.-]+", "_", text)
        numbered = chain([plain], (f"{plain}_{number}" for number in count(2)))
        names.append(next(name for name in numbered if name not in names))
    return names


def rendered(template: str, **values: object) -> str:
    """A page as HTML that needs nothing else, from one of the templates of this room."""
    environment = Environment(
        loader=PackageLoader("semiverse.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yaml"] = dump_yaml
    return environment.get_template(template).render(**values)


def _write(out: Path, files: dict[str, str | bytes]) -> None:
    """Write everything; only what an earlier report wrote is replaced.

    Raises:
        ValueError: If a file to write is there and not from an earlier report.
    """
    page = out / "index.html"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    own = re.search(rf'<meta name="{MARK}" content="([^"]*)">', text)
    outputs = Outputs(out, "report", known=own[1].split() if own else ())  # a report of an earlier version kept no list
    outputs.refuse_foreign(files)
    for name, content in files.items():
        outputs.write(name, content)


def label_lists(runs: Sequence[RunFacts]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Domain, names of runs, and the images that keep their labels in all of these."""
    lists = [(run.name, (domain, *ids)) for run in runs for domain, ids in run.labeled.items() if ids]
    return [(domain, names, tuple(ids)) for (domain, *ids), names in _shared(lists).items()]


def _environments(runs: Sequence[RunFacts]) -> list[tuple[str, dict[str, str]]]:
    """Environments without the values that every run has of its own, with the names of the runs that share them."""
    found = []
    for run in runs:
        facts = {key: value for key, value in run.environment.items() if key not in ("command", "seed")}
        facts |= facts.pop("versions", {})
        words = {k: ", ".join(map(str, v)) or "none" if isinstance(v, list) else v for k, v in facts.items()}
        found.append((run.name, tuple((k, "unknown" if v is None else str(v)) for k, v in words.items())))
    return [(names, dict(facts)) for facts, names in _shared(found).items() if facts]


def _shared(owned: Sequence[tuple[str, Any]]) -> dict[Any, str]:
    """Names of the owners of each value, of pairs of an owner and a value."""
    owners: dict[Any, list[str]] = {}
    for owner, value in owned:
        owners.setdefault(value, []).append(owner)
    return {value: ", ".join(names) for value, names in owners.items()}


def summary_sentences(settings: Sequence[Setting], class_counts: Mapping[str, int]) -> list[str]:
    """What was trained on what, and the highest mIoU, or sum of it over domains, of each way of scoring."""
    sentences = [_what_was_trained(settings, class_counts)]
    for manner, members in protocols(settings).items():
        reached = [(mean(values), setting) for setting in settings if (values := sums(setting, members))]
        if not reached:
            continue
        _, best = max(reached, key=lambda one: one[0])
        what = "mIoU" if len(members) == 1 else "sum of mIoU"
        what = f"Highest {what}" if len(reached) > 1 else what[0].upper() + what[1:]
        who = f"{best.name}, " if len(settings) > 1 else ""
        parts = [f"{p.domain} {score_cell(best, [p]).shown}" for p in members]
        sentences.append(f"{what} {manner}: {who}{score_cell(best, members).shown} ({', '.join(parts)}).")
    return sentences


def _what_was_trained(settings: Sequence[Setting], class_counts: Mapping[str, int]) -> str:
    runs = [run for setting in settings for run in setting.runs]
    described = []
    for domain in dict.fromkeys(domain for run in runs for domain in run.domains):
        budgets = [len(run.labeled[domain]) for run in runs if domain in run.labeled]
        facts = [f"{class_counts[domain]} classes"] if domain in class_counts else []
        facts += [f"{_range(budgets)} labelled images"] if budgets else []
        described.append(f"{domain} ({', '.join(facts)})" if facts else domain)
    subject = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    if len(settings) < len(runs):
        subject += f" of {len(settings)} settings" if len(settings) > 1 else " of one setting"
    methods = in_words(dict.fromkeys(run.method for run in runs))
    networks = in_words(dict.fromkeys(map(_network, runs)))
    sentence = (
        f"{subject} ({methods}) on {in_words(described)}: {networks}, {_range([run.steps for run in runs])} steps"
    )
    seconds = [run.seconds for run in runs if run.seconds is not None]
    if seconds:
        sentence += f", {_range(seconds, duration)}{'' if len(runs) == 1 else ' each'}"
    hardware = dict.fromkeys(_hardware(run) for run in runs if run.environment)
    return f"{sentence} on {in_words(hardware)}." if hardware else f"{sentence}."


def _network(run: RunFacts) -> str:
    model = run.config.get("model", {})
    width = model.get("width", 1.0)
    scaled = "" if width == 1.0 else f" at width {width:g}"
    return f"{model.get('encoder', 'network')}{scaled} with {model.get('decoder', 'its')} decoder"


def _hardware(run: RunFacts) -> str:
    """What a run computed on: the accelerators of its machine, unless it was told to leave them alone."""
    on_cpu = (run.config.get("trainer") or {}).get("accelerator") == "cpu"
    accelerators = [] if on_cpu else run.environment.get("accelerators", [])
    return in_words(dict.fromkeys(accelerators)) or str(run.environment.get("processor", "unknown hardware"))


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader expects."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _range(values: Sequence[float], shown: Callable[[float], str] = str) -> str:
    low, high = shown(min(values)), shown(max(values))
    return low if low == high else f"{low} to {high}"
