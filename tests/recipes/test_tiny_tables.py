"""Tables of the papers from their own recipes, run to the end with stand-ins for the data and few channels."""

import copy
import html
import json
from dataclasses import fields
from pathlib import Path

import pytest

from semiverse.cli.main import main
from semiverse.recipes.recipe import Recipe, load
from tests.fakes.basic import write_camvid, write_photo
from tests.fakes.driving import write_cityscapes, write_gta5
from tests.fakes.objects import write_voc
from tests.reporting.checked import leave_blank

LABELED = {50: 1, 100: 2, 300: 3, "1/8": 3}
"""Of the stand-ins, in place of those of the paper."""


class TinyRecipe(Recipe):
    """A recipe whose runs are as short and small as they can be; everything else is its own."""

    def configuration(self, column, row, size):
        config = copy.deepcopy(super().configuration(column, row, size))
        if self.kind_of(row) == "clustering":
            return config | {"settings": config["settings"] | {"iterations": 3, "segments": 20, "channels": 6}}
        for domain in config["data"]["domains"].values():
            labeled = domain.get("labeled")
            domain |= {"resolution": {"size": [32, 64]}, "labeled": LABELED.get(labeled, labeled)}
        config["data"] |= {"batch_size": 1, "crop": None, "workers": 0, "augmentation": {"flip": 0.5}}
        weights = config["model"].get("weights")
        own = weights is not None and (Path(weights).is_dir() or "{" in weights)
        config["model"] |= {"width": 0.0625, "weights": weights if own else None}
        options = config["method"].setdefault("init_args", {})
        options |= {"embed_dim": 8} if config["method"]["class_path"] == "Universal" else {}
        options |= {"consistency_from": 1} if "consistency_from" in options else {}
        return config | {"trainer": {"max_steps": 2, "accelerator": "cpu"}, "validate_every": 2, "check": False}


def write_stand_ins(root):
    write_cityscapes(root / "cityscapes", "labelIds")
    write_gta5(root / "gta5")
    (root / "gta5" / "val.txt").write_text("00001\n")
    for i in range(3):
        write_photo(root / "campus" / "walk" / f"{i}.png", seed=i)
    write_camvid(root / "camvid")
    write_voc(root / "pascalvoc", "sbd")


@pytest.fixture
def reproduce(tmp_path, monkeypatch):
    """Runs a recipe of a paper, tiny, into a folder; returns its exit status."""
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_stand_ins(tmp_path / "data")

    def tiny(name):
        recipe = load(name)
        return TinyRecipe(**{field.name: getattr(recipe, field.name) for field in fields(recipe)} | {"seeds": (0,)})

    monkeypatch.setattr("semiverse.commands.reproduce.load", tiny)
    return lambda name, out, *words: main(["reproduce", name, "--out", str(out), "--device", "cpu", *map(str, words)])


def of_the_paper(name):
    """Rows as the paper describes them, as words; those of its public code differ in numbers alone."""
    return "--rows", f"[{', '.join(row for row in load(name).rows if not row.endswith('_code'))}]"


def numbers(out):
    return json.loads((out / "table.json").read_text())["numbers"]


@pytest.fixture
def page_of(monkeypatch):
    """Makes the page of a table's folder, which has the table and its verdicts; of its figures only those of its own.

    Others show the runs, of which there are dozens.
    """
    leave_blank(monkeypatch, but=("clusters", "published"))
    return make_page


def make_page(out):
    values = json.loads((out / "table.json").read_text())
    assert main(["report", str(out), "--device", "cpu", "--images", "2"]) == 0
    text = html.unescape((out / "report" / "index.html").read_text(encoding="utf-8"))
    assert all(sentence in text for sentence in [values["title"], *values["verdicts"]])
    assert (out / "report" / "tables" / "table.md").read_text() == (out / "table.md").read_text()
    return text


@pytest.mark.slow
def test_matrix_of_adaptation_trains_its_models_and_starts_from_a_given_one(reproduce, page_of, tmp_path):
    first, out = tmp_path / "first", tmp_path / "matrix"
    assert reproduce("adaptation/matrix", first, "--rows", "e1_code") == 0
    weights = first / "runs" / "e1_code" / "seed0"
    assert reproduce("adaptation/matrix", out, "--weights", weights, *of_the_paper("adaptation/matrix")) == 0
    found = {(number["row"], number["score"]): number for number in numbers(out)}
    unscored = {row for (row, score), number in found.items() if score == "cityscapes/miou" and not number["seeds"]}
    assert {row for row in unscored if not row.endswith("_code")} == {"e6"}
    given = next(number for number in numbers(first) if number["row"] == "e1_code")["mean"]
    assert found["e1_given", "cityscapes/miou"]["mean"] == given
    assert found["e6", "campus/clusters"]["mean"] > 1
    assert "Images and their clusters" in page_of(out)
    assert (out / "report" / "figures" / "clusters_e6_seed0.png").is_file()


@pytest.mark.slow
def test_table_of_second_branches(reproduce, page_of, tmp_path):
    assert reproduce("latent/table_5", tmp_path / "table", *of_the_paper("latent/table_5")) == 0
    assert all(number["seeds"] for number in numbers(tmp_path / "table") if not number["row"].endswith("_code"))
    assert "21 semantic classes" in page_of(tmp_path / "table")


@pytest.mark.slow
def test_table_by_method_and_budget(reproduce, page_of, tmp_path):
    assert reproduce("universal/table_2", tmp_path / "table", "--columns", "[n50, n300]") == 0
    assert all(bool(number["seeds"]) == (number["column"] != "n100") for number in numbers(tmp_path / "table"))
    assert "Univ-full (K=3)" in page_of(tmp_path / "table")
