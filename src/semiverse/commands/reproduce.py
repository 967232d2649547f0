"""Run the rows of a published or open table and set ours next to the published numbers."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

from semiverse.commands.evaluate import evaluate
from semiverse.commands.train import train
from semiverse.configuration import USER_ERRORS, dump_yaml, merged
from semiverse.configuration.build import arguments
from semiverse.files import write_atomically
from semiverse.recipes.cells import Cell, Deadline, cells, filled, shard_of
from semiverse.recipes.clusters import cluster
from semiverse.recipes.missing import missing
from semiverse.recipes.recipe import Recipe, load, names
from semiverse.recipes.results import Result, read_results, result_of, result_of_run
from semiverse.recipes.table import numbers, table, verdicts
from semiverse.reporting.tables import as_csv, as_latex, as_markdown
from semiverse.run import Run

log = logging.getLogger(__name__)


def reproduce(
    recipe: str | None = None,
    out: Path | None = None,
    size: str | None = None,
    rows: list[str] | None = None,
    columns: list[str] | None = None,
    seeds: list[int] | None = None,
    shard: str | None = None,
    minutes: float | None = None,
    results: list[Path] | None = None,
    device: str = "auto",
) -> int:
    """Run every row, column and seed of a table, and print ours next to what was published.

    The same call goes on: finished runs are skipped, an interrupted one is resumed. Runs whose data or weights are
    missing are named before anything starts, and left out.

    Args:
        recipe: Name of a recipe, such as open/universal, or a YAML file of your own; None: list them.
        out: Folder for runs, results and table; None: runs/reproduce/RECIPE, with the size behind it.
        size: Such as cpu or gpu, for recipes that have sizes; None: the first.
        rows: Only these rows (and those that they start from); None: all.
        columns: Only these column groups; None: all.
        seeds: These seeds instead of the recipe's.
        shard: I/N: only the share I of N, for several machines or a job array; N calls together run everything.
        minutes: Stop cleanly after so long; the same call goes on.
        results: Other folders (an earlier --out) whose finished results count as well: other shards, other tables.
        device: Where to evaluate and cluster; auto: a GPU if there is one. Training follows the recipe's trainer.

    Returns:
        0; 1 if a run could not be made.

    Raises:
        FileNotFoundError: If there is no such recipe or no such folder of results.
        ValueError: If there is no such row, column or size, or a recipe is not written as one.
    """
    if recipe is None:
        print(listing())
        return 0
    found, deadline = load(recipe), Deadline(minutes)
    chosen_size = found.size(size)
    folder = out or Path("runs", "reproduce", found.name, chosen_size)
    every = cells(found, chosen_size, seeds=sorted({*found.seeds, *(seeds or ())}))
    asked = cells(found, chosen_size, rows, columns, seeds)
    mine = asked if shard is None else shard_of(asked, shard)
    known = read_results([place for place in (folder / "results",) if place.is_dir()])
    known += _brought(read_results(results or ()), every, known, folder / "results")
    left = [cell for cell in mine if result_of(cell, known) is None]
    lacking = missing(found, left)
    for problem, cells_without in lacking.items():
        log.warning("%d of %d runs are left out: %s", len(cells_without), len(left), problem)
    out_of_reach = {cell.place for cells_without in lacking.values() for cell in cells_without}
    problems = list(lacking)
    for count, cell in enumerate(left):
        if cell.place in out_of_reach:
            continue
        if deadline.over:
            log.info("time is over: %d of %d runs are left; the same call goes on", len(left) - count, len(mine))
            break
        log.info("%s (%d of %d that are left)", cell.title, count + 1, len(left))
        try:
            with deadline.interrupting():
                result = _run(found, cell, folder, device, deadline)
            result.write(folder / "results")
            known.append(result)
        except KeyboardInterrupt:
            if not deadline.over:
                raise
        except (*USER_ERRORS, RuntimeError) as error:  # another row may well succeed
            log.warning("%s failed: %s", cell.title, error)
            problems.append(f"{cell.title} failed: {error}")
    print(collate(found, every, known, folder, problems))
    return 1 if problems else 0


def listing() -> str:
    """The shipped recipes, a line each."""
    every = [(name, load(name)) for name in names()]
    width = max(len(name) for name, _ in every)
    lines = [
        f"  {name:<{width}}  {recipe.title}{f' ({recipe.source})' * bool(recipe.source)}" for name, recipe in every
    ]
    return "\n".join(["recipes, for semiverse reproduce RECIPE:", *lines])


def _brought(others: Sequence[Result], every: Sequence[Cell], known: Sequence[Result], folder: Path) -> list[Result]:
    """Results of other folders for cells that have none here yet, under the names that these have; kept here too."""
    found = [(cell, result_of(cell, others)) for cell in every if result_of(cell, known) is None]
    brought = [replace(result, column=cell.column, row=cell.row) for cell, result in found if result is not None]
    for result in brought:
        result.write(folder)
    return brought


def _run(recipe: Recipe, cell: Cell, folder: Path, device: str, deadline: Deadline) -> Result:
    """Make a cell's run, or go on with it."""
    place = folder / "runs" / cell.place
    if recipe.kind == "clustering":
        return cluster(cell, place, device, deadline)
    runs = {row: folder / "runs" / Path(cell.column, row, f"seed{cell.seed}") for row in recipe.rows}
    config = filled(cell.config, runs)
    write_atomically(folder / "configs" / cell.place.with_suffix(".yaml"), dump_yaml(config))
    values = merged(config, {"seed": cell.seed, "data": {"seed": cell.seed}, "out": str(place)})
    train(**arguments(train, values))
    evaluation = {"details": True, "device": device, **recipe.evaluation}
    with redirect_stdout(StringIO()):  # its class-wise table stands in the run's evaluation.json
        evaluate(**arguments(evaluate, {"run": str(place), "data": values["data"], **evaluation}))
    return result_of_run(cell, Run(place))


