"""Reproducing a table: everything is run once, goes on after any interruption, and merges."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semiverse.cli.main import main
from semiverse.configuration import dump_yaml, load_yaml
from semiverse.datasets import BSDS500
from semiverse.recipes.recipe import Part, Recipe, load
from semiverse.recipes.results import CellResult
from semiverse.recipes.table import numbers as table_numbers
from semiverse.reporting.tables import MISSING
from semiverse.run import Run
from tests.fakes import WRITERS, write_photo
from tests.tiny import TINY

pytestmark = pytest.mark.slow

THING = {"name": "thing", "classes": ["thing"]}

RECIPE = {
    "title": "Two worlds",
    "source": "nobody, Table 1",
    "seeds": [0, 1],
    "config": {key: TINY[key] for key in ("data", "model", "optimizer", "trainer")},
    "rows": {
        "universal": {
            "after": "alone",
            "config": {
                "method": {"class_path": "Universal", "init_args": {"embed_dim": 8}},
                "networks": "{alone}",
            },
        },
        "alone": {
            "title": "Supervised only",
            "config": {"model": {"separate": True}, "method": TINY["method"]},
        },
    },
    "also": {"seen": {"domain": "streets", "split": "train"}},
    "compare": [["universal", "alone"]],
    "published": {"": {"alone": {"streets/miou": 12.5, "rooms/miou": 20}}},
    "reasons": ["It is tiny."],
}
CIRCLE = {"rows": {"a": {"after": "b"}, "b": {"after": "a"}}, "compare": [], "published": {}}


def write_recipe(folder, **changes):
    file = folder / "tiny.yaml"
    file.write_text(dump_yaml(RECIPE | changes), encoding="utf-8")
    return file


def numbers(out):
    return json.loads((out / "table.json").read_text())["numbers"]


def reproduce(*words):
    return main(["reproduce", *map(str, words), "--device", "cpu"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A table that was made in one go."""
    folder = tmp_path_factory.mktemp("whole")
    assert reproduce(write_recipe(folder), "--out", folder / "out") == 0
    return folder / "out"


def test_every_row_and_seed_is_run_and_scored(whole):
    results = sorted(str(path.relative_to(whole / "results")) for path in (whole / "results").rglob("*.json"))
    assert results == [f"{row}/seed{seed}.json" for row in ("alone", "universal") for seed in (0, 1)]
    found = {(number["row"], number["score"]): number for number in numbers(whole)}
    for row in ("alone", "universal"):
        for seed in ("0", "1"):
            evaluation = json.loads((whole / "runs" / row / f"seed{seed}" / "evaluation.json").read_text())
            miou = evaluation["domains"]["streets"]["miou"]
            assert found[row, "streets/miou"]["seeds"][seed] == pytest.approx(100 * miou, abs=1e-3)
            assert found[row, "sum_miou"]["seeds"][seed] == pytest.approx(100 * evaluation["sum_miou"], abs=1e-3)


def test_a_further_evaluation_stands_under_its_name_and_outside_the_sum(whole):
    found = {(number["row"], number["score"]): number for number in numbers(whole)}
    seen = json.loads((whole / "runs" / "alone" / "seed0" / "evaluation_seen.json").read_text())
    assert set(seen["domains"]) == {"streets"} and seen["domains"]["streets"]["split"] == "train"
    miou = 100 * seen["domains"]["streets"]["miou"]
    assert found["alone", "streets@seen/miou"]["seeds"]["0"] == pytest.approx(miou, abs=1e-3)
    parts = [found["alone", f"{domain}/miou"]["seeds"]["0"] for domain in ("streets", "rooms")]
    assert found["alone", "sum_miou"]["seeds"]["0"] == pytest.approx(sum(parts), abs=1e-3)


def test_ours_stands_next_to_the_published_number(whole):
    found = {(number["row"], number["score"]): number for number in numbers(whole)}
    streets, total = found["alone", "streets/miou"], found["alone", "sum_miou"]
    assert streets["published"] == 12.5
    assert streets["difference"] == pytest.approx(streets["mean"] - 12.5, abs=1e-3)
    assert total["published"] == 32.5  # the sum of what was printed
    assert found["universal", "streets/miou"]["published"] is None
    text = (whole / "table.md").read_text()
    assert "Supervised only" in text and "12.5" in text and "It is tiny." in text
    assert r"\toprule" in (whole / "table.tex").read_text()
    assert (whole / "table.csv").read_text().startswith("row,streets/miou")


