"""Scores beside mIoU and their classes, by domain."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from semiverse.commands.reporting.comparisons import protocols
from semiverse.commands.reporting.runs import Setting
from semiverse.commands.reporting.scores import Score
from semiverse.commands.reporting.tables import Cell, Column, Row, Table, mark_best, percent_cell


class Evaluated(NamedTuple):
    """Evaluations of a setting's runs in a domain: setting, in which manner it was scored, scores."""

    setting: Setting
    manner: str
    scores: Sequence[Score]

    @property
    def name(self) -> str:
        """The setting, and the manner where it is another than that of the decoder."""
        return self.setting.name if self.manner == "by decoder" else f"{self.setting.name} {self.manner}"


ERROR = "calibration_error"
VALUES: Mapping[str, tuple[str, Callable[[Score], float | None]]] = {
    "miou": ("mIoU", lambda score: score.miou),
    "image_miou": ("mIoU of single images", lambda score: score.image_miou),
    "boundary_miou": ("boundary mIoU", lambda score: score.boundary_miou),
    "pixel_accuracy": ("pixel accuracy", lambda score: score.pixel_accuracy),
    ERROR: ("calibration error", lambda score: None if score.calibration is None else score.calibration["error"]),
}
"""Titles and values of the columns."""


def evaluations(domain: str, settings: Sequence[Setting]) -> list[Evaluated]:
    """All evaluations of a domain, by manner and setting; validations during training are none."""
    found = []
    for manner, members in protocols(settings).items():
        for protocol in members:
            for setting in settings if protocol.domain == domain else ():
                scores = [run.scores[protocol] for run in setting.runs if protocol in run.scores]
                scores = [score for score in scores if score.step is None]
                found += [Evaluated(setting, manner, scores)] if scores else []
    return found


def further_table(domain: str, found: Sequence[Evaluated]) -> Table | None:
    """A row an evaluation, a column for each score that any of them has; None where that is mIoU alone."""
    values = {
        key: [[v for s in e.scores if (v := value(s)) is not None] for e in found] for key, (_, value) in VALUES.items()
    }
    keys = [key for key, rows in values.items() if any(rows)]
    if not set(keys) - {"miou"}:
        return None
    widths = sorted({score.boundary_width for e in found for score in e.scores if score.boundary_width is not None})
    shown = " or ".join(dict.fromkeys(f"{width:.1f}" for width in widths))
    details = {"boundary_miou": f"within {shown} pixels", ERROR: "lower is better"}
    columns = [Column("run", "run")]
    columns += [Column(VALUES[key][0], key, details.get(key, "")) for key in keys]
    table = Table(f"further_scores_{domain}", f"Further scores in {domain}, in percent.", columns)
    for i, evaluated in enumerate(found):
        count = len(evaluated.scores)
        title = evaluated.name + (f", mean of {count} runs" if count > 1 else "")
        table.rows.append(Row([Cell(title, title), *(percent_cell(values[key][i]) for key in keys)]))
    for column, key in enumerate(keys, start=1):
        cells = [row.cells[column] for row in table.rows]
        mark_lowest(cells) if key == ERROR else mark_best(cells)
    return table


def mark_lowest(cells: Sequence[Cell]) -> None:
    """Mark the lowest of several values; equal digits are equally good."""
    values = {id(cell): round(cell.value, 3) for cell in cells if isinstance(cell.value, float)}
    for cell in cells:
        cell.best = len(values) > 1 and values.get(id(cell)) == min(values.values())
