"""The segmentation model: one contract for every encoder and decoder, and folders that hold models."""

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from semiverse.data import Resolution
from semiverse.labels import LabelSpace
from semiverse.models import DilatedResidualNetwork, ModelConfig, SegmentationModel
from semiverse.models.drn import VARIANTS
from semiverse.upsampling import Upsampling

STREETS = LabelSpace("streets", ("road", "car", "sky"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
ROOMS = LabelSpace("rooms", ("floor", "bed"))
DOMAINS = {"city": STREETS, "home": ROOMS, "town": STREETS}
TINY = ModelConfig("drn_d_22", width=0.0625)


def build(config: ModelConfig = TINY, seed: int = 0) -> SegmentationModel:
    torch.manual_seed(seed)
    return SegmentationModel(config, DOMAINS)


def images(height: int = 32, width: int = 48, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


def disturb(model: SegmentationModel) -> SegmentationModel:
    """Statistics of each domain apart from those of the others, as after training."""
    model.train()
    with torch.no_grad():
        for i, domain in enumerate(model.label_spaces):
            model(images() * (i + 1) / 3, domain)
    return model.eval()


@pytest.mark.parametrize(
    ("encoder", "decoder", "stride", "width"),
    [
        *((name, "linear", 8, 0.03125) for name in VARIANTS),
        *((name, decoder, 8, 0.03125) for name in ("drn_a_18", "drn_c_58", "drn_d_22") for decoder in ("aspp", "fpn")),
        *(("mobilenetv3_small_100", decoder, 8, 1.0) for decoder in ("linear", "aspp", "mlp", "fpn")),
        ("tf_efficientnet_lite0", "mlp", 32, 1.0),
        *(("deeplab_resnet101", decoder, 8, 0.03125) for decoder in ("linear", "aspp", "fpn", "aspp_sum")),
        ("resnet18", "linear", 16, 1.0),
        *(("convnext_atto", decoder, 32, 1.0) for decoder in ("linear", "mlp", "fpn")),
        *(("test_vit", decoder, 16, 1.0) for decoder in ("linear", "aspp", "mlp", "fpn", "dpt")),
        *(
            pytest.param(f"vit_small_patch{stride}_{name}", decoder, stride, 1.0, marks=pytest.mark.slow)
            for name, decoder, stride in (
                ("dinov2", "dpt", 14),
                ("reg4_dinov2", "dpt", 14),
                ("dinov3", "linear", 16),
                ("dinov3", "dpt", 16),
            )
        ),
    ],
)
def test_contract_of_encoders_with_decoders(tmp_path, encoder, decoder, stride, width):
    config = ModelConfig(encoder=encoder, decoder=decoder, output_stride=stride, width=width, pretrained=False)
    torch.manual_seed(0)
    model = SegmentationModel(config, {"city": STREETS, "home": ROOMS})
    with torch.no_grad():  # nothing is known yet: every class is as likely, whatever stands before the heads
        first = model(images(64, 96, count=4), "city")
    mask = torch.randint(0, 3, (4, 64, 96), generator=torch.Generator().manual_seed(1))
    assert F.cross_entropy(first, mask).item() == pytest.approx(math.log(3), rel=0.05)
    model.eval()
    x = images(65, 97, count=1).requires_grad_()
    features = model.features(x, "city")
    assert features.shape[1] == model.feature_channels
    assert tuple(model(x, "home").shape) == (1, 2, 65, 97)
    logits = model(x, "city")
    assert tuple(logits.shape) == (1, 3, 65, 97)
    logits.square().sum().backward()
    assert x.grad.abs().max() > 0
    model.save(tmp_path / "model")
    loaded = SegmentationModel.load(tmp_path / "model")
    assert torch.equal(loaded(x, "city"), logits)


@pytest.mark.parametrize(("size", "cells"), [((512, 512), (64, 64)), ((360, 480), (45, 60)), ((240, 320), (30, 40))])
def test_output_has_the_size_of_the_input_and_features_an_eighth(size, cells):
    model = build().eval()
    with torch.no_grad():
        assert tuple(model.features(images(*size, count=1), "city").shape[-2:]) == cells
        assert tuple(model(images(*size, count=1), "home").shape[-2:]) == size


def test_bytes_and_fractions_are_the_same_image_normalised_by_the_encoders_convention():
    model = build().double().eval()
    whole = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(model(whole, "city"), model(whole.double() / 255, "city"))
    maps = model.networks["shared"].encoder(
        (whole.double() / 255 - torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1))
        / torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
    )
    torch.testing.assert_close(model.encode(whole, "city")[-1], maps[-1], atol=1e-5, rtol=1e-5)


def test_forward_is_the_upsampled_classification_of_the_features():
    model = build().eval()
    logits = model.classify(model.features(images(), "home"), "home").values
    assert tuple(logits.shape) == (2, 2, 4, 6)
    assert torch.equal(model(images(), "home"), F.interpolate(logits, (32, 48), mode="bilinear", align_corners=False))


def test_every_head_says_how_its_scores_are_upsampled_and_a_saved_model_still_does(tmp_path):
    model = build(replace(TINY, zero_border=True)).eval()
    model.add_label_embeddings(4)
    model.add_latent_branch({"city": 2, "home": 3})
    model.save(tmp_path / "model")
    for one in (model, SegmentationModel.load(tmp_path / "model")):
        features = one.features(images(), "home")
        maps = [
            one.classify(features, "home"),
            one.label_embeddings.logits(features, "home"),
            one.label_embeddings.scores(features, ["city", "home"]),
            one.latent_branch.logits(features, "home"),
        ]
        assert {scores.upsampling for scores in maps} == {Upsampling(zero_border=True)} == {one.upsampling}
        nearest = maps[0]._replace(upsampling=Upsampling()).at((32, 48))
        found = one(images(), "home")
        torch.testing.assert_close(found[:, :, 4:-4, 4:-4], nearest[:, :, 4:-4, 4:-4])
        torch.testing.assert_close(found[:, :, 0, 0], nearest[:, :, 0, 0] * (9 / 16) ** 2)
    assert build(replace(TINY, decoder="aspp_sum")).upsampling == Upsampling(align_corners=True)


def test_logits_are_upsampled_in_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert build().eval()(images(), "city").dtype == torch.float32


def test_domains_with_equal_label_spaces_share_a_head():
    model = build()
    assert [model.space_key(domain) for domain in DOMAINS] == ["city", "home", "city"]
    assert list(model.heads) == ["city", "home"]


def test_heads_start_at_the_deviation_of_the_public_code():
    torch.manual_seed(0)
    model = SegmentationModel(ModelConfig("drn_d_22", head_deviation=None), {"city": STREETS})
    assert model.heads["city"].weight.std().item() == pytest.approx((2 / 3) ** 0.5, rel=0.05)
    assert model.heads["city"].bias.abs().max() == 0


def test_statistics_belong_to_the_domain():
    model = build()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.train()(images(), "home")
    for name, value in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            assert torch.equal(value[[0, 2]], before[name][[0, 2]])
            assert not torch.equal(value[1], before[name][1])
    model = disturb(model)
    # Same head, other statistics.
    assert not torch.equal(model(images(), "city"), model(images(), "town"))


def test_shared_statistics_are_one_row_for_all():
    model = disturb(build(replace(TINY, batch_norm="shared")))
    assert torch.equal(model(images(), "city"), model(images(), "town"))
    assert {v.shape[0] for n, v in model.named_buffers() if n.endswith("running_mean")} == {1}


def test_separate_networks_share_nothing():
    model = build(replace(TINY, separate=True))
    assert len({id(model.network(domain)) for domain in DOMAINS}) == 3
    model.features(images(), "home").sum().backward()
    assert all(p.grad is None for domain in ("city", "town") for p in model.network(domain).parameters())
    assert any(p.grad is not None for p in model.network("home").parameters())


def test_trainable_parameters_of_the_papers_model():
    """Cityscapes and CamVid with 20 and 12 outputs and d = 128: 15,962,832 in the public code."""
    spaces = {name: LabelSpace(name, tuple(map(str, range(count)))) for name, count in [("cs", 20), ("camvid", 12)]}
    with torch.device("meta"):
        model = SegmentationModel(ModelConfig("drn_d_22"), spaces)
        model.add_label_embeddings(128)
    assert sum(p.numel() for p in model.parameters()) == 15_962_832


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, batch_norm="shared"),
        replace(TINY, separate=True, decoder="fpn"),
        replace(TINY, weights=Path("gone.pth")),
    ],
)
def test_saving_and_loading_is_exact(tmp_path, config):
    model = disturb(build(replace(config, weights=None))).to(memory_format=torch.channels_last)
    model.config = config
    model.resolutions = {"city": Resolution(0.5), "home": Resolution(), "town": Resolution(size=(64, 96))}
    model.add_label_embeddings(8, 2, normalize_features=True, temperature=0.1, seed=4)
    model.label_embeddings.set_rows("city", torch.randn(3, 2, 8), torch.tensor([True, False, True]))
    model.save(tmp_path / "run" / "model")
    for folder in (tmp_path / "run" / "model", tmp_path / "run"):
        loaded = SegmentationModel.load(folder)
        assert loaded.config == config
        assert loaded.label_spaces == DOMAINS
        assert list(loaded.label_spaces) == list(DOMAINS)
        assert loaded.resolutions == model.resolutions
        assert loaded.label_embeddings.options == model.label_embeddings.options
        assert not loaded.training
        expected, found = model.state_dict(), loaded.state_dict()
        assert list(expected) == list(found)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
        for domain in DOMAINS:
            assert torch.equal(
                loaded(images(), domain), model.to(memory_format=torch.contiguous_format)(images(), domain)
            )


