"""Every shipped recipe: each of its runs is complete, and each kind of run trains two steps on data the tests write."""

import copy
import json

import pytest

from semiverse.cli.call import parse
from semiverse.clustering import Settings
from semiverse.commands.evaluate import evaluate
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml
from semiverse.datasets import SyntheticStreets
from semiverse.recipes.cells import cells, filled
from semiverse.recipes.clusters import read
from semiverse.recipes.recipe import PSEUDOLABELS, load, names
from semiverse.recipes.results import result_of_run, score
from semiverse.recipes.table import numbers
from semiverse.run import Run
from tests.reporting.checked import check_report

RECIPES = {name: load(name) for name in names()}
WEIGHTS = ("weights", "width", "pretrained")
SIZES = [(name, size) for name, recipe in RECIPES.items() for size in (recipe.sizes or [""])]


def complete(config, folder):
    """Every value of a run's configuration."""
    file = folder / "config.yaml"
    file.write_text(dump_yaml({key: config[key] for key in config if key != PSEUDOLABELS}), encoding="utf-8")
    return describe(parse("train", train, (), ["--config", str(file)]))


def of_each_form(runs):
    """Of each row the runs that differ in more than numbers, such as budgets of labels."""
    forms = {
        (run.row, json.dumps(json.loads(json.dumps(run.config), parse_int=bool, parse_float=bool))): run for run in runs
    }
    return forms.values()


def first_runs(recipe, size):
    """A run of every row and column group, of one seed."""
    return cells(recipe, size, seeds=recipe.seeds[:1])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SIZES)
def test_every_run_is_complete(name, size, tmp_path):
    recipe = RECIPES[name]
    for cell in of_each_form(first_runs(recipe, size)):
        if recipe.kind_of(cell.row) == "clustering":
            settings, dataset, split = read(cell.config)
            assert isinstance(settings, Settings) and split in dataset.split_names()
        else:
            values = complete(cell.config, tmp_path)
            assert values["method"]["class_path"].startswith("semiverse.methods.")
            assert values["trainer"], cell.title


@pytest.mark.parametrize("name", names())
def test_scores_are_those_of_its_domains(name, tmp_path):
    recipe = RECIPES[name]
    for cell in first_runs(recipe, recipe.size(None)):
        known = {"bsds500", "campus", "sum_miou"} | set(cell.config.get("data", {}).get("domains", {}))
        scores = [*recipe.scores, *recipe.published.get(cell.column, {}).get(cell.row, {})]
        assert recipe.scores or {s.partition("/")[0] for s in scores} <= known
        printed = recipe.published.get(cell.column, {}).get(cell.row, {})
        assert not recipe.scores or set(printed) <= set(recipe.scores) | {"sum_miou"}


def kinds():
    """A run of each kind: those that differ in method, optimiser, network, or number of domains."""
    found = {}
    for name, recipe in RECIPES.items():
        for cell in first_runs(recipe, recipe.size(None)):
            if recipe.kind_of(cell.row) != "training":
                continue
            domains = cell.config["data"]["domains"]
            budgets = [(d.get("labeled"), d.get("unlabeled"), d.get("exclude_labeled")) for d in domains.values()]
            model = {
                k: v for k, v in cell.config.get("model", {}).items() if k not in ("weights", "width", "pretrained")
            }
            parts = [cell.config["method"], cell.config.get("optimizer"), model]
            kind = json.dumps([*parts, [b == (0, None, None) for b in budgets]], sort_keys=True)
            found.setdefault(kind, (name, cell))
    return [pytest.param(name, cell, id=f"{name}-{cell.title}") for name, cell in found.values()]


def small(cell, folder):
    """The run with rendered worlds, few channels and two steps; what it starts from is left out."""
    config = {key: copy.deepcopy(cell.config[key]) for key in cell.config if key != PSEUDOLABELS}
    alike = config["method"]["class_path"] == "Adaptation"  # whose domains share their classes
    worlds = ["SyntheticStreets"] * 9 if alike else ["SyntheticStreets", "SyntheticRooms"] * 5
    for world, domain in zip(worlds, config["data"]["domains"].values(), strict=False):
        target = domain.get("labeled") == 0 or domain["dataset"]["class_path"] == "ImageFolder"
        domain["dataset"] = {"class_path": world, "init_args": {"images": 6, "val_images": 2, "size": [32, 64]}}
        domain |= {"train": "train", "val": "val", "unlabeled_split": None, "resolution": {}}
        domain["labeled"] = 0 if target else 3
    config["data"] |= {"batch_size": 2, "crop": [32, 48], "workers": 0}
    encoder = "drn_d_22" if config.get("model", {}).get("encoder", "").startswith("drn") else None
    config["model"] = config.get("model", {}) | {"weights": None, "pretrained": False}
    config["model"] |= {"encoder": encoder} if encoder else {}
    config["model"] |= {} if config["model"].get("encoder", "").startswith("tf_") else {"width": 0.0625}
    config |= {"trainer": {"max_steps": 2, "accelerator": "cpu"}, "validate_every": 2, "networks": None}
    config |= {"networks_trainer": {"max_steps": 1, "accelerator": "cpu"}, "check": False}
    arguments = config["method"].setdefault("init_args", {})
    if config["method"]["class_path"] == "Universal":
        arguments["embed_dim"] = 8
    if arguments.get("branch") == "groups":  # the shipped groups are those of published datasets
        classes = SyntheticStreets().labels.classes
        arguments["groups"] = {
            name: dict.fromkeys(classes, "near") | {"sky": "far"} for name in config["data"]["domains"]
        }
    for key in ("pseudo_from", "consistency_from"):
        if arguments.get(key):
            arguments[key] = 1
    file = folder / "small.yaml"
    file.write_text(dump_yaml(filled(config, {})), encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cell"), kinds())
def test_kind_of_run_trains_two_steps_is_scored_and_reported(name, cell, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    train(**parse("train", train, (), ["--config", str(small(cell, tmp_path)), "--out", str(out)]))
    evaluate(**parse("evaluate", evaluate, ("run",), [str(out), "--device", "cpu"]))
    result = result_of_run(cell, Run(out))
    recipe = RECIPES[name]
    asked = [s for s in recipe.scores if "/iou/" not in s and not s.startswith("sum") and not s.endswith("/clusters")]
    present = [s for s in asked if s.partition("/")[0] in cell.config["data"]["domains"]]
    assert all(score(s, result.scores) is not None for s in present), (asked, sorted(result.scores))
    found = numbers(recipe, {(cell.column, cell.row, cell.seed): result})
    assert any(number.values for number in found if (number.column, number.row) == (cell.column, cell.row))
    check_report(out, blank=monkeypatch)
