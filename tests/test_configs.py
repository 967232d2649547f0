"""Every shipped configuration parses, and trains two steps on data that the tests write."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from semiverse.cli.call import parse
from semiverse.cli.main import main
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml, load_yaml, rewritten
from semiverse.datasets import Cityscapes, PascalVOC
from semiverse.recipes.cells import cells
from semiverse.recipes.recipe import SHIPPED, load
from tests.fakes import WRITERS, write_camvid
from tests.reporting.checked import check_report

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parent.parent / "configs"
PAPER = SHIPPED / "latent"
EXPERIMENTS = sorted(CONFIGS.glob("*.yaml"))
PRESETS = [path for path in sorted((CONFIGS / "presets").glob("*/*.yaml")) if path.stem not in ("cpu", "gpu")]
PUBLIC = CONFIGS / "presets" / "universal" / "public_code"
ROWS = [f"universal/rows/{path.stem}" for path in sorted((SHIPPED / "universal" / "rows").glob("*.yaml"))]
EVERY_FILE = [*sorted(CONFIGS.rglob("*.yaml")), *sorted(SHIPPED.rglob("*.yaml"))]


def mappings(values: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in plain values, itself included."""
    if isinstance(values, dict):
        yield values
    for value in values.values() if isinstance(values, dict) else values if isinstance(values, list) else ():
        yield from mappings(value)