def test_double_precision_survives(tmp_path):
    model = build().double()
    model.save(tmp_path / "model")
    assert torch.equal(SegmentationModel.load(tmp_path / "model").heads["city"].weight, model.heads["city"].weight)


def test_saving_replaces_and_leaves_nothing_beside(tmp_path):
    build(seed=0).save(tmp_path / "model")
    second = build(seed=1)
    second.save(tmp_path / "model")
    assert torch.equal(SegmentationModel.load(tmp_path / "model").heads["city"].weight, second.heads["city"].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "labels.json",
        "model.safetensors",
    ]


def test_a_save_that_fails_half_way_keeps_the_previous_model(tmp_path):
    first = build()
    first.save(tmp_path / "model")
    broken = build(seed=1)
    broken.label_spaces["home"] = replace(ROOMS, name=object())  # cannot be written, after config.json was
    with pytest.raises(TypeError):
        broken.save(tmp_path / "model")
    assert torch.equal(SegmentationModel.load(tmp_path / "model").heads["city"].weight, first.heads["city"].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_crash_between_the_two_renamings_loses_nothing(tmp_path):
    model = build()
    model.save(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model.previous")
    assert torch.equal(SegmentationModel.load(tmp_path / "model").heads["city"].weight, model.heads["city"].weight)
    assert torch.equal(SegmentationModel.load(tmp_path).heads["city"].weight, model.heads["city"].weight)
    model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        build().save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_loading_says_what_is_missing_or_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        SegmentationModel.load(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        SegmentationModel.load(tmp_path)
    build().save(tmp_path / "model")
    folder = tmp_path / "model"
    config = (folder / "config.json").read_text()

    (folder / "config.json").write_text(config[:40])
    with pytest.raises(ValueError, match=r"config\.json: not readable as JSON"):
        SegmentationModel.load(folder)
    (folder / "config.json").write_text(json.dumps({**json.loads(config), "colour": 1}))
    with pytest.raises(ValueError, match="colour"):
        SegmentationModel.load(folder)
    (folder / "config.json").write_text(json.dumps({**json.loads(config), "width": 0.125}))
    with pytest.raises(ValueError, match="not those of config"):
        SegmentationModel.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        SegmentationModel.load(folder)
    (folder / "config.json").write_text(config)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="damaged"):
        SegmentationModel.load(folder)


def test_published_weights_start_every_network_and_are_reported(tmp_path, caplog):
    torch.manual_seed(5)
    source = DilatedResidualNetwork("drn_d_22", width=0.0625)
    torch.save(source.state_dict(), tmp_path / "drn.pth")
    with caplog.at_level(logging.INFO, logger="semiverse"):
        model = build(replace(TINY, separate=True, weights=tmp_path / "drn.pth"))
    assert "tensors copied" in caplog.text
    for domain in DOMAINS:
        assert torch.equal(model.network(domain).encoder.layer7[0].weight, source.layer7[0].weight)


def test_a_saved_model_as_weights_gives_everything_that_fits(tmp_path):
    source = disturb(build(seed=1))
    source.save(tmp_path / "run" / "model")
    config = replace(TINY, weights=tmp_path / "run")
    torch.manual_seed(2)
    fresh = SegmentationModel(config, {**DOMAINS, "home": LabelSpace("homes", ("a", "b", "c", "d"))})
    fresh.eval()
    assert torch.equal(fresh(images(), "city"), source(images(), "city"))
    assert fresh.heads["home"].weight.shape[0] == 4


def test_a_saved_model_whose_network_does_not_fit_is_refused(tmp_path):
    build(replace(TINY, separate=True)).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"no tensor networks\.\* of"):
        build(replace(TINY, weights=tmp_path / "model"))
    build().save(tmp_path / "shared")
    with pytest.raises(ValueError, match="same encoder"):
        build(replace(TINY, width=0.125, separate=True, weights=tmp_path / "shared"))


def test_separate_networks_start_from_a_shared_one_with_the_statistics_of_their_domains(tmp_path):
    source = disturb(build(seed=1))
    source.save(tmp_path / "run" / "model")
    torch.manual_seed(2)
    config, new = replace(TINY, separate=True, weights=tmp_path / "run"), LabelSpace("homes", ("a", "b", "c", "d"))
    fresh = SegmentationModel(config, {**DOMAINS, "cottage": new}).eval()
    for domain in DOMAINS:
        assert torch.equal(fresh(images(), domain), source(images(), domain))
    assert not torch.equal(fresh(images(), "city"), fresh(images(), "town"))  # one head, statistics of each
    assert torch.equal(
        fresh.features(images(), "cottage"), source.features(images(), "city")
    )  # nobody's own: the first


def drn_segmentation(trunk, head):
    """As segmentation models for DRN are published: the encoder's children in a sequence, a head, the upsampling."""
    names = {name: f"base.{i}" for i, (name, _) in enumerate(trunk.named_children())}
    file = {f"{names[key.split('.')[0]]}.{key.split('.', 1)[1]}": value for key, value in trunk.state_dict().items()}
    file |= {f"seg.{name}": value for name, value in head.state_dict().items()}
    return file | {"up.weight": torch.zeros(len(head.bias), 1, 16, 16)}


def test_a_published_segmentation_model_of_drn_starts_the_heads_that_it_fits(tmp_path, caplog):
    torch.manual_seed(5)
    trunk = DilatedResidualNetwork("drn_d_22", width=0.0625).eval()
    head = torch.nn.Conv2d(32, len(STREETS), 1)
    torch.save(drn_segmentation(trunk, head), tmp_path / "drn_d_22_cityscapes.pth")
    config = replace(TINY, weights=tmp_path / "drn_d_22_cityscapes.pth", input="rgb_cityscapes", zero_border=True)
    with caplog.at_level(logging.INFO, logger="semiverse"):
        model = SegmentationModel(config, {"city": STREETS, "home": ROOMS}).eval()
    assert torch.equal(model.heads["city"].weight, head.weight) and torch.equal(model.heads["city"].bias, head.bias)
    assert model.heads["home"].bias.abs().max() == 0  # of other classes: as it was
    reports = [record.getMessage() for record in caplog.records]
    assert "3 of the file skipped (seg.weight, seg.bias, up.weight)" in reports[0]
    assert "head of city" in reports[1] and "2 tensors copied, 0 of the file skipped" in reports[1]
    assert "head of home" in reports[2] and "0 tensors copied, 2 of the file skipped (weight, bias)" in reports[2]
    # The published network, step by step.
    image = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8)
    mean = torch.tensor([0.29010095242892997, 0.32808144844279574, 0.28696394422942517])[:, None, None]
    std = torch.tensor([0.1829540508368939, 0.18656561047509476, 0.18447508988480435])[:, None, None]
    coarse = head(trunk((image / 255 - mean) / std)[-1])
    ramp = torch.tensor([1, 3, 5, 7, 9, 11, 13, 15, 15, 13, 11, 9, 7, 5, 3, 1]) / 16
    kernel = torch.outer(ramp, ramp).expand(len(STREETS), 1, 16, 16)
    expected = F.conv_transpose2d(coarse, kernel, stride=8, padding=4, groups=len(STREETS))
    torch.testing.assert_close(model(image, "city"), expected, rtol=1e-4, atol=1e-4)


