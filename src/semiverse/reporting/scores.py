"""What runs reached and how they differ, as tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from semiverse.labels import Color
from semiverse.reporting.runs import Protocol, RunFacts, Score, validation_split
from semiverse.reporting.settings import Setting
from semiverse.reporting.tables import DAGGER, MISSING, Column, Entry, Row, Table, mark_best, percent_cell, word

Frequencies = Mapping[str, tuple[float, int]]
"""Share of all pixels, in [0, 1], and number of images, by class."""


def protocols(settings: Sequence[Setting]) -> dict[str, list[Protocol]]:
    """Protocols of all scores, those that may be added up together: by the words that tell them apart."""
    runs = [run for setting in settings for run in setting.runs]
    usual = {domain: validation_split(run.config, domain) for run in runs for domain in run.domains}
    order = {domain: i for i, domain in enumerate(usual)}
    manners = {  # how a protocol scores, whatever the domain; empty words for what is usual
        protocol: (
            protocol.via,
            "" if protocol.split == usual.get(protocol.domain) else f"split {protocol.split}",
            "" if protocol.variant == "default" else protocol.variant,
            "full resolution" if protocol.full_resolution else "",
        )
        for run in runs
        for protocol in run.scores
    }
    grouped: dict[str, list[Protocol]] = {}
    for protocol in sorted(manners, key=lambda p: (*manners[p], order.get(p.domain, len(order)), p)):
        via, *others = manners[protocol]
        grouped.setdefault(", ".join([f"by {via}", *filter(None, others)]), []).append(protocol)
    return grouped


def score_table(settings: Sequence[Setting]) -> Table:
    """One row a setting, and one for each of its runs where there are several."""
    runs = [run for setting in settings for run in setting.runs]
    same = len({tuple(run.domains) for run in runs}) == 1
    blocks = protocols(settings)
    columns = [Column("run", "run")]
    for manner, members in blocks.items():
        suffix = "" if manner == "by decoder" else "_" + "".join(c if c.isalnum() else "_" for c in manner)
        detail = manner.removeprefix("by ")
        columns += [Column(p.domain, f"{p.domain}/miou{suffix}", detail) for p in members]
        columns += [Column("sum", f"sum_miou{suffix}", detail)] * (len(members) > 1)
    budgets = Column("labelled", "labeled", " + ".join(runs[0].domains) if same else "images")
    columns += [Column("method", "method"), budgets, Column("training", "seconds", "seconds")]
    table = Table("scores", "Mean intersection over union (mIoU) in percent; higher is better.", columns)
    for setting in settings:
        parts = [setting] + [Setting(run.name, [run]) for run in setting.runs] * (len(setting.runs) > 1)
        table.rows += [Row(_score_cells(part, blocks, same), part is not setting) for part in parts]
    for i, column in enumerate(columns):
        if "miou" in column.key:
            mark_best([row.cells[i] for row in table.rows if not row.member])
    table.notes = _notes(settings)
    return table


def _score_cells(setting: Setting, blocks: Mapping[str, Sequence[Protocol]], same: bool) -> list[Entry]:
    first, count = setting.runs[0], len(setting.runs)
    progress = "" if first.finished else f" (unfinished, step {first.steps})"
    cells = [word(f"{setting.name}, mean of {count} runs" if count > 1 else setting.name + progress)]
    for members in blocks.values():
        cells += [score_cell(setting, [protocol]) for protocol in members]
        cells += [score_cell(setting, members)] * (len(members) > 1)
    budget = " + ".join(f"{domain} " * (not same) + str(len(names)) for domain, names in first.labeled.items())
    seconds = [run.seconds for run in setting.runs if run.seconds is not None]
    time = Entry(f"{mean(seconds):.0f}", mean(seconds)) if seconds else Entry(MISSING)
    return [*cells, word(first.method), Entry(budget or MISSING, budget), time]


def score_cell(setting: Setting, members: Sequence[Protocol]) -> Entry:
    """Sum of mIoU over protocols, or the mIoU of one: mean and spread over the runs of a setting."""
    return percent_cell(sums(setting, members), any(any(run.validated(members)) for run in setting.runs))


def sums(setting: Setting, members: Sequence[Protocol]) -> list[float]:
    """Sum of mIoU over protocols (or the mIoU of one), in [0, 1] each, of every run that has all of them."""
    return [total for run in setting.runs if (total := run.total(members)) is not None]


def _notes(settings: Sequence[Setting]) -> list[str]:
    """What a reader must know before comparing."""
    runs = [run for setting in settings for run in setting.runs]
    notes = []
    if any(len(setting.runs) > 1 for setting in settings):
        notes.append("± is the standard deviation over runs that differ only in the seed.")
    if len(settings) > 1 and all(len(setting.runs) == 1 for setting in settings):
        notes.append(
            "Every setting was run once: small differences may be chance, which repetitions with other seeds show."
        )
    checked = {run.name: score.step for run in runs for score in run.scores.values() if score.step is not None}
    if checked:
        listed = ", ".join(f"{name} (step {step})" for name, step in checked.items())
        notes.append(f"{DAGGER} Last validation during training, because there is no evaluation: {listed}.")
    silent = [run.name for run in runs if not run.scores]
    if silent:
        notes.append(f"Neither evaluated nor validated yet: {', '.join(silent)}.")
    for protocol in dict.fromkeys(protocol for run in runs for protocol in run.scores):
        found = [run.scores[protocol] for run in runs if protocol in run.scores]
        counts = {score.images for score in found if score.images is not None}
        if len(counts) > 1:
            notes.append(f"Runs were scored on different numbers of {protocol.domain} images: {sorted(counts)}.")
        if len({tuple(score.iou) for score in found if score.iou}) > 1:
            notes.append(f"Runs have different classes in {protocol.domain}: their scores there do not compare.")
    return list(dict.fromkeys(notes))


def difference_table(runs: Sequence[RunFacts]) -> Table:
    """Values of the configuration that differ between runs."""
    flat = {run.name: dict(flattened(run.config)) for run in runs}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    differing = [key for key in keys if len({values.get(key, MISSING) for values in flat.values()}) > 1]
    columns = [Column("key", "key"), *(Column(name, name) for name in flat)]
    rows = [Row([word(key), *(Entry(v.get(key, MISSING), v.get(key)) for v in flat.values())]) for key in differing]
    return Table("differences", "Values of the configuration that differ between the runs.", columns, rows)


def flattened(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    """Dotted paths and their values as text."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", str(value)


