"""Configurations of adaptation: every row of every base resolves to what it is called, and bases train on stand-ins."""

from pathlib import Path

import pytest

from semiverse.cli.call import given_values, parse
from semiverse.cli.main import main
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml
from semiverse.methods import Adaptation, Consistency, Optimizer
from semiverse.recipes.recipe import SHIPPED, load
from semiverse.run import Run
from tests.fakes.basic import write_camvid, write_labelmefacade, write_photo
from tests.fakes.driving import write_cityscapes, write_gta5

CONFIGS = Path(__file__).parent.parent / "configs"
PAPER, OPEN = SHIPPED / "adaptation", load("open/adaptation")
PAPER_BASES = sorted(PAPER.glob("*_to_*.yaml"))
SCORED, CODE, DACS = (PAPER / "rows" / f"{name}.yaml" for name in ("scored_on_cityscapes", "authors_code", "dacs"))
PAPER_ROWS = [path for path in sorted((PAPER / "rows").glob("*.yaml")) if path not in (SCORED, CODE, DACS)]
PAIRS = [(base, row) for base in PAPER_BASES for row in (None, *PAPER_ROWS)]
WEIGHTS = {
    "source_only": (0.0, 0.0, 0.0),
    "single_level": (0.001, 0.0, 0.0),
    "least_squares": (0.01, 0.0, 0.0),
    "weights_as_printed": (0.001, 0.0002, 0.1),
}
"""Of the main adversary, the auxiliary one, and the auxiliary cross entropy; others are the authors' for today."""


def weights(method):
    return tuple(method[option] for option in ("adversary", "auxiliary_adversary", "auxiliary_weight"))


def apart_from_the_method(values, kind):
    """A configuration without its method, but with all that its authors say of the optimiser."""
    optimizer = Optimizer(**values["optimizer"]).over(kind.optimizer)
    return values | {"method": None, "optimizer": optimizer}


def words(*configs):
    return [word for config in configs if config is not None for word in ("--config", str(config))]


