"""What a recipe needs and is not there, found before anything starts."""

import json
from collections.abc import Sequence
from pathlib import Path

from semiverse.configuration import USER_ERRORS
from semiverse.configuration.build import build
from semiverse.mixture import DomainMixture
from semiverse.recipes.cells import Cell
from semiverse.recipes.clusters import read
from semiverse.recipes.recipe import Recipe


def missing(recipe: Recipe, cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells that cannot be run, by what is missing; also those that start from such cells."""
    problems: dict[str, str | None] = {}
    found: dict[str, list[Cell]] = {}
    lost: dict[tuple[str, str, int], str] = {}
    for cell in cells:
        needs = json.dumps(_needs(recipe, cell), sort_keys=True)
        if needs not in problems:
            problems[needs] = _problem(recipe, cell)
        problem = problems[needs] or lost.get((cell.column, cell.after or "", cell.seed))
        if problem is not None:
            lost[cell.column, cell.row, cell.seed] = problem
            found.setdefault(problem, []).append(cell)
    return found


def _needs(recipe: Recipe, cell: Cell) -> object:
    """What decides whether a cell can be run; many cells share it."""
    if recipe.kind_of(cell.row) == "clustering":
        return [cell.config.get("dataset"), cell.config.get("split")]
    return [cell.config.get("data"), cell.config.get("model", {}).get("weights")]


def _problem(recipe: Recipe, cell: Cell) -> str | None:
    try:
        if recipe.kind_of(cell.row) == "clustering":
            _, dataset, split = read(cell.config)
            dataset.subset(split)
            return None
        for domain in build(DomainMixture, cell.config["data"], "data").domains.values():
            domain.subset(domain.val or domain.train)
    except USER_ERRORS as error:
        return str(error)
    weights = cell.config.get("model", {}).get("weights")
    if isinstance(weights, str) and "{" not in weights and not Path(weights).exists():
        other = ", or name a file or run of yours with --weights" * (weights == recipe.weights)
        return f"{weights}: no such file; expected the published weights: docs/reproduce.md says where they are{other}"
    return None
