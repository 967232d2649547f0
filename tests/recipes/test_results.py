"""Committed results of the open benchmark: tables follow from results, and the page on results shows these tables."""

import json
from pathlib import Path

import pytest

from semiverse.cli.main import main
from semiverse.recipes.cells import Cell
from semiverse.recipes.results import CellResult, result_of

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
TABLES = sorted(RESULTS.rglob("table.json"))


def test_there_are_results():
    assert TABLES


@pytest.mark.parametrize("file", TABLES, ids=lambda file: str(file.parent.relative_to(RESULTS)))
def test_table_follows_from_its_results(file, tmp_path):
    recipe, size = json.loads(file.read_text())["recipe"], file.parent.name
    words = ["--size", size, "--results", str(file.parent), "--minutes", "0", "--out", str(tmp_path)]
    main(["reproduce", recipe, *words])  # what is left to run may lack its data here
    rebuilt = json.loads((tmp_path / "table.json").read_text())
    committed = json.loads(file.read_text())
    assert rebuilt["numbers"] == committed["numbers"]
    assert rebuilt["verdicts"] == committed["verdicts"]


@pytest.mark.parametrize("file", TABLES, ids=lambda file: str(file.parent.relative_to(RESULTS)))
def test_page_on_results_shows_the_table(file):
    page = (ROOT / "docs" / "results.md").read_text()
    rows = [line for line in file.with_name("table.md").read_text().splitlines() if line.startswith("|")]
    done = [row for row in rows if any(sign.isdigit() for sign in row.split("|")[-2])]
    assert all(row in page for row in done)


@pytest.mark.parametrize(
    ("asked", "used", "counts"),
    [
        ("auto", "bf16-mixed", True),
        ("auto", "32-true", True),
        ("32-true", "bf16-mixed", False),
        ("32-true", "auto", False),
    ],
)
def test_a_result_counts_in_whatever_precision_an_automatic_one_became(asked, used, counts):
    cell = Cell("n20", "joint", 0, {"trainer": {"max_steps": 8, "precision": asked}}, "joint")
    result = CellResult("n20", "joint", 0, {"trainer": {"max_steps": 8, "precision": used}}, {})
    assert (result_of(cell, [result]) is result) == counts
