"""Vision transformers of timm on images of any size, and published files for them and for ConvNeXt."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel, build_encoder, load_weights
from semiverse.models.timm_encoders import VisionTransformer

DINOV2, REGISTERS = "vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_reg4_dinov2.lvd142m"
DINOV3, CONVNEXT = "vit_small_patch16_dinov3.lvd1689m", "convnext_tiny.dinov3_lvd1689m"
OUTSIDE = "cls_token patch_embed.proj.weight patch_embed.proj.bias norm.weight norm.bias".split()
INSIDE = [f"{layer}.weight" for layer in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")]
INSIDE += [name.replace("weight", "bias") for name in INSIDE]


def published(outside: list[str], inside: list[str]) -> set[str]:
    """Names in a file for twelve blocks."""
    return {*outside} | {f"blocks.{block}.{name}" for block in range(12) for name in inside}


NAMES = {
    DINOV2: published([*OUTSIDE, "pos_embed"], [*INSIDE, "ls1.gamma", "ls2.gamma"]),
    REGISTERS: published([*OUTSIDE, "pos_embed", "reg_token"], [*INSIDE, "ls1.gamma", "ls2.gamma"]),
    DINOV3: published([*OUTSIDE, "reg_token"], [*INSIDE, "gamma_1", "gamma_2"]) - published([], ["attn.qkv.bias"]),
}
"""What timm calls the tensors of the three families."""


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({name: value.bfloat16() for name, value in tensors.items()}, path)  # half as much to write
    return path


def random_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Values for every tensor of a network, all different from those of a fresh one, and exact in bfloat16."""
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randint(2, 99, v.shape, generator=generator) / 8 for k, v in module.state_dict().items()}


