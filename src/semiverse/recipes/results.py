"""Results of cells: small files, enough for the table, to keep when the runs are gone and to merge by copying."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from semiverse.configuration import differences, rewritten
from semiverse.configuration.records import checked, record
from semiverse.files import read_json, reading, write_atomically
from semiverse.recipes.cells import Cell
from semiverse.run import Run


@dataclass(frozen=True)
class CellResult:
    """What a cell came to.

    Args:
        column: Its column group.
        row: Its row.
        seed: Its seed.
        config: What was run, as the recipe said, with the precision that "auto" stood for.
        scores: By name, in [0, 1] where they are shares; what was not to score is left out.
        seconds: Of training and of labelling images for it, or of clustering.
        environment: Hardware, versions and revision.
    """

    column: str
    row: str
    seed: int
    config: dict[str, Any]
    scores: dict[str, float]
    seconds: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Keep it below a folder."""
        path = Path(folder, self.column, self.row, f"seed{self.seed}.json")
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")


def read_results(folders: Iterable[Path]) -> list[CellResult]:
    """All results below the folders.

    Raises:
        FileNotFoundError: If a folder is not there.
        ValueError: If a file is none of ours.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: no such folder; expected results of an earlier call (its --out): check --results"
            )
        inside = folder / "results" if (folder / "results").is_dir() else folder
        for path in sorted(inside.rglob("seed*.json")):
            wanted = "what semiverse reproduce wrote"
            with reading(path, wanted, "remove the file and repeat the call", "it is no result"):
                found.append(record(CellResult, read_json(path, wanted), str(path)))
    return found


def gather(every: Sequence[Cell], folder: Path, others: Sequence[Path]) -> list[CellResult]:
    """All results below a folder, and those of other folders for cells that have none there.

    These get the names that they have here, and are kept here too.
    """
    known = read_results([folder] if folder.is_dir() else [])
    elsewhere = read_results(others)
    for cell in [cell for cell in every if result_of(cell, known) is None]:
        result = result_of(cell, elsewhere)
        if result is not None:
            known.append(replace(result, column=cell.column, row=cell.row))
            known[-1].write(folder)
    return known


def result_of(cell: Cell, results: Sequence[CellResult]) -> CellResult | None:
    """The cell's result, if there is one, under whatever name: same seed, same configuration."""
    now = rewritten(cell.config)[0]
    mine = (result for result in results if result.seed == cell.seed)
    return next((r for r in mine if not differences(_in_precision(rewritten(r.config)[0], now), now)), None)


def _in_precision(config: dict[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose precision is "auto" where that of another one is, which stands for any."""
    for section in ("trainer", "networks_trainer"):
        asked, used = now.get(section), config.get(section)
        if asked and used and asked.get("precision") == "auto" and "precision" in used:
            config = {**config, section: {**used, "precision": "auto"}}
    return config


def result_of_run(cell: Cell, run: Run) -> CellResult:
    """What a trained and evaluated run came to."""
    finished = run.read_json(run.folder / "finished.json")
    named: dict[str, float | None] = {}
    named |= {key: float(value) for key, value in (run.read_metrics() or [{}])[-1].items() if "miou" not in key}
    for domain, result in _evaluated(run).items():
        values = {f"iou/{title}": value for title, value in result["iou"].items()}
        values |= {key: result.get(key) for key in ("miou", "pixel_accuracy", "image_miou", "boundary_miou")}
        values["calibration_error"] = (result.get("calibration") or {}).get("error")
        named |= {f"{domain}/{key}": value for key, value in values.items()}
    scores = {name: value for name, value in named.items() if value is not None}
    labels = [run.read_json(path) for path in run.folder.glob("labels/*/pseudolabels.json")]
    seconds = finished.get("seconds")
    seconds = None if seconds is None else seconds + sum(one["seconds"] for one in labels)
    used = (run.read_config().get("trainer") or {}).get("precision")
    trainer = {**(cell.config.get("trainer") or {}), "precision": used}
    config = cell.config if used is None else {**cell.config, "trainer": trainer}
    return CellResult(cell.column, cell.row, cell.seed, config, scores, seconds, environment(run.folder))


def _evaluated(run: Run) -> dict[str, dict[str, Any]]:
    """What ``evaluation.json`` says of each domain, and ``evaluation_NAME.json`` as ``DOMAIN@NAME``."""
    found = {}
    for path in sorted(run.folder.glob("evaluation*.json")):
        name = path.stem.removeprefix("evaluation").removeprefix("_")
        with run.part(path):
            domains = checked(run.read_json(path)["domains"], dict[str, dict[str, Any]], "domains")
        for domain, result in domains.items():
            found[f"{domain}@{name}" if name else domain] = result
    return found


def environment(folder: Path) -> dict[str, Any]:
    """Hardware, versions and revision of a run."""
    facts = read_json(folder / "environment.json", "what a run was made with")
    return {key: value for key, value in facts.items() if key not in ("command", "seed")}


def score(name: str, scores: Mapping[str, float], fewest: int = 1) -> float | None:
    """A score by its name; a sum of mIoU that is not among them is that of all domains, of which there are so many."""
    parts = [value for key, value in scores.items() if key.endswith("/miou") and "@" not in key]
    return sum(parts) if name == "sum_miou" and name not in scores and len(parts) >= fewest else scores.get(name)
