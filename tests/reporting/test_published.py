"""Tables of ``semiverse reproduce`` on the page: read back as they were written, with lines over label budgets."""

import html
import json
from pathlib import Path
from typing import Any

import pytest

from semiverse.commands.report import report
from semiverse.recipes.cells import cells
from semiverse.recipes.recipe import Part, Recipe
from semiverse.recipes.results import CellResult
from semiverse.recipes.table import write_table
from semiverse.reporting.published import efficiency_picture, read_published
from tests.reporting.made_up_runs import make_run

BUDGETS = {"half": 0.3, "full": 0.5}
"""Mean mIoU of ours by column; the two seeds lie 0.1 above and below."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The folder of a table with two budgets, two rows, of which one was run, and no runs."""
    printed = {"half": {"plain": {"street/miou": 36.0}}, "full": {"plain": {"street/miou": 45.0}}}
    recipe = Recipe(
        "made/up",
        tmp_path,
        "Two budgets <b>",
        rows={"plain": Part("Plain"), "other": Part("Other")},
        columns={"half": Part("1/2", config={"keep": "last"}), "full": Part("all", config={"keep": "best"})},
        seeds=(0, 1),
        scores=("street/miou",),
        compare=(("plain", "other"),),
        published=printed,
        reasons=("It is made up.",),
        relative_to="full",
        efficiency="share of labels",
    )
    every = cells(recipe, "", rows=["plain"])
    scores = [{"street/miou": BUDGETS[cell.column] + (0.1 if cell.seed else -0.1)} for cell in every]
    known = [CellResult(c.column, c.row, c.seed, c.config, score) for c, score in zip(every, scores, strict=True)]
    write_table(recipe, every, known, tmp_path / "out", [])
    return tmp_path / "out"


def values_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "table.json").read_text())
    return found


def test_lines_are_ours_with_their_range_and_the_published_ones(table: Path) -> None:
    picture = efficiency_picture(values_of(table))
    scores, relative = picture.figure.axes
    ours, printed = scores.get_lines()
    assert [*ours.get_xdata()] == [*printed.get_xdata()] == [0, 1]
    assert ours.get_ydata() == pytest.approx([30.0, 50.0])
    assert printed.get_ydata() == pytest.approx([36.0, 45.0])
    assert (ours.get_linestyle(), printed.get_linestyle()) == ("-", "--")
    assert ours.get_color() == printed.get_color()
    band = scores.collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (pytest.approx(20.0), pytest.approx(60.0))
    assert [label.get_text() for label in scores.get_xticklabels()] == ["1/2", "all"]
    ours, printed = relative.get_lines()
    assert (ours.get_ydata(), printed.get_ydata()) == (pytest.approx([60.0]), pytest.approx([80.0]))  # 30/50, 36/45
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Plain", "Plain, published"]


def test_published_numbers_that_stand_in_two_rows_are_one_line(table: Path) -> None:
    values = values_of(table)
    values["numbers"] += [number | {"row": "other", "seeds": {}} for number in values["numbers"]]
    scores, relative = efficiency_picture(values).figure.axes
    assert [len(axes.get_lines()) for axes in (scores, relative)] == [2, 2]
    values["numbers"][-1]["published"] = 81.0
    assert len(efficiency_picture(values).figure.axes[1].get_lines()) == 3


def test_a_row_of_one_budget_is_no_line_beside_rows_of_several(table: Path) -> None:
    values = values_of(table)
    single = next(number for number in values["numbers"] if number["column"] == "half" and number["published"] == 36.0)
    values["numbers"].append(single | {"row": "other", "published": None})
    picture = efficiency_picture(values)
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["Plain", "Plain, published"]
    values["numbers"] = [single | {"published": None}, single | {"row": "other", "published": None}]
    picture = efficiency_picture(values)
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["Plain", "Other"]
    assert "published" not in picture.caption


def test_page_of_a_table_without_runs_is_the_table_its_notes_and_its_figure(table: Path) -> None:
    page = report([table])
    text = page.read_text(encoding="utf-8")
    assert page == table / "report" / "index.html"
    assert f"<title>{html.escape('Two budgets <b>')}</title>" in text
    assert "36" in text and "It is made up." in text and 'id="scores"' not in text
    for ending in ("csv", "md", "tex"):
        assert (page.parent / "tables" / f"table.{ending}").read_bytes() == (table / f"table.{ending}").read_bytes()
    assert [path.name for path in page.parent.glob("figures/*.png")] == ["published_label_efficiency.png"]


def test_page_of_a_table_compares_its_runs_too(table: Path) -> None:
    make_run(table / "runs" / "half" / "plain" / "seed0", {"street": 0.2}, seed=0)
    make_run(table / "runs" / "half" / "plain" / "seed1", {"street": 0.4}, seed=1)
    make_run(table / "runs" / "full" / "plain" / "seed0", {"street": 0.4}, budgets={"street": 6})
    make_run(table / "runs" / "full" / "plain" / "seed0" / "networks", {"street": 0.1})  # part of the run
    text = report([table], images=0).read_text(encoding="utf-8")
    assert 'id="published-1"' in text and 'id="scores"' in text
    assert "3 runs of 2 settings" in text
    assert '<th scope="row">plain</th><td class="words">Plain</td>' in text


def test_table_of_an_earlier_version_is_named_and_left_out(table: Path) -> None:
    old = {key: value for key, value in values_of(table).items() if key != "table"}
    (table / "table.json").write_text(json.dumps(old))
    found, (problem,) = read_published([table], 0)
    assert found == []
    assert str(table / "table.json") in problem and "--minutes 0" in problem