@pytest.mark.parametrize(("name", "patch"), [(DINOV2, 14), (REGISTERS, 14), (DINOV3, 16), ("vit_tiny_patch16_224", 16)])
@pytest.mark.parametrize("size", [(32, 48), (42, 28), (65, 97), (9, 200)])
def test_four_maps_have_a_cell_for_every_begun_patch(name, patch, size):
    encoder = build_encoder(name, patch).eval()
    assert encoder.strides == (patch,) * 4 and encoder.stages == [f"network.blocks.{i}" for i in (2, 5, 8, 11)]
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, *size))
    cells = tuple(-(-edge // patch) for edge in size)
    assert [tuple(m.shape) for m in maps] == [(1, channels, *cells) for channels in encoder.channels]


@pytest.mark.parametrize("name", [DINOV2, REGISTERS, DINOV3])
def test_everything_that_a_transformer_has_learns(name):
    encoder = build_encoder(name, 14 if name != DINOV3 else 16)
    sum(m.square().sum() for m in encoder(torch.randn(1, 3, 30, 30))).backward()
    assert [name for name, value in encoder.named_parameters() if value.grad is None] == []


def test_the_last_map_is_what_timm_itself_gives_for_whole_patches():
    encoder = build_encoder("test_vit", 16).eval()
    images = torch.randn(2, 3, 48, 80)
    tokens = encoder.network.forward_features(images)[:, encoder.network.num_prefix_tokens :]
    torch.testing.assert_close(encoder(images)[-1], tokens.transpose(1, 2).reshape(2, -1, 3, 5))


def test_padding_is_no_part_of_an_image():
    """Cells of padded images that say where they are: those of the result are at the places of as many in the image."""
    encoder = build_encoder("test_vit", 16)

    def places(images, **_):
        (height, width), patch = images.shape[-2:], 16
        rows, columns = (torch.arange(edge // patch) * patch + patch / 2 for edge in (height, width))
        return [torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]]

    encoder.network.forward_intermediates = places
    (found,) = encoder(torch.zeros(1, 3, 40, 96))
    assert torch.equal(found[0, 1], torch.tensor([8.0, 24, 40, 56, 72, 88]).expand(3, 6))  # six whole patches
    # Three cells over 40 pixels have their middles at 20/3, 20 and 100/3; before the first middle there is nothing.
    torch.testing.assert_close(found[0, 0], torch.tensor([8.0, 20, 100 / 3])[:, None].expand(3, 6))


def test_images_of_every_size_go_through_a_model_and_back():
    space = LabelSpace("streets", ("road", "car", "sky"))
    config = ModelConfig("test_vit", "dpt", output_stride=16, pretrained=False)
    model = SegmentationModel(config, {"city": space}).eval()
    images = torch.rand(1, 3, 37, 53)
    assert tuple(model(images, "city").shape) == (1, 3, 37, 53)
    assert tuple(model.features(images, "city").shape) == (1, 64, 12, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_the_names_of_timm_is_taken_whole(name, tmp_path):
    trunk = build_encoder(name, 16 if name == DINOV3 else 14).trunk
    assert set(trunk.state_dict()) == NAMES[name]
    tensors = random_tensors(trunk)
    report = load_weights(trunk, written(tmp_path / "dino.pth", tensors))
    assert (len(report.copied), report.skipped, report.missing) == (len(NAMES[name]), (), ())
    assert all(torch.equal(value, tensors[name]) for name, value in trunk.state_dict().items())


def as_dinov2_authors_have_it(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The class token has a position, of which timm has added it: here one of 0.25."""
    names = {"reg_token": "register_tokens"}
    found = {names.get(name, name): value for name, value in tensors.items()} | {"mask_token": torch.zeros(1, 384)}
    found["cls_token"] = tensors["cls_token"] - 0.25
    found["pos_embed"] = torch.cat([torch.full((1, 1, 384), 0.25), tensors["pos_embed"]], 1)
    return found


def as_dinov3_authors_have_it(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"reg_token": "storage_tokens", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}
    found = {}
    for name, value in tensors.items():
        *front, last = name.split(".")
        found[".".join([*front, names.get(last, last)])] = value
    for block in range(12):
        found |= {f"blocks.{block}.attn.qkv.{name}": torch.zeros(1152) for name in ("bias", "bias_mask")}
    return found | {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.zeros(16)}


@pytest.mark.parametrize(
    ("name", "layout"), [(REGISTERS, as_dinov2_authors_have_it), (DINOV3, as_dinov3_authors_have_it)]
)
def test_a_file_of_the_authors_is_taken_whole_and_in_silence(name, layout, tmp_path, capsys):
    trunk = build_encoder(name, 16 if name == DINOV3 else 14).trunk
    tensors = random_tensors(trunk)
    report = load_weights(trunk, written(tmp_path / "dino.pth", layout(tensors)))
    assert (len(report.copied), report.missing) == (len(NAMES[name]), ())
    assert all(torch.equal(value, tensors[name]) for name, value in trunk.state_dict().items())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["convnext_atto", "test_vit"])
def test_a_published_file_starts_the_encoder_of_a_model(name, tmp_path, caplog):
    import timm

    source = timm.create_model(name, num_classes=5).eval()
    torch.save(source.state_dict(), tmp_path / "published.pth")
    config = ModelConfig(name, "linear", 32 if name == "convnext_atto" else 16, weights=tmp_path / "published.pth")
    with caplog.at_level(logging.INFO, logger="semiverse"):
        model = SegmentationModel(config, {"city": LabelSpace("streets", ("road", "car"))}).eval()
    assert "0 of the network left as they were" in caplog.text
    images = torch.rand(1, 3, 64, 96)
    expected = source.forward_intermediates(model.normalized(images), norm=name == "test_vit", intermediates_only=True)
    torch.testing.assert_close(model.features(images, "city"), expected[-1])


def test_a_network_for_one_size_is_no_vision_transformer_of_any_size():
    with pytest.raises(ValueError, match="one fixed size"):
        VisionTransformer(nn.Conv2d(3, 1, 1))