def collate(
    recipe: Recipe, every: Sequence[Cell], known: Sequence[Result], folder: Path, problems: Sequence[str]
) -> str:
    """Write the table of all results that there are; returns it as text, with verdicts and what is missing."""
    scored = {(cell.column, cell.row, cell.seed): result_of(cell, known) for cell in every}
    present = {key: result for key, result in scored.items() if result is not None}
    found = numbers(recipe, present)
    notes = [f"{len(present)} of {len(every)} runs are done."] if len(present) < len(every) else []
    notes += [*_hardware(present), *problems, *recipe.reasons]
    made, sentences = table(recipe, found, notes), verdicts(recipe, found)
    for ending, write in {"md": as_markdown, "csv": as_csv, "tex": as_latex}.items():
        write_atomically(folder / f"table.{ending}", write(made))
    values = {
        "recipe": recipe.name,
        "title": recipe.title,
        "source": recipe.source,
        "numbers": [number.as_values() for number in found],
        "verdicts": sentences,
        "notes": notes,
    }
    write_atomically(folder / "table.json", json.dumps(values, indent=1) + "\n")
    return "\n".join([made.caption, "", as_markdown(made), *sentences, f"\ntable: {folder / 'table.md'}"])


def _hardware(present: Mapping[tuple[str, str, int], Result]) -> list[str]:
    """What the results were computed on, in a sentence each."""
    places = dict.fromkeys(
        ", ".join(result.environment.get("accelerators") or [str(result.environment.get("processor"))])
        for result in present.values()
    )
    seconds = [result.seconds for result in present.values() if result.seconds is not None]
    spent = (
        f", {' to '.join(dict.fromkeys(f'{end(seconds):.0f}' for end in (min, max)))} seconds a run" if seconds else ""
    )
    return [f"Run on {' and '.join(places)}{spent}."] if places else []