@pytest.mark.parametrize("file", EVERY_FILE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_option_stands_where_an_earlier_version_had_it(file):
    assert [moved for values in mappings(load_yaml(file.read_text())) if (moved := rewritten(values)[1])] == []


SMALL = {
    "batch_size": 2,
    "crop": [32, 48],
    "workers": 0,
}
WORLDS = ("SyntheticStreets", "SyntheticRooms")


def small(config: Path) -> dict:
    """What makes an experiment small: a rendered world in place of each of its datasets."""
    names = load_yaml(config.read_text())["data"]["domains"]
    arguments = {"images": 6, "val_images": 2, "size": [32, 48]}
    domains = {
        name: {
            "dataset": {"class_path": WORLDS[i % 2], "init_args": arguments},
            "train": "train",
            "val": "val",
            "unlabeled_split": None,
            "labeled": 3,
        }
        for i, name in enumerate(names)
    }
    trainers = {
        "trainer": {"max_steps": 2, "accelerator": "cpu"},
        "networks_trainer": {"max_steps": 1, "accelerator": "cpu"},
    }
    return {"data": SMALL | {"domains": domains}} | trainers


def trained(tmp_path, *configs: Path | str) -> Path:
    """Train on the small worlds; label embeddings have to fit 32 feature channels."""
    changes, file = small(configs[0]), tmp_path / "small.yaml"
    last = SHIPPED / f"{configs[-1]}.yaml" if isinstance(configs[-1], str) else configs[-1]
    if "class_path: Universal" in last.read_text():
        changes["method"] = {"init_args": {"embed_dim": 8}}
    texts = [(SHIPPED / f"{one}.yaml" if isinstance(one, str) else one).read_text() for one in configs]
    if "drn_" in next(text for text in reversed(texts) if "encoder:" in text):  # others have no width
        changes["model"] = {"width": 0.0625}
    file.write_text(dump_yaml(changes))
    files = [word for config in (*configs, file) for word in ("--config", str(config))]
    out = tmp_path / "run"
    assert main(["train", *files, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("config", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_trains_two_steps(config, tmp_path):
    out = trained(tmp_path, config)
    assert (out / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_preset_changes_an_experiment(preset, tmp_path):
    out = trained(tmp_path, CONFIGS / "camvid_labelmefacade_cpu.yaml", preset)
    assert (out / "model" / "model.safetensors").is_file()
    check_report(out)


IN_PUBLIC_CODE = {  # working size and crop
    "cityscapes": ([512, 1024], [512, 512]),
    "idd": ([512, 1024], [512, 512]),
    "camvid": ([360, 480], "whole"),
    "sunrgbd": ([480, 640], "whole"),
    "nyuv2": ([240, 320], "whole"),
}


def test_datasets_of_the_public_code_have_its_sizes_and_crops_and_train_together(tmp_path, monkeypatch):
    files = sorted(PUBLIC.glob("*.yaml"))
    preset = PUBLIC.with_suffix(".yaml")
    data = describe(parse("train", train, (), words(*files, preset)))["data"]["init_args"]
    found = {name: (domain["resolution"]["size"], domain["crop"]) for name, domain in data["domains"].items()}
    assert found == IN_PUBLIC_CODE and data["augmentation"]["scale"] == [1.0, 1.0]
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    for name in ("cityscapes", "camvid"):
        WRITERS_BY_BASE[name](tmp_path)
    sizes = {
        "cityscapes": {"resolution": {"size": [32, 64]}, "crop": [32, 32]},
        "camvid": {"resolution": {"size": [36, 48]}},
    }
    changes = {"data": {"domains": sizes, "batch_size": 2, "workers": 0}, "model": {"width": 0.0625}, "check": False}
    changes |= {"method": {"init_args": {"embed_dim": 8}}, "trainer": {"max_steps": 2, "accelerator": "cpu"}}
    (tmp_path / "small.yaml").write_text(dump_yaml(changes))
    chosen = words(PUBLIC / "cityscapes.yaml", PUBLIC / "camvid.yaml", preset, tmp_path / "small.yaml")
    assert main(["train", *chosen, "--out", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize("row", ROWS)
def test_row_of_a_recipe_changes_an_experiment_by_its_name(row, tmp_path):
    out = trained(tmp_path, CONFIGS / "camvid_labelmefacade_cpu.yaml", row)
    assert (out / "model" / "model.safetensors").is_file()
    written, chosen = load_yaml((out / "config.yaml").read_text()), load_yaml((SHIPPED / f"{row}.yaml").read_text())
    assert written["method"]["class_path"].endswith(f".{chosen['method']['class_path']}")
    given = chosen["method"].get("init_args", {})
    assert {name: written["method"]["init_args"][name] for name in given} == given | (
        {"embed_dim": 8} if "embed_dim" in given else {}
    )
    assert written["model"]["separate"] == ("model" in chosen)
    assert written["optimizer"]["lr"] == 0.0005  # the experiment's own


# Experiments of a base file and rows. Their own datasets are written by the tests, with few and small images.

WRITERS_BY_BASE = {
    "voc": lambda root: WRITERS[PascalVOC]["aug"](root / "pascalvoc"),
    "cityscapes": lambda root: WRITERS[Cityscapes]["labelIds"](root / "cityscapes"),
    "camvid": lambda root: write_camvid(root / "camvid"),
}
BASES = [PAPER / "voc.yaml", PAPER / "cityscapes.yaml"]
OPEN = load("open/semisupervised")
REDUCED = """
data:
  domains: {NAME: {labeled: LABELED, resolution: {size: [32, 48], scale: 1.0}}}
  batch_size: 2
  crop: [32, 48]
  workers: 0
model: {width: 0.0625, weights: null}
trainer: {max_steps: 2, accelerator: cpu, precision: 32}
method: {init_args: {START}}
check: false
"""


def rows_of(base: Path) -> list[Path | None]:
    """No row, and every one that changes this base."""
    others = {path.stem for path in BASES} - {base.stem}
    rows = sorted((PAPER / "rows").glob("*.yaml"))
    return [None, *(row for row in rows if row.stem.split("_")[0] not in others)]


PAIRS = [
    pytest.param(base, row, id=f"{base.stem}-{row.stem if row else 'alone'}") for base in BASES for row in rows_of(base)
]


ALIKE = ("_4", "_6", "_10", "1_2", "as_printed")
TRAINED = [
    pair
    for pair in PAIRS
    if pair.id.endswith(("alone", "groups", "full")) or ("cityscapes" not in pair.id and not pair.id.endswith(ALIKE))
]
"""Other rows of Cityscapes are those of VOC, and some differ from others in a number alone."""


def words(*configs: Path | None) -> list[str]:
    return [word for config in configs if config is not None for word in ("--config", str(config))]


def resolved(base: Path, row: Path | None, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Every value that two files leave or set."""
    monkeypatch.chdir(CONFIGS.parent)
    return describe(parse("train", train, (), words(base, row)))


@pytest.mark.parametrize(("base", "row"), PAIRS)
def test_row_keeps_the_optimiser_of_its_base(base, row, monkeypatch):
    values = resolved(base, row, monkeypatch)["optimizer"]
    given = {"lr": 0.00025, "head_factor": 10.0, "momentum": 0.9, "power": 0.9, "decay": "step"}
    printed = row is not None and row.stem == "weight_decay_as_printed"
    if row is not None and row.stem == "public_code":  # whose encoder moves three times as fast
        given |= {"lr": 7.5e-4, "head_factor": 3.33}
    assert {name: value for name, value in values.items() if value is not None} == given | {
        "weight_decay": 0.0001 if printed else 0.0005
    }


FROM = {"Adversarial": "pseudo_from: 1", "Latent": "consistency_from: 1"}
"""So that two steps show every term."""


def train_reduced(tmp_path, monkeypatch, name: str, kind: str, labeled: str, *files: Path | None) -> None:
    """Train two steps on data that is written here, so that every term is seen."""
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    WRITERS_BY_BASE[name](tmp_path)
    text = REDUCED.replace("NAME", name).replace("START", FROM.get(kind, "")).replace("LABELED", labeled)
    (tmp_path / "small.yaml").write_text(text)
    assert main(["train", *words(*files, tmp_path / "small.yaml"), "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(("base", "row"), TRAINED)
def test_row_trains_two_steps(base, row, tmp_path, monkeypatch):
    kind = resolved(base, row, monkeypatch)["method"]["class_path"].rpartition(".")[2]
    labeled = "null" if row and "full" in row.stem else "2"
    train_reduced(tmp_path, monkeypatch, base.stem, kind, labeled, base, row)


@pytest.mark.parametrize("row", OPEN.rows)
def test_row_of_the_open_recipe_trains_two_steps(row, tmp_path, monkeypatch):
    values = OPEN.configuration("eighth", row, "cpu")
    (tmp_path / "row.yaml").write_text(dump_yaml(values))
    train_reduced(tmp_path, monkeypatch, "camvid", values["method"]["class_path"], "2", tmp_path / "row.yaml")


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("open/universal", {"lr": 0.01}),
        ("open/semisupervised", {"lr": 0.01, "head_factor": 1.0, "weight_decay": 0.0005, "decay": "step"}),
        ("open/adaptation", {"lr": 0.01, "head_factor": 1.0}),
    ],
)
def test_runs_of_an_open_recipe_share_their_optimiser(name, optimizer):
    recipe = load(name)
    for cell in (cell for size in recipe.sizes for cell in cells(recipe, size, seeds=[0])):
        assert optimizer.items() <= cell.config["optimizer"].items(), cell.title


@pytest.mark.parametrize(
    ("name", "split", "crop", "batch", "steps"),
    [("voc", "train_aug", 321, 10, 20000), ("cityscapes", "train", 505, 2, 40000)],
)
def test_bases_have_the_published_sizes(name, split, crop, batch, steps, monkeypatch):
    values = resolved(PAPER / f"{name}.yaml", None, monkeypatch)
    data, domain = values["data"]["init_args"], values["data"]["init_args"]["domains"][name]
    assert (domain["labeled"], domain["train"], domain["exclude_labeled"]) == ("1/8", split, True)
    assert (data["crop"], data["batch_size"], values["trainer"]) == ([crop, crop], batch, {"max_steps": steps})


FRACTIONS = [pair for pair in PAIRS if pair.id.endswith(("1_4", "1_2", "full"))]


@pytest.mark.parametrize(("base", "row"), FRACTIONS)
def test_row_of_a_fraction_sets_the_budget(base, row, monkeypatch):
    budget = {"1_4": "1/4", "1_2": "1/2", "full": None}[row.stem.removeprefix(f"{base.stem}_")]
    domain = resolved(base, row, monkeypatch)["data"]["init_args"]["domains"][base.stem]
    assert domain["labeled"] == budget


@pytest.mark.parametrize(("column", "budget"), [("eighth", "1/8"), ("quarter", "1/4"), ("half", "1/2")])
def test_column_of_a_fraction_sets_the_budget(column, budget):
    for size in OPEN.sizes:
        assert OPEN.configuration(column, "latent", size)["data"]["domains"]["camvid"]["labeled"] == budget