def test_rows_are_compared_over_seeds(whole):
    (verdict,) = json.loads((whole / "table.json").read_text())["verdicts"]
    assert verdict.startswith("universal scores") and "two seeds" in verdict


def test_another_row_is_a_starting_point(whole):
    assert not (whole / "runs" / "universal" / "seed0" / "networks").exists()
    config = (whole / "runs" / "universal" / "seed0" / "config.yaml").read_text()
    assert f"networks: {whole / 'runs' / 'alone' / 'seed0'}" in config


def test_finished_runs_are_skipped(whole, capsys):
    before = {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("*") if path.is_file()}
    assert reproduce(whole.parent / "tiny.yaml", "--out", whole) == 0
    assert {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("*") if path.is_file()} == before
    assert "Supervised only" in capsys.readouterr().out


def test_three_shards_merged_equal_one_run(whole, tmp_path):
    file = write_recipe(tmp_path)
    places = [tmp_path / f"shard{i}" for i in (1, 2, 3)]
    for i, place in enumerate(places, start=1):
        assert reproduce(file, "--out", place, "--shard", f"{i}/3") == 0
    made = [len(list((place / "results").rglob("*.json"))) if (place / "results").is_dir() else 0 for place in places]
    assert sum(made) == 4 and max(made) < 4
    merged = [word for place in places if (place / "results").is_dir() for word in ("--results", place)]
    assert reproduce(file, "--out", tmp_path / "merged", *merged) == 0
    assert not (tmp_path / "merged" / "runs").exists()
    assert numbers(tmp_path / "merged") == numbers(whole)
    assert len(list((tmp_path / "merged" / "results").rglob("*.json"))) == 4


def test_chosen_rows_bring_those_that_they_start_from(tmp_path):
    assert reproduce(write_recipe(tmp_path), "--out", tmp_path / "out", "--rows", "universal", "--seeds", "1") == 0
    assert sorted(path.name for path in (tmp_path / "out" / "results").rglob("*.json")) == ["seed1.json"] * 2
    missing = {number["row"] for number in numbers(tmp_path / "out") if not number["seeds"]}
    assert missing == set()
    assert "2 of 4 runs are done." in (tmp_path / "out" / "table.md").read_text()


def test_no_time_means_a_table_of_what_there_is(whole, tmp_path, capsys):
    assert reproduce(write_recipe(tmp_path), "--out", tmp_path / "out", "--minutes", "0") == 0
    assert not (tmp_path / "out" / "runs").exists()
    said = capsys.readouterr().out
    assert "0 of 4 runs are done." in said
    assert f"| Supervised only | {MISSING} | 12.5 | {MISSING} |" in said  # what was published stands there in any case
    assert "| universal |" not in said  # of a row that was neither run nor published there is nothing to show