def test_a_published_head_is_taken_whole_or_not_at_all(tmp_path):
    trunk, head = DilatedResidualNetwork("drn_d_22", width=0.0625), torch.nn.Conv2d(32, len(STREETS), 1)
    torch.save(drn_segmentation(trunk, head), tmp_path / "drn.pth")
    model = build(replace(TINY, decoder="fpn", weights=tmp_path / "drn.pth"))  # 256 features: only the bias would fit
    assert model.heads["city"].bias.abs().max() == 0


def test_start_from_copies_a_domains_network_and_its_statistics_to_every_group():
    source = disturb(build(replace(TINY, separate=True), seed=1))
    target = build()
    target.start_from(source, "home")
    target.eval()
    expected = source.features(images(), "home")
    for domain in DOMAINS:
        assert torch.equal(target.features(images(), domain), expected)
    joint, again = disturb(build(seed=3)), build(replace(TINY, batch_norm="shared"), seed=4).eval()
    again.start_from(joint, "town")
    assert torch.equal(again.features(images(), "city"), joint.features(images(), "town"))
    assert not torch.equal(again.features(images(), "city"), joint.features(images(), "city"))


def test_start_from_refuses_another_network():
    with pytest.raises(ValueError, match="same encoder"):
        build().start_from(build(replace(TINY, width=0.125)), "city")


