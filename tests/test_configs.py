"""Every configuration in configs/ parses, and trains two steps on data that the tests write."""

from pathlib import Path

import pytest

import semiverse
from semiverse.cli.call import parse
from semiverse.cli.main import main
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml, load_yaml
from semiverse.datasets import Cityscapes, PascalVOC
from tests.fakes import WRITERS, write_camvid

CONFIGS = Path(__file__).parent.parent / "configs"
PAPER, CAMVID = Path(semiverse.__file__).parent / "recipes" / "latent", CONFIGS / "camvid_semisupervised"
EXPERIMENTS = sorted(CONFIGS.glob("*.yaml"))
PRESETS = sorted((CONFIGS / "presets").rglob("*.yaml"))

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
    return {"data": SMALL | {"domains": domains}, "model": {"width": 0.0625}} | trainers


def trained(tmp_path, *configs: Path) -> Path:
    """Train on the small worlds; label embeddings have to fit 32 feature channels."""
    changes, file = small(configs[0]), tmp_path / "small.yaml"
    if "class_path: Universal" in configs[-1].read_text():
        changes["method"] = {"init_args": {"embed_dim": 8}}
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


# Experiments of a base file and rows. Their own datasets are written by the tests, with few and small images.

WRITERS_BY_BASE = {
    "voc": lambda root: WRITERS[PascalVOC]["aug"](root / "pascalvoc"),
    "cityscapes": lambda root: WRITERS[Cityscapes]["labelIds"](root / "cityscapes"),
    "camvid": lambda root: write_camvid(root / "camvid"),
}
BASES = [PAPER / "voc.yaml", PAPER / "cityscapes.yaml", CAMVID / "camvid.yaml"]
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
    rows = sorted((PAPER / "rows").glob("*.yaml")) if base.parent == PAPER else sorted(CAMVID.glob("*.yaml"))
    return [None, *(row for row in rows if row != base and row.stem.split("_")[0] not in others)]


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
    values, plain = (resolved(base, file, monkeypatch)["method"]["init_args"] for file in (row, None))
    kept = ("lr", "momentum", "power", "decay", "head_lr")
    assert {name: values[name] for name in kept} == {name: plain[name] for name in kept}
    printed = row is not None and row.stem == "weight_decay_as_printed"
    assert values["weight_decay"] == (0.0001 if printed else 0.0005)
    assert (values["lr"], values["head_lr"]) == ((0.01, 1.0) if base.parent == CAMVID else (0.00025, 10.0))


FROM = {"Adversarial": "pseudo_from: 1", "Latent": "consistency_from: 1"}
"""So that two steps show every term."""


@pytest.mark.parametrize(("base", "row"), TRAINED)
def test_row_trains_two_steps(base, row, tmp_path, monkeypatch):
    kind = resolved(base, row, monkeypatch)["method"]["class_path"].rpartition(".")[2]
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path))
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    WRITERS_BY_BASE[base.stem](tmp_path)
    text = REDUCED.replace("NAME", base.stem).replace("START", FROM.get(kind, ""))
    (tmp_path / "small.yaml").write_text(text.replace("LABELED", "null" if row and "full" in row.stem else "2"))
    out = tmp_path / "run"
    assert main(["train", *words(base, row, tmp_path / "small.yaml"), "--out", str(out)]) == 0
    assert (out / "model" / "model.safetensors").is_file()


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
