"""Models on a hub: what is uploaded, and the name in place of a run; with a stand-in of the hub, by the real client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.downloads.hub import is_hub_name, split_name
from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.reporting.card import model_card
from tests.downloads.hub_stand_in import HubStandIn
from tests.tiny import free_port, in_child, needs_fork

SPACE = LabelSpace("two", ("ground", "thing"))
CONFIG = ModelConfig("drn_d_22", width=0.125, pretrained=False)


@pytest.fixture(scope="module")
def hub():
    stand_in = HubStandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run") / "model"
    SegmentationModel(CONFIG, {"yard": SPACE}).save(folder)
    return folder


def semiverse(hub, folder, *words, token="right"):
    """The command line in a process of its own, as the client reads the hub's address when it is imported."""
    return alone(hub, folder, lambda: main([*map(str, words)]), HF_TOKEN=token)


def alone(hub, folder, action, **environment):
    """What an action in a process with a new client ends with and says."""

    def prepared():
        os.environ |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf")} | environment
        for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
            del sys.modules[name]
        os.chdir(folder)
        sys.stderr = (folder / "said").open("w", buffering=1)
        return action()

    code = in_child(prepared)
    return subprocess.CompletedProcess((), code, stderr=(folder / "said").read_text())


@pytest.mark.parametrize("written", ["hf:me/model", "hf:/me/model", "hf://me/model"])
def test_names_of_the_hub(written):
    assert is_hub_name(written) and is_hub_name(Path(written)) and split_name(Path(written)) == ("me/model", None)
    assert split_name(f"{written}@v1.0") == ("me/model", "v1.0")


@pytest.mark.parametrize("written", ["hf:model", "hf:me/model/more", "hf:me/mo del", "hf:", "hf:me/model@"])
def test_other_names_are_refused(written):
    with pytest.raises(ValueError, match="expected hf:owner/name"):
        split_name(written)


@needs_fork
def test_a_path_is_never_asked_for_on_the_network(hub, tmp_path):
    hub.requests.clear()
    result = semiverse(hub, tmp_path, "predict", "me/model", "photo.jpg")
    assert result.returncode == 2 and "hf:owner/name" in result.stderr and not hub.requests


@needs_fork
@pytest.mark.slow
def test_a_pushed_model_stands_wherever_a_run_is_expected(hub, model, tmp_path):
    pushed = semiverse(hub, tmp_path, "push", model, "hf:me/yard", "--private", "true")
    assert pushed.returncode == 0, pushed.stderr
    files = hub.repositories["me/yard"]
    assert set(files) == {"config.json", "labels.json", "model.safetensors", "README.md"} and hub.private["me/yard"]
    assert all(files[path.name] == path.read_bytes() for path in model.iterdir())
    assert b"ground, thing" in files["README.md"]

    Image.effect_noise((40, 30), 90).convert("RGB").save(tmp_path / "photo.png")
    for run, out in ((model, "local"), ("hf:me/yard", "hub")):
        result = semiverse(hub, tmp_path, "predict", run, "photo.png", "--out", out)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "local/photo.png").read_bytes() == (tmp_path / "hub/photo.png").read_bytes()

    hub.repositories.clear()  # the copy in the cache does when the hub cannot help
    offline = alone(hub, tmp_path, lambda: SegmentationModel.from_pretrained("me/yard"), HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    nobody = f"http://127.0.0.1:{free_port()}"
    silent = alone(hub, tmp_path, lambda: SegmentationModel.from_pretrained("me/yard"), HF_ENDPOINT=nobody)
    assert silent.returncode == 0 and "etry" not in silent.stderr, silent.stderr
    refused = alone(hub, tmp_path, lambda: main(["push", str(model), "hf:me/yard"]), HF_ENDPOINT=nobody)
    assert refused.returncode == 2 and f"({nobody} does not answer)" in refused.stderr


@needs_fork
@pytest.mark.slow
def test_the_hub_refuses_in_one_line(hub, model, tmp_path):
    refused = semiverse(hub, tmp_path, "push", model, "hf:me/yard", token="wrong")
    assert refused.returncode == 2 and "check the name and HF_TOKEN" in refused.stderr
    assert "Traceback" not in refused.stderr and "me/yard" in refused.stderr
    absent = semiverse(hub, tmp_path, "predict", "hf:me/nothing", "photo.png")
    assert absent.returncode == 2 and "no model me/nothing" in absent.stderr
    hub.repositories["me/other"] = {"config.json": b"{}", "README.md": b""}
    foreign = semiverse(hub, tmp_path, "predict", "hf:me/other", "photo.png")
    assert foreign.returncode == 2 and "lacks labels.json, model.safetensors" in foreign.stderr


def test_the_card_of_a_model_alone_says_what_it_knows_and_how_to_use_it():
    card = model_card("me/yard", {"yard": SPACE}, None)
    assert card.startswith("---\nlibrary_name: semiverse\n") and "\n# yard\n" in card
    assert "- `yard`: ground, thing" in card and "semiverse predict hf:me/yard" in card
    assert "## Scores" not in card and "## Training data" not in card


def test_the_card_of_a_run_has_its_data_terms_and_scores(tmp_path, model, capsys):
    from semiverse.commands.push import push
    from semiverse.configuration import dump_yaml

    run = model.parent
    dataset = {"class_path": "Remapped", "init_args": {"dataset": {"class_path": "CamVid"}}}
    config = {"data": {"domains": {"yard": {"dataset": dataset}}}, "method": {"class_path": "Supervised"}}
    (run / "config.yaml").write_text(dump_yaml(config))
    (run / "labeled.json").write_text(json.dumps({"yard": {"ids": ["a", "b"]}}))
    scored = {"miou": 0.5, "iou": {}, "via": "decoder", "variant": "default", "split": "val", "images": 7}
    (run / "evaluation.json").write_text(json.dumps({"domains": {"yard": scored}}))
    try:
        assert push(run, "me/yard", dry_run=True) == 0
    finally:
        for name in ("config.yaml", "labeled.json", "evaluation.json"):
            (run / name).unlink()
    card = capsys.readouterr().out
    assert "| yard | CamVid | 2 | " in card and "| yard | val | decoder | 50.0 % | 7 |" in card