@pytest.mark.parametrize("ignored", [False, True], ids=["in_front", "in_the_background"])
def test_time_over_in_the_middle_of_a_run_stops_it_cleanly(ignored, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    if ignored:  # as a shell starts what ends in an ampersand
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = RECIPE["config"] | {"trainer": {"max_steps": 100_000, "accelerator": "cpu"}, "validate_every": 5}
    file = write_recipe(tmp_path, config=config)
    started = time.monotonic()
    try:
        assert reproduce(file, "--out", tmp_path / "out", "--rows", "alone", "--minutes", "0.1") == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 60
    assert (tmp_path / "out" / "runs" / "alone" / "seed0" / "checkpoints" / "last.ckpt").is_file()
    assert not (tmp_path / "out" / "results").exists()


@pytest.mark.slow
def test_killed_and_called_again_it_ends_in_the_same_table(whole, tmp_path):
    words = [sys.executable, "-m", "semiverse", "reproduce", str(write_recipe(tmp_path))]
    words += ["--out", str(tmp_path / "out"), "--device", "cpu"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not list((tmp_path / "out").rglob("last.ckpt")) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    done = list((tmp_path / "out").rglob("results/**/*.json"))
    assert len(done) < 4
    assert reproduce(tmp_path / "tiny.yaml", "--out", tmp_path / "out") == 0
    assert numbers(tmp_path / "out") == numbers(whole)


def test_missing_data_is_named_first_and_the_rest_runs(tmp_path, capsys, monkeypatch, caplog):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    camvid = {"camvid": {"dataset": {"class_path": "CamVid", "init_args": {"root": "camvid"}}}}
    rows = {
        "other": {"config": {"data": {"domains": camvid}, "method": TINY["method"]}},
        "later": {"after": "other", "config": {"method": TINY["method"], "networks": "{other}"}},
        "alone": RECIPE["rows"]["alone"],
    }
    file = write_recipe(tmp_path, rows=rows, compare=[], published={}, seeds=[0])
    assert reproduce(file, "--out", tmp_path / "out") == 1
    said = caplog.text or capsys.readouterr().err
    assert "2 of 3 runs are left out" in said and "camvid" in said
    assert [path.parent.name for path in (tmp_path / "out" / "results").rglob("*.json")] == ["alone"]
    assert "camvid" in (tmp_path / "out" / "table.md").read_text()


def test_a_failing_run_does_not_stop_the_others(tmp_path):
    rows = {
        "broken": {"config": {"method": TINY["method"], "optimizer": {"lr": -1.0}}},
        "alone": RECIPE["rows"]["alone"],
    }
    file = write_recipe(tmp_path, rows=rows, compare=[], published={}, seeds=[0])
    assert reproduce(file, "--out", tmp_path / "out") == 1
    assert [path.parent.name for path in (tmp_path / "out" / "results").rglob("*.json")] == ["alone"]
    assert "broken/seed0 failed" in (tmp_path / "out" / "table.md").read_text()


def test_results_of_another_configuration_do_not_count(whole, tmp_path):
    config = RECIPE["config"] | {"trainer": {"max_steps": 1, "accelerator": "cpu"}}
    file = write_recipe(tmp_path, config=config)
    assert reproduce(file, "--out", tmp_path / "out", "--results", whole, "--minutes", "0") == 0
    assert all(not number["seeds"] for number in numbers(tmp_path / "out"))


def test_clustering_is_scored_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    next(iter(WRITERS[BSDS500].values()))(tmp_path / "bsds500")
    config = {
        "dataset": {"class_path": "BSDS500", "init_args": {"root": "bsds500"}},
        "settings": {"iterations": 2, "segments": 20, "channels": 6},
    }
    changes = {"kind": "clustering", "config": config, "rows": {"slic": {}}, "compare": [], "published": {}}
    file = write_recipe(tmp_path, **changes, scores=["bsds500/miou", "bsds500/variation"])
    assert reproduce(file, "--out", tmp_path / "out", "--seeds", "0") == 0
    scores = (tmp_path / "out" / "runs" / "slic" / "seed0" / "scores.csv").read_text().splitlines()
    mious = [float(line.split(",")[1]) for line in scores[1:]]
    found = {number["score"]: number for number in numbers(tmp_path / "out")}
    assert found["bsds500/miou"]["mean"] == pytest.approx(100 * sum(mious) / len(mious), abs=0.01)
    assert found["bsds500/variation"]["unit"] == ""


def test_images_that_nobody_drew_on_are_clustered_beside_runs_and_kept_as_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    for i in range(3):
        write_photo(tmp_path / "campus" / "walk" / f"{i}.png", seed=i)
    folder = {"class_path": "ImageFolder", "init_args": {"root": "campus", "labels": THING}}
    settings = {"iterations": 2, "segments": 20, "channels": 6}
    rows = {
        "alone": RECIPE["rows"]["alone"],
        "clusters": {
            "kind": "clustering",
            "config": {"dataset": folder, "split": "all", "images": 2, "settings": settings},
        },
    }
    changes = {"rows": rows, "compare": [], "published": {}, "scores": ["sum_miou", "thing/clusters"]}
    file = write_recipe(tmp_path, **changes)
    assert reproduce(file, "--out", tmp_path / "out", "--seeds", "0") == 0
    place = tmp_path / "out" / "runs" / "clusters" / "seed0"
    found = json.loads((place / "clusters.json").read_text())["images"]
    assert sorted(found) == ["walk/0", "walk/1"]
    assert all((place / "walk" / f"{i}_overlay.jpg").is_file() for i in (0, 1))
    (score,) = [n for n in numbers(tmp_path / "out") if (n["row"], n["score"]) == ("clusters", "thing/clusters")]
    assert score["mean"] == sum(len(facts["clusters"]) for facts in found.values()) / 2


def test_given_weights_are_scored_as_they_are_and_started_from(whole, tmp_path):
    rows = {
        "as_it_is": {"kind": "scoring", "config": {"model": {"weights": "{weights}"}, "method": TINY["method"]}},
        "further": {"config": {"model": {"weights": "{weights}"}, "method": TINY["method"]}},
    }
    wider = {"encoder": "drn_d_22", "width": 0.125}  # the given network says that it is narrower
    config = {**RECIPE["config"], "model": wider}
    file = write_recipe(tmp_path, rows=rows, compare=[], config=config, published={}, weights="nowhere.pth")
    given = whole / "runs" / "universal" / "seed0"
    assert reproduce(file, "--out", tmp_path / "out", "--weights", given, "--seeds", "0", "--rows", "as_it_is") == 0
    start, same = (Run(run / "seed0") for run in (tmp_path / "out" / "runs" / "as_it_is", given.parent))
    (score,) = [n for n in numbers(tmp_path / "out") if (n["row"], n["score"]) == ("as_it_is", "sum_miou")]
    (trained,) = [n for n in numbers(whole) if (n["row"], n["score"]) == ("universal", "sum_miou")]
    assert score["seeds"]["0"] == trained["seeds"]["0"]
    assert start.read_metrics() == [] and same.read_metrics() != []
    further = load(str(file)).starting_from(given).configuration("", "further", "")["model"]
    assert (further["width"], further["weights"]) == (0.0625, str(given))


def test_weights_that_are_not_there_are_named_with_the_option_that_gives_others(tmp_path, capsys, caplog):
    rows = {"further": {"config": {"model": {"weights": "{weights}"}, "method": TINY["method"]}}}
    file = write_recipe(tmp_path, rows=rows, compare=[], published={}, weights="nowhere.pth", seeds=[0])
    assert reproduce(file, "--out", tmp_path / "out") == 1
    said = caplog.text or capsys.readouterr().err
    assert "nowhere.pth: no such file" in said and "--weights" in said


def test_scores_are_related_to_those_of_the_full_label_set(tmp_path):
    printed = {column: {"alone": {"streets/miou": value}} for column, value in (("half", 30.0), ("full", 40.0))}
    recipe = Recipe(
        "made up",
        tmp_path,
        "Two budgets",
        rows={"alone": Part()},
        columns={"half": Part(), "full": Part()},
        published=printed,
        scores=("streets/miou",),
        relative_to="full",
    )
    results = {
        (column, "alone", seed): CellResult(column, "alone", seed, {}, {"streets/miou": value})
        for column, values in {"half": (0.2, 0.3), "full": (0.4, 0.6)}.items()
        for seed, value in enumerate(values)
    }
    (found,) = [n for n in table_numbers(recipe, results) if n.score == "streets/miou/relative"]
    assert found.column == "half"
    assert found.values == {0: pytest.approx(0.4), 1: pytest.approx(0.6)}  # over 0.5, the mean of the full label set
    assert found.mean == pytest.approx(50.0)
    assert found.published == 75.0
    assert found.difference == pytest.approx(-25.0)


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({"row": {}}, [], "did you mean 'rows'?"),
        ({"rows": {"a": {"confg": {}}}}, [], "did you mean 'config'?"),
        ({"compare": [["universal", "alown"]]}, [], "compare names 'alown'"),
        ({"published": {"": {"alown": {}}}}, [], "published names 'alown'"),
        (
            {"rows": {"a": {"after": "b"}, "b": {"after": "a"}}, "compare": [], "published": {}},
            [],
            "wait for each other",
        ),
        ({"relative_to": "full"}, [], "relative_to names 'full'"),
        ({"kind": "clusters"}, [], "kind is 'clusters'"),
        ({}, ["--weights", "adapted.pth"], "no row that starts from given weights"),
        ({}, ["--rows", "alown"], "no row 'alown'"),
        ({}, ["--columns", "n50"], "no column 'n50'"),
        ({}, ["--size", "cpu"], "no size 'cpu'"),
        ({}, ["--shard", "4/3"], "--shard is '4/3'"),
        ({}, ["--results", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_recipes_and_calls_are_refused(changes, words, said, tmp_path, capsys):
    assert reproduce(write_recipe(tmp_path, **changes), "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unknown_recipe_names_the_nearest(tmp_path, capsys):
    assert reproduce("open/univrsal", "--out", tmp_path / "out") == 2
    assert "did you mean 'open/universal'?" in capsys.readouterr().err


def test_without_a_name_recipes_are_listed(capsys):
    assert main(["reproduce"]) == 0
    said = capsys.readouterr().out
    assert "open/universal" in said and "Kalluri" in said


def test_a_row_learns_from_the_labels_of_another(tmp_path):
    how = {"keep": 0.7, "scales": [1.0], "flip": False}
    rows = {
        "joint": {"config": {"method": TINY["method"]}},
        "once": {"after": "joint", "pseudolabels": how, "config": {"method": TINY["method"]}},
        "twice": {"after": "once", "pseudolabels": how, "config": {"method": TINY["method"]}},
    }
    file = write_recipe(tmp_path, rows=rows, compare=[["once", "joint"]], published={}, seeds=[0])
    assert reproduce(file, "--out", tmp_path / "out", "--rows", "twice") == 0
    runs = tmp_path / "out" / "runs"
    for row, before in (("once", "joint"), ("twice", "once")):
        labels = runs / row / "seed0" / "labels"
        for domain in ("streets", "rooms"):
            facts = json.loads((labels / domain / "pseudolabels.json").read_text(encoding="utf-8"))
            assert facts["model"] == str(runs / before / "seed0" / "model")
            assert facts["keep"] == 0.7 and facts["scales"] == [1.0] and facts["flip"] is False
            config = load_yaml((runs / row / "seed0" / "config.yaml").read_text(encoding="utf-8"))
            assert config["data"]["domains"][domain]["pseudolabels"] == str(labels / domain)
    weights = runs / "twice" / "seed0" / "model" / "model.safetensors"
    before_that = weights.read_bytes()
    for row in ("once", "twice"):  # of the first only its result is left, of the second nothing
        shutil.rmtree(runs / row)
    (tmp_path / "out" / "results" / "twice" / "seed0.json").unlink()
    assert reproduce(file, "--out", tmp_path / "out", "--rows", "twice") == 0
    assert weights.read_bytes() == before_that
    found = {(number["row"], number["score"]): number["seeds"] for number in numbers(tmp_path / "out")}
    evaluation = json.loads((runs / "once" / "seed0" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["once", "sum_miou"]["0"] == pytest.approx(100 * evaluation["sum_miou"], abs=1e-3)
    first = json.loads((runs / "joint" / "seed0" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["joint", "sum_miou"]["0"] == pytest.approx(100 * first["sum_miou"], abs=1e-3)
    command = ["selftrain", "--config", str(tmp_path / "out" / "configs" / "joint" / "seed0.yaml"), "--device", "cpu"]
    asked = ["--pseudolabels.keep", "0.7", "--pseudolabels.scales", "[1.0]", "--pseudolabels.flip", "false"]
    asked += ["--rounds_trainer", "{}"]
    assert main([*command, *asked, "--rounds", "2", "--out", str(tmp_path / "self")]) == 0
    weights = [
        (folder / "model" / "model.safetensors").read_bytes()
        for folder in (tmp_path / "self" / "round2", runs / "twice" / "seed0")
    ]
    assert weights[0] == weights[1]


def test_labels_of_no_row_are_refused():
    with pytest.raises(ValueError, match="row 'once' has pseudolabels; expected after"):
        Recipe("r", Path(), "r", {"once": Part(pseudolabels={})})