@pytest.mark.parametrize("name", ["city.v2", "", "train", "keys"])
def test_domain_names_that_cannot_name_a_module_are_refused(name):
    with pytest.raises(ValueError, match="rename the domain"):
        SegmentationModel(TINY, {name: STREETS})


def test_no_domain_and_unknown_domains_are_refused():
    with pytest.raises(ValueError, match="at least one domain"):
        SegmentationModel(TINY, {})
    with pytest.raises(ValueError, match="resolutions of those alone"):
        SegmentationModel(TINY, {"city": STREETS}, {"home": Resolution()})
    with pytest.raises(ValueError, match="expected one of city, home, town"):
        build()(images(), "garden")


@pytest.mark.parametrize("options", [{"decoder": "unet"}, {"output_stride": 4}, {"batch_norm": "none"}])
def test_configurations_outside_the_choices_are_refused(options):
    with pytest.raises(ValueError, match="expected one of"):
        ModelConfig(**options)


@pytest.mark.parametrize(
    ("encoder", "decoder", "stride"),
    [
        ("tf_efficientnet_lite0", "mlp", 32),
        ("resnet18", "mlp", 32),
        ("swin_tiny_patch4_window7_224", "mlp", 32),
        ("vit_small_patch14_dinov2.lvd142m", "linear", 14),
        ("vit_small_patch16_224", "linear", 16),
        ("drn_d_22", "linear", 8),
        ("deeplab_resnet101", "linear", 8),
    ],
)
def test_decoder_and_stride_follow_the_encoder_unless_they_are_given(encoder, decoder, stride):
    found = ModelConfig(encoder).resolved
    assert (found.decoder, found.output_stride) == (decoder, stride)
    assert ModelConfig(encoder, "aspp", 16).resolved == ModelConfig(encoder, "aspp", 16)


def test_default_network_is_built_and_saved_with_what_it_was(tmp_path):
    model = SegmentationModel(ModelConfig(), {"city": STREETS})
    assert (model.config.encoder, model.config.decoder) == ("tf_efficientnet_lite0", "mlp")
    assert model.features(images(), "city").shape[1:] == (128, 8, 12)
    model.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["output_stride"] == 32
    assert SegmentationModel.load(tmp_path).config == model.config


def test_models_saved_without_an_encoder_have_that_of_then():
    found = ModelConfig.from_values({"width": 0.5})
    assert (found.encoder, found.decoder, found.output_stride) == ("drn_d_22", "linear", 8)
