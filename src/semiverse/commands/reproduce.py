"""Run the rows of a published or open table and set ours next to the published numbers."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from semiverse.commands.evaluate import evaluate
from semiverse.commands.train import train
from semiverse.configuration import merged, read_config
from semiverse.configuration.build import arguments, build
from semiverse.inference.labeling import Labeling, label_mixture
from semiverse.recipes.cells import Cell, Deadline, cells, shard_of
from semiverse.recipes.recipe import PSEUDOLABELS, Recipe, listing, load
from semiverse.recipes.results import gather
from semiverse.recipes.running import keep_start, run_cells
from semiverse.recipes.table import write_table
from semiverse.run import Run


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
    weights: Path | None = None,
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
        weights: What rows start from that take a given model: a published file, or the folder of a run or model; None:
            the file that the recipe names.

    Returns:
        0; 1 if a run could not be made.

    Raises:
        FileNotFoundError: If there is no such recipe or folder of results, or no model in the folder of weights.
        ValueError: If there is no such row, column or size, or a recipe is not written as one.
    """
    if recipe is None:
        print(listing())
        return 0
    found, deadline = load(recipe).starting_from(weights), Deadline(minutes)
    chosen_size = found.size(size)
    folder = out or Path("runs", "reproduce", found.name, chosen_size)
    every = cells(found, chosen_size, seeds=sorted({*found.seeds, *(seeds or ())}))
    asked = cells(found, chosen_size, rows, columns, seeds)
    mine = asked if shard is None else shard_of(asked, shard)
    known = gather(every, folder / "results", results or ())

    def training(recipe: Recipe, cell: Cell, file: Path, place: Path) -> None:
        values = merged(read_config(file), {"seed": cell.seed, "data": {"seed": cell.seed}, "out": str(place)})
        if recipe.kind_of(cell.row) == "scoring":
            keep_start(Run(place), arguments(train, values), cell.seed)
        else:
            labeling = values.pop(PSEUDOLABELS, None)
            given = arguments(train, values)
            if labeling is not None:
                teacher, how = Path(labeling.pop("teacher")), build(Labeling, labeling, PSEUDOLABELS)
                given["data"] = label_mixture(teacher, given["data"], place / "labels", how, device)
            train(**given)
        evaluation = {"run": str(place), "data": values["data"], "device": device, **recipe.evaluation}
        with redirect_stdout(StringIO()):  # class-wise tables stand in the run's evaluation.json
            evaluate(**arguments(evaluate, {"details": True} | evaluation))
            for name, options in recipe.also.items():
                further = merged(evaluation, {"out": str(place / f"evaluation_{name}.json"), **options})
                evaluate(**arguments(evaluate, further))

    problems: list[str] = []
    for further in run_cells(found, mine, known, folder, deadline, device, training):
        problems += further
        table = write_table(found, every, known, folder, problems)
    print(table)
    return 1 if problems else 0
