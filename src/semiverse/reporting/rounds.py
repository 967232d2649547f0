"""Rounds of self-training: what each run came to, and what it gained on the one before, as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from semiverse.configuration.records import checked, record
from semiverse.files import DataProblem, read_json, value_of
from semiverse.reporting.tables import MISSING, Column, Entry, Row, Table, word
from semiverse.run import Run

ROUNDS = "rounds.json"
"""What ``semiverse selftrain`` leaves of its rounds, for programs."""


class Round(NamedTuple):
    """A run of self-training.

    ``title`` is first, teacher or the number of the round; ``run`` its folder; ``mious`` are in [0, 1] by domain (None
    where nothing was to score); ``seconds`` are those of training, None for a teacher of which they are not known;
    ``labeling_seconds`` those of making its pseudo-labels, ``kept`` the mean share of the pixels of an image that they
    label by domain; both empty for the first; ``steps`` those of training, None where they are not known.
    """

    title: str
    run: str
    mious: Mapping[str, float | None]
    seconds: float | None
    labeling_seconds: float
    kept: Mapping[str, float]
    steps: int | None = None

    @property
    def total(self) -> float:
        """Sum of mIoU over the domains."""
        return sum(value for value in self.mious.values() if value is not None)


def read_round(title: str, run: Path, evaluation: Path) -> Round:
    """What the files of a run and its evaluation say.

    Raises:
        FileNotFoundError: If one is missing.
        ValueError: If one is damaged.
    """
    found = Run(run)
    with found.part(evaluation):
        scores = checked(found.read_json(evaluation)["domains"], dict[str, dict[str, Any]], "domains")
        mious = checked({domain: result["miou"] for domain, result in scores.items()}, dict[str, float | None], "miou")
    finished, seconds, steps = run / "finished.json", None, None
    if finished.is_file():
        with found.part(finished):
            told = found.read_json(finished)
            seconds = checked(told.get("seconds"), float | None, "seconds")
            steps = checked(told.get("steps"), int | None, "steps")
    kept, spent = dict[str, float](), 0.0
    for path in sorted((run / "labels").glob("*/pseudolabels.json")):
        with found.part(path):
            known = found.read_json(path)
            kept[path.parent.name] = _mean([float(one["kept_share"]) for one in known["images"].values()])
            spent += float(known["seconds"])
    return Round(title, str(run), mious, seconds, round(spent, 1), kept, steps)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def as_values(rounds: Sequence[Round]) -> dict[str, Any]:
    """For programs: every round, its sum of mIoU, and its gain on the one before (None for the first)."""
    values = []
    for one, before in zip(rounds, [None, *rounds], strict=False):
        gain = None if before is None else one.total - before.total
        values.append(one._asdict() | {"sum_miou": one.total, "gain": gain})
    return {"rounds": values}


def tables_of_rounds(places: Sequence[Path]) -> tuple[list[Table], list[str]]:
    """The tables of those places that hold rounds, and what cannot be read."""
    found: list[Table] = []
    problems: list[str] = []
    for path in (place / ROUNDS for place in places):
        if not path.is_file():
            continue
        try:
            found.append(rounds_table(_read_rounds(path)))
        except ValueError as error:
            problems.append(f"{error}. It was left out: the same call of semiverse selftrain writes it anew.")
    return found, problems


def _read_rounds(path: Path) -> list[Round]:
    """What a file of rounds says.

    Raises:
        ValueError: If it is damaged.
    """
    known = value_of(read_json(path, "rounds of self-training"), "rounds", list, str(path))
    known = [
        {name: one[name] for name in Round._fields if name in one}
        for one in checked(known, list[dict[str, Any]], f"{path}: rounds")
    ]
    rounds = [record(Round, one, f"{path}: round {number}") for number, one in enumerate(known)]
    if not rounds or any(one.mious.keys() != rounds[0].mious.keys() for one in rounds):
        raise DataProblem(f"{path} has no rounds, or rounds of several sets of domains", "one set", "write it anew")
    return rounds


def rounds_table(rounds: Sequence[Round]) -> Table:
    """A row a run: mIoU of each domain, their sum, what it gained, and what it took."""
    domains = list(rounds[0].mious)
    columns = [Column("run", "run"), *(Column(name, name) for name in domains), Column("sum", "sum_miou")]
    columns += [Column("gain", "gain"), Column("kept", "kept", "% of the pixels"), Column("steps", "steps")]
    columns.append(Column("seconds", "seconds"))
    caption = (
        "Self-training: mIoU in % on the validation images after each round, and what it gained on the run before. "
        "A round of more steps than the run before may owe part of its gain to them. Seconds are those of labelling "
        "and training."
    )
    table = Table("rounds", caption, columns)
    for one, before in zip(rounds, [None, *rounds], strict=False):
        gain = Entry(MISSING) if before is None else _signed(one.total - before.total)
        kept = _percent(_mean(list(one.kept.values()))) if one.kept else Entry(MISSING)
        spent = None if one.seconds is None else one.seconds + one.labeling_seconds
        seconds = Entry(MISSING) if spent is None else Entry(f"{spent:.0f}", spent)
        steps = Entry(MISSING) if one.steps is None else Entry(str(one.steps), one.steps)
        scores = [_percent(one.mious[name]) for name in domains]
        table.rows.append(Row([word(one.title), *scores, _percent(one.total), gain, kept, steps, seconds]))
    return table


def _percent(value: float | None) -> Entry:
    return Entry(MISSING) if value is None else Entry(f"{100 * value:.1f}", value)


def _signed(difference: float) -> Entry:
    return Entry(f"{100 * difference:+.1f}", difference)
