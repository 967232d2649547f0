"""Running what is left of a table, cell by cell, until it is done or time is over."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from semiverse.configuration import describe, dump_yaml
from semiverse.files import write_atomically
from semiverse.models import SegmentationModel
from semiverse.recipes.cells import Cell, Deadline, filled
from semiverse.recipes.clusters import cluster_cell
from semiverse.recipes.missing import missing
from semiverse.recipes.recipe import Recipe
from semiverse.recipes.results import CellResult, result_of, result_of_run
from semiverse.run import Run

log = logging.getLogger(__name__)

Training = Callable[[Recipe, Cell, Path, Path], object]
"""Trains and evaluates a cell of a recipe, with a configuration file, into a run folder."""


def run_cells(
    recipe: Recipe,
    cells: Sequence[Cell],
    known: list[CellResult],
    folder: Path,
    deadline: Deadline,
    device: str,
    training: Training,
) -> Iterator[list[str]]:
    """Run the cells that have no result yet; says at the start and after each of them what cannot be run, and why.

    Args:
        recipe: Of the table.
        cells: Those to run; what lacks its data or weights is named before anything starts, and left out.
        known: All results; new ones are added, and written.
        folder: Of the table.
        deadline: When to stop.
        device: Where to cluster.
        training: What trains and evaluates.
    """
    left = _left(cells, known, folder)
    lacking = missing(recipe, left)
    for problem, cells_without in lacking.items():
        log.warning("%d of %d runs are left out: %s", len(cells_without), len(left), problem)
    out_of_reach = {cell.place for cells_without in lacking.values() for cell in cells_without}
    yield list(lacking)
    for count, cell in enumerate(left):
        if cell.place in out_of_reach:
            continue
        if deadline.over:
            log.info("time is over: %d of %d runs are left; the same call goes on", len(left) - count, len(cells))
            break
        log.info("%s (%d of %d that are left)", cell.title, count + 1, len(left))
        try:
            with deadline.interrupting():
                result = _run(recipe, cell, folder, deadline, device, training)
            if result_of(cell, known) is None:
                known.append(result)
        except KeyboardInterrupt:
            if not deadline.over:
                raise
        except (ValueError, OSError, FloatingPointError, ImportError, RuntimeError) as error:  # others may succeed
            log.warning("%s failed: %s", cell.title, error)
            yield [f"{cell.title} failed: {error}"]
        else:
            yield []


def _left(cells: Sequence[Cell], known: Sequence[CellResult], folder: Path) -> list[Cell]:
    """Cells without a result, and those that these start from whose runs, unlike their results, are not here."""
    left, needed = list[Cell](), set[tuple[str, str, int]]()
    for cell in reversed(cells):  # what must come first comes first
        here = (folder / "runs" / cell.place / "finished.json").is_file()
        if result_of(cell, known) is None or ((cell.column, cell.row, cell.seed) in needed and not here):
            left.insert(0, cell)
            needed |= {(cell.column, cell.after, cell.seed)} if cell.after is not None else set()
    return left


def _run(recipe: Recipe, cell: Cell, folder: Path, deadline: Deadline, device: str, training: Training) -> CellResult:
    """Make a cell's run, or go on with it; its result is written."""
    place = folder / "runs" / cell.place
    if recipe.kind_of(cell.row) == "clustering":
        result = cluster_cell(cell, place, device, deadline)
    else:
        runs = {row: folder / "runs" / cell.column / row / f"seed{cell.seed}" for row in recipe.rows}
        file = folder / "configs" / cell.place.with_suffix(".yaml")
        write_atomically(file, dump_yaml(filled(cell.config, runs)))
        training(recipe, cell, file, place)
        result = result_of_run(cell, Run(place))
    result.write(folder / "results")
    return result


def keep_start(run: Run, values: Mapping[str, Any], seed: int) -> None:
    """Make a run of no steps from arguments of ``train``: its model is the network as it starts, from given weights."""
    data, config = values["data"], values["model"].resolved
    described = describe({"data": data, "method": values["method"], "model": config})
    described["data"] = described["data"]["init_args"]
    run.claim(described | {"seed": seed})
    run.note_environment(seed)
    SegmentationModel(config, data.label_spaces, data.resolutions).save(run.model)
    write_atomically(run.folder / "finished.json", json.dumps({"steps": 0, "seconds": 0.0}) + "\n")