class Evaluated(NamedTuple):
    """Evaluations of a setting's runs in a domain: setting, in which manner it was scored, scores."""

    setting: Setting
    manner: str
    scores: Sequence[Score]

    @property
    def name(self) -> str:
        """The setting, and the manner where it is another than that of the decoder."""
        return self.setting.name if self.manner == "by decoder" else f"{self.setting.name} {self.manner}"

    @property
    def ious(self) -> list[Mapping[str, float | None]]:
        """Intersection over union by class, of the runs that have it."""
        return [score.iou for score in self.scores if score.iou]


def evaluations(domain: str, settings: Sequence[Setting]) -> list[Evaluated]:
    """All evaluations of a domain, by manner and setting; validations during training are none."""
    found = [
        Evaluated(setting, manner, [score for score in setting.scored(protocol) if score.step is None])
        for manner, members in protocols(settings).items()
        for protocol in members
        for setting in settings
        if protocol.domain == domain
    ]
    return [evaluated for evaluated in found if evaluated.scores]


def class_table(
    domain: str, found: Sequence[Evaluated], frequencies: Frequencies, colors: Mapping[str, Color]
) -> Table | None:
    """Intersection over union of each class beside its frequency; None where nothing was evaluated.

    Args:
        domain: Whose classes.
        found: Its evaluations.
        frequencies: Of the classes in the validation masks; empty where these are not there.
        colors: Of the classes; may be empty.
    """
    chosen = [evaluated for evaluated in found if evaluated.ious]
    if not chosen:
        return None
    columns = [Column("class", "class")]
    columns += [Column(e.setting.name, f"{e.setting.name} {e.manner}", e.manner) for e in chosen]
    if frequencies:
        columns += [Column("pixels", "pixels", "% of masks"), Column("images", "images", "with the class")]
    table = Table(f"classes_{domain}", f"Intersection over union of each class of {domain} in percent.", columns)
    for title in dict.fromkeys(title for evaluated in chosen for iou in evaluated.ious for title in iou):
        values = [[iou.get(title) for iou in evaluated.ious] for evaluated in chosen]
        cells = [percent_cell([value for value in row if value is not None]) for row in values]
        mark_best(cells)
        if frequencies:
            share, images = frequencies.get(title, (0.0, 0))
            cells += [Entry(f"{100 * share:.2f}", share), Entry(str(images), images)]
        table.rows.append(Row([word(title, colors.get(title)), *cells]))
    if any(cell.value is None for row in table.rows for cell in row.cells):
        table.notes = [f"{MISSING} the class neither occurs in the masks nor was predicted."]
    return table


FURTHER: Mapping[str, tuple[str, Callable[[Score], float | None]]] = {
    "miou": ("mIoU", lambda score: score.miou),
    "image_miou": ("mIoU of single images", lambda score: score.image_miou),
    "boundary_miou": ("boundary mIoU", lambda score: score.boundary_miou),
    "pixel_accuracy": ("pixel accuracy", lambda score: score.pixel_accuracy),
    "calibration_error": ("calibration error", lambda score: (score.calibration or {}).get("error")),
}
"""Titles and values of the columns of further scores."""


def further_table(domain: str, found: Sequence[Evaluated]) -> Table | None:
    """A row an evaluation, a column for each score that any of them has; None where that is mIoU alone."""
    values = {
        key: [[v for s in e.scores if (v := value(s)) is not None] for e in found]
        for key, (_, value) in FURTHER.items()
    }
    keys = [key for key, rows in values.items() if any(rows)]
    if not set(keys) - {"miou"}:
        return None
    widths = sorted({score.boundary_width for e in found for score in e.scores if score.boundary_width is not None})
    shown = " or ".join(dict.fromkeys(f"{width:.1f}" for width in widths))
    details = {"boundary_miou": f"within {shown} pixels", "calibration_error": "lower is better"}
    columns = [Column("run", "run"), *(Column(FURTHER[key][0], key, details.get(key, "")) for key in keys)]
    table = Table(f"further_scores_{domain}", f"Further scores in {domain}, in percent.", columns)
    for i, evaluated in enumerate(found):
        count = len(evaluated.scores)
        title = evaluated.name + (f", mean of {count} runs" if count > 1 else "")
        table.rows.append(Row([word(title), *(percent_cell(values[key][i]) for key in keys)]))
    for column, key in enumerate(keys, start=1):
        mark_best([row.cells[column] for row in table.rows], lowest=key == "calibration_error")
    return table
