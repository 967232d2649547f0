"""A run and a configuration of version 0.1, kept as they were written, still work and give the same numbers."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.run import Run
from tests.tiny import contents

OLD = Path(__file__).parent / "version_0_1"
FORMER = ("--model.encoder", "drn_d_22")
"""What was meant where no encoder was named."""


@pytest.fixture
def run(tmp_path):
    """A copy of the run, where results may be written."""
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


@pytest.mark.parametrize("via", ["decoder", "embedding"])
def test_scores_are_equal(via, run, tmp_path):
    assert main(["evaluate", str(run), "--via", via, "--out", str(tmp_path / "scores.json")]) == 0
    found = json.loads((tmp_path / "scores.json").read_text())["domains"]
    for domain, expected in json.loads((OLD / "scores.json").read_text())[via].items():
        # A pixel whose two best classes are equal but for rounding may fall to either on another processor.
        assert found[domain]["miou"] == pytest.approx(expected["miou"], abs=2e-4)
        assert found[domain]["pixel_accuracy"] == pytest.approx(expected["pixel_accuracy"], abs=2e-3)


@pytest.mark.parametrize(
    ("words", "kept"),
    [(["--domain", "streets"], "by_decoder"), (["--domain", "rooms", "--via", "embedding"], "rooms_by_embedding")],
)
def test_predicted_masks_are_equal(words, kept, run, tmp_path):
    assert main(["predict", str(run), str(OLD / "street.png"), *words, "--out", str(tmp_path / "masks")]) == 0
    found, expected = (
        np.asarray(Image.open(path)) for path in (tmp_path / "masks" / "street.png", OLD / f"{kept}.png")
    )
    assert found.shape == expected.shape and (found != expected).mean() < 2e-3


def test_its_configuration_is_read_with_a_warning_that_shows_todays_form_and_trains_alike(tmp_path, capsys):
    words = [
        "train",
        "--config",
        str(OLD / "experiment.yaml"),
        "--model.head_deviation",
        "null",
        *FORMER,
    ]  # as heads were then
    assert main([*words, "--out", str(tmp_path / "again")]) == 0
    assert "write instead:\noptimizer:\n  lr: 0.01" in capsys.readouterr().err
    with (OLD / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    again = Run(tmp_path / "again").read_metrics()
    for old, new in zip(rows, again, strict=True):
        assert list(old) == list(new)
        assert float(new["learning_rate"]) == float(old["learning_rate"])
        for name in ("streets/supervised", "rooms/supervised", "streets/anchor", "rooms/anchor"):
            assert float(new[name]) == pytest.approx(float(old[name]), rel=0.02)  # other processors round otherwise


def test_its_model_keeps_black_beyond_images():
    model = SegmentationModel.load(OLD / "run" / "model")
    assert "padding" not in json.loads((OLD / "run" / "model" / "config.json").read_text())
    assert model.config.padding == "black" and ModelConfig().padding == "mean"


def test_the_same_call_finds_it_finished(run):
    before = contents(run)
    words = ["train", "--config", str(OLD / "experiment.yaml"), "--model.head_deviation", "null", *FORMER]
    assert main([*words, "--model.decoder_norm", "false", "--out", str(run)]) == 0
    assert contents(run) == before


def test_its_own_configuration_can_be_given_back(run, tmp_path):
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]) == 0
    config = load_yaml((tmp_path / "again" / "config.yaml").read_text())
    assert config["optimizer"]["lr"] == 0.01 and "lr" not in config["method"]["init_args"]


def test_an_unfinished_one_is_not_gone_on_with_by_mistake(run, capsys):
    (run / "finished.json").unlink()
    (run / "checkpoints").mkdir()
    torch.save({"state_dict": {}, "semiverse": {"steps_done": 4}}, run / "checkpoints" / "last.ckpt")
    words = ["train", "--config", str(OLD / "experiment.yaml"), "--model.head_deviation", "null", *FORMER]
    assert main([*words, "--model.decoder_norm", "false", "--out", str(run)]) == 2
    assert "checkpoint of an earlier version" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_shows_it(run, tmp_path):
    assert main(["report", str(run), "--out", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report" / "index.html").is_file()