@pytest.mark.parametrize(
    ("base", "row"),
    [pytest.param(b, r, id=f"{b.stem}-{r.stem if r else 'alone'}") for b, r in PAIRS],
)
def test_row_sets_its_weights_and_nothing_else(base, row, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    values, plain = (describe(parse("train", train, (), words(base, one))) for one in (row, None))
    method, own = values["method"]["init_args"], plain["method"]["init_args"]
    name = row.stem if row else ""
    assert weights(method) == WEIGHTS.get(name, (0.0005, 0.00005, 0.1))
    assert method["least_squares"] == (name == "least_squares")
    assert method["targets"] == ("balanced" if name == "balanced" else "concatenated")
    assert method["discriminator_lr"] == own["discriminator_lr"]
    assert all(values[part] == plain[part] for part in ("data", "optimizer", "trainer"))
    assert values["model"]["batch_norm"] == "shared"
    assert (values["model"] == plain["model"]) == (name != "from_adapted")
    optimizer = values["optimizer"]
    assert (optimizer["lr"], optimizer["head_factor"], optimizer["decay_steps"]) == (0.00025, 10.0, 250_000)
    assert (optimizer["momentum"], optimizer["weight_decay"], optimizer["decay"]) == (0.9, 0.0005, "step")
    assert values["trainer"] == {"max_steps": 150_000}
    assert (values["data"]["init_args"]["batch_size"], values["data"]["init_args"]["crop"]) == (1, None)


@pytest.mark.slow
@pytest.mark.parametrize("size", OPEN.sizes)
@pytest.mark.parametrize("column", OPEN.columns)
def test_row_of_the_open_recipe_sets_its_weights_and_nothing_else(column, size, tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    runs = {}
    for row in OPEN.rows:
        (tmp_path / f"{row}.yaml").write_text(dump_yaml(OPEN.configuration(column, row, size)))
        runs[row] = describe(parse("train", train, (), words(tmp_path / f"{row}.yaml")))
    dacs = runs.pop("dacs")  # is another method, moves as the others, and differs in nothing else
    assert dacs["method"]["class_path"] == "semiverse.methods.Consistency"
    assert dacs["method"]["init_args"]["mix"] == "classes"
    assert apart_from_the_method(dacs, Consistency) == apart_from_the_method(runs["source_only"], Adaptation)
    for row, values in runs.items():
        method = values["method"]["init_args"]
        assert weights(method) == WEIGHTS.get(row, (0.0005, 0.00005, 0.1))
        assert (method["least_squares"], method["targets"]) == (False, "concatenated")
        assert values["model"]["batch_norm"] == "shared"
        assert (values["optimizer"]["lr"], values["optimizer"]["head_factor"]) == (0.01, 1.0)
        parts = ("data", "optimizer", "trainer", "model")
        assert all(values[part] == runs["source_only"][part] for part in parts)
        assert method["discriminator_lr"] == runs["source_only"]["method"]["init_args"]["discriminator_lr"]


@pytest.mark.parametrize(
    "base", [base for base in PAPER_BASES if base.stem.startswith("gta5")], ids=lambda base: base.stem
)
def test_row_without_an_adversary_moves_as_the_others_and_sees_crops_of_one_size(base, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    values, plain = (describe(parse("train", train, (), words(base, one))) for one in (DACS, None))
    method, data = values["method"]["init_args"], values["data"]["init_args"]
    assert values["method"]["class_path"] == "semiverse.methods.Consistency"
    assert (method["mix"], method["threshold"], method["decay"], method["ramp"]) == ("classes", 0.968, 0.99, [0.0, 0.0])
    assert (data.pop("crop"), data.pop("batch_size")) == ([512, 512], 2)
    assert data == {
        key: value for key, value in plain["data"]["init_args"].items() if key not in ("crop", "batch_size")
    }
    values["data"] = plain["data"]
    assert apart_from_the_method(values, Consistency) == apart_from_the_method(plain, Adaptation)


def test_scoring_row_adds_a_domain_that_nothing_is_learned_from(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    base = PAPER / "gta5_to_folder.yaml"
    with_scores, plain = (describe(parse("train", train, (), words(base, row))) for row in (SCORED, None))
    domains = with_scores["data"]["init_args"]["domains"]
    added = domains.pop("cityscapes")
    assert (added["labeled"], added["unlabeled"], added["resolution"]["size"]) == (0, False, [512, 1024])
    assert with_scores == plain


def test_upper_bound_is_trained_as_a_source_alone(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    files = ((PAPER / "cityscapes.yaml",), (PAPER / "cityscapes_to_folder.yaml", PAPER / "rows" / "source_only.yaml"))
    bound, source = (describe(parse("train", train, (), words(*named))) for named in files)
    source["data"]["init_args"]["domains"].pop("campus")
    learned = bound["data"]["init_args"]["domains"]["cityscapes"]
    assert learned.pop("unlabeled")
    assert not source["data"]["init_args"]["domains"]["cityscapes"].pop("unlabeled")
    assert bound == source


STAND_INS = {
    "gta5": "{resolution: {size: [64, 96]}}",
    "cityscapes": "{resolution: {size: [32, 64]}}",
    "campus": "{resolution: {size: [32, 64]}}",
    "game": "{dataset: {init_args: {dataset: {init_args: {images: 4, val_images: 1, size: [32, 48]}}}}}",
    "camvid": "{resolution: {scale: 2.0}}",
    "facade": "{resolution: {scale: 2.0}, train: train, val: test}",
}
REDUCED = """
data: {{domains: {{{domains}}}, crop: {crop}, batch_size: {batch}, workers: 0}}
model: {{width: 0.0625, weights: null}}
trainer: {{max_steps: 2, accelerator: cpu, precision: 32}}
validate_every: 2
check: false
"""


def write_stand_ins(root):
    write_gta5(root / "gta5")
    (root / "gta5" / "val.txt").write_text("00001\n")
    write_cityscapes(root / "cityscapes", "labelIds")
    write_photo(root / "campus" / "walk" / "1.png")
    write_camvid(root / "camvid")
    write_labelmefacade(root / "labelmefacade")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "row"),
    [
        (PAPER / "gta5_to_cityscapes.yaml", PAPER / "rows" / "single_level.yaml"),
        (PAPER / "gta5_to_folder.yaml", PAPER / "rows" / "least_squares.yaml"),
        (PAPER / "cityscapes_to_folder.yaml", PAPER / "rows" / "source_only.yaml"),
        (PAPER / "gta5_to_both.yaml", PAPER / "rows" / "balanced.yaml"),
    ],
    ids=lambda path: path.stem,
)
def test_base_trains_two_steps(base, row, tmp_path, monkeypatch):
    train_reduced(tmp_path, monkeypatch, ("null", 1), base, row)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("synthetic_to_camvid", "source_only"),
        ("facade_to_camvid", "single_level"),
        ("synthetic_to_both", "multi_level"),
        ("synthetic_to_both", "dacs"),
    ],
)
def test_open_recipe_trains_two_steps(column, row, tmp_path, monkeypatch):
    file = tmp_path / f"{row}.yaml"
    file.write_text(dump_yaml(OPEN.configuration(column, row, "cpu")))
    train_reduced(tmp_path, monkeypatch, ("[32, 48]", 2), file)


def train_reduced(tmp_path, monkeypatch, sizes, *files):
    """Train two steps on stand-ins for the data; the last file says by its name whether there is an adversary."""
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    write_stand_ins(tmp_path)
    known = given_values(train, (), words(*files))["data"]["domains"]
    named = [name for name in STAND_INS if name in known]
    domains = ", ".join(f"{name}: {STAND_INS[name]}" for name in named)
    crop, batch = sizes
    (tmp_path / "small.yaml").write_text(REDUCED.format(domains=domains, crop=crop, batch=batch))
    assert main(["train", *words(*files, tmp_path / "small.yaml"), "--out", str(tmp_path / "run")]) == 0
    last = Run(tmp_path / "run").read_metrics()[-1]
    assert {name.removesuffix("/miou") for name in last if name.endswith("/miou")} == set(named)
    adversarial = [name for name in last if name.endswith("main_adversarial")]
    assert bool(adversarial) == (files[-1].stem not in ("source_only", "dacs"))
