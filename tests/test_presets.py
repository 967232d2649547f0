"""The presets of all methods: each is built from its file alone, on data that knows nothing of it."""

from pathlib import Path

import pytest

from semiverse import methods
from semiverse.cli.call import parse
from semiverse.commands.train import train
from semiverse.configuration import dump_yaml, load_yaml
from semiverse.training.start import build_method

PRESETS = sorted((Path(__file__).parent.parent / "configs" / "presets").glob("*/[cg]pu.yaml"))
SIZES = ("cpu", "gpu")


def test_every_method_that_trains_on_its_own_has_both():
    found = {(load_yaml(path.read_text())["method"]["class_path"], path.stem) for path in PRESETS}
    kinds = {name: getattr(methods, name) for name in methods.__all__}
    names = {name for name, kind in kinds.items() if issubclass(kind, methods.Method)} - {"Method", "Finetune"}
    assert found == {(name, size) for name in names for size in SIZES}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_preset_is_built(preset, tmp_path):
    alike, size = preset.parent.name == "adaptation", {"images": 4, "val_images": 1, "size": [32, 48]}
    kinds = {"one": "SyntheticStreets", "two": "SyntheticStreets" if alike else "SyntheticRooms"}
    domains = {name: {"dataset": {"class_path": kind, "init_args": size}} for name, kind in kinds.items()}
    domains["one"]["labeled"], domains["two"]["labeled"] = (4, 0) if alike else (2, 2)
    data = tmp_path / "data.yaml"
    data.write_text(dump_yaml({"data": {"domains": domains}}), encoding="utf-8")
    no_hub = ["--model.pretrained", "false"] if preset.stem == "gpu" else []
    words = ["--config", str(data), "--config", str(preset), "--data.workers", "0", "--trainer.accelerator", "cpu"]
    given = parse("train", train, (), [*words, *no_hub])
    learner = build_method(given["data"], given["method"], given["model"], given["trainer"], 0)
    assert learner.total_steps == given["trainer"]["max_steps"]
    written = load_yaml(preset.read_text())["model"]
    assert learner.model.config.encoder == written["encoder"] and learner.model.config.decoder == written["decoder"]
    assert given["model"].starts_pretrained is (preset.stem == "cpu")
