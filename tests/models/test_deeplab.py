"""DeepLab-v2 against the facts of the published network, its files, and what images they expect."""

import logging
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from semiverse.labels import LabelSpace
from semiverse.methods.optimizer import Optimizer, parameter_groups
from semiverse.models import (
    DeepLabResNet101,
    ModelConfig,
    SegmentationModel,
    SummedAspp,
    build_encoder,
    build_head,
    load_weights,
)

TINY = ModelConfig(encoder="deeplab_resnet101", decoder="aspp_sum", width=1 / 32)
CHANNELS = 64  # of its last map
STREETS = LabelSpace("streets", ("road", "car", "sky"))
ROOMS = LabelSpace("rooms", ("floor", "bed"))


def space(classes: int) -> LabelSpace:
    return LabelSpace(f"{classes} classes", tuple(map(str, range(classes))))


def on_meta(config: ModelConfig, *classes: int) -> SegmentationModel:
    with torch.device("meta"):
        return SegmentationModel(config, {f"d{i}": space(count) for i, count in enumerate(classes)})


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def images(size: int = 33, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(3))


def randomized(module: nn.Module) -> nn.Module:
    """A module whose tensors all differ from those of a fresh one."""
    generator = torch.Generator().manual_seed(11)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator)
    return module


# The network


def test_parameter_counts_are_those_of_the_public_networks():
    full = replace(TINY, width=1.0)
    with torch.device("meta"):
        trunk = DeepLabResNet101()
        auxiliary, main = build_head(full, 1024, 19), build_head(full, 2048, 19)
        latent = build_head(full, 2048, 20)
    assert count(trunk) == 42_500_160
    assert count(trunk, auxiliary, main) == 44_601_560
    single = on_meta(full, 21)
    assert count(single) == 44_048_532
    assert count(single, latent) == 45_523_172


def test_names_and_shapes_equal_those_of_torchvision():
    from torchvision.models import resnet101

    with torch.device("meta"):
        expected = {k: v.shape for k, v in resnet101(weights=None).state_dict().items() if not k.startswith("fc.")}
        assert {k: v.shape for k, v in DeepLabResNet101().state_dict().items()} == expected


@pytest.mark.parametrize(
    ("size", "cells"),
    [((321, 321), (41, 41)), ((505, 505), (64, 64)), ((512, 1024), (65, 129)), ((720, 1280), (91, 161))],
)
def test_last_three_stages_have_the_published_size(size, cells):
    model = on_meta(replace(TINY, width=1.0), 21)
    maps = model.encode(torch.empty(1, 3, *size, device="meta"), "d0")
    assert [m.shape[1] for m in maps] == [256, 512, 1024, 2048]
    assert [tuple(m.shape[2:]) for m in maps[1:]] == [cells] * 3
    assert tuple(model.classify(maps[-1], "d0").values.shape) == (1, 21, *cells)
    assert tuple(model(torch.empty(1, 3, *size, device="meta"), "d0").shape) == (1, 21, *size)


def test_strides_and_dilations_are_those_of_the_caffe_network():
    with torch.device("meta"):
        network = DeepLabResNet101()
    for number, (blocks, stride, dilation) in enumerate([(3, 1, 1), (4, 2, 1), (23, 1, 2), (3, 1, 4)], start=1):
        stage = network.get_submodule(f"layer{number}")
        assert len(stage) == blocks
        assert [block.conv1.stride[0] for block in stage] == [stride] + [1] * (blocks - 1)
        assert {block.conv2.stride for block in stage} == {(1, 1)}
        assert {block.conv2.dilation for block in stage} == {(dilation, dilation)}
        assert [block.downsample is not None for block in stage] == [True] + [False] * (blocks - 1)
    assert network.maxpool.ceil_mode


@pytest.mark.slow
def test_outputs_equal_those_of_torchvisions_network_brought_to_the_published_form():
    from torchvision.models.resnet import Bottleneck, ResNet

    torch.manual_seed(0)
    reference = ResNet(Bottleneck, [3, 4, 23, 3], replace_stride_with_dilation=[False, True, True])
    reference.maxpool.ceil_mode = True
    reference.layer2[0].conv1.stride, reference.layer2[0].conv2.stride = (2, 2), (1, 1)
    for stage, dilation in ((reference.layer3, 2), (reference.layer4, 4)):
        stage[0].conv2.dilation = stage[0].conv2.padding = (dilation, dilation)
    network = DeepLabResNet101()
    state = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    network.load_state_dict(state)
    x = images(size=41)[:1]
    with torch.no_grad():
        maps = network.eval()(x)
        y = reference.eval().maxpool(reference.relu(reference.bn1(reference.conv1(x))))
        for stage, found in zip(("layer1", "layer2", "layer3", "layer4"), maps, strict=True):
            y = reference.get_submodule(stage)(y)
            torch.testing.assert_close(found, y)


def test_convolutions_start_at_the_published_deviation():
    torch.manual_seed(0)
    head = SummedAspp(256, 21)
    weights = [*DeepLabResNet101(0.5).parameters(), *(branch.weight for branch in head.conv2d_list)]
    for weight in weights:
        if weight.ndim == 4 and weight.numel() > 20_000:
            assert weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_batch_norm_is_frozen_but_uses_and_keeps_statistics_of_the_batch():
    torch.manual_seed(0)
    model = SegmentationModel(TINY, {"city": STREETS}).train()
    scales = {n: p for n, p in model.networks.named_parameters() if p.ndim == 1}
    assert len(scales) == 2 * 104
    assert not any(p.requires_grad for p in scales.values())
    before = {n: b.clone() for n, b in model.named_buffers()}
    first = model(images(), "city")
    moved = [n for n, b in model.named_buffers() if n.endswith("running_mean") and not torch.equal(b, before[n])]
    assert len(moved) == 104
    assert torch.equal(model(images(), "city"), first)  # whatever the running statistics are
    assert not torch.equal(model.eval()(images(), "city"), first)


def test_size_and_weights_that_the_network_does_not_have_are_refused():
    with pytest.raises(ValueError, match="only has 8"):
        build_encoder("deeplab_resnet101", 16)
    with pytest.raises(ValueError, match="resnet101COCO-41f33a49"):
        build_encoder("deeplab_resnet101", pretrained=True)
    with pytest.raises(ValueError, match=r"did you mean .*deeplab_resnet101"):
        build_encoder("deeplab_resnet10")
    with pytest.raises(ValueError, match="positive factor"):
        build_encoder("deeplab_resnet101", width=0.0)


# Heads


@pytest.mark.parametrize("branches", [2, 4])
def test_head_is_the_sum_of_its_first_branches_and_the_others_are_frozen(branches):
    torch.manual_seed(0)
    head = SummedAspp(8, 5, branches).double()
    features = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    parts = [
        F.conv2d(features, branch.weight, branch.bias, padding=dilation, dilation=dilation)
        for branch, dilation in zip(head.conv2d_list, (6, 12, 18, 24), strict=True)
    ]
    torch.testing.assert_close(head(features), torch.stack(parts[:branches]).sum(0))
    head(features).sum().backward()
    assert [branch.weight.grad is not None for branch in head.conv2d_list] == [i < branches for i in range(4)]
    assert [branch.bias.requires_grad for branch in head.conv2d_list] == [i < branches for i in range(4)]


def test_a_model_has_such_a_head_for_each_label_space_on_the_last_map():
    torch.manual_seed(0)
    model = SegmentationModel(replace(TINY, aspp_branches=2), {"city": STREETS, "home": ROOMS}).eval()
    assert {name: (head.branches, type(head)) for name, head in model.heads.items()} == {
        "city": (2, SummedAspp),
        "home": (2, SummedAspp),
    }
    features = model.features(images(), "home")
    assert features.shape[1] == model.feature_channels == CHANNELS
    logits = model.heads["home"](features)
    assert torch.equal(model.encode(images(), "home")[-1], features)
    expected = F.interpolate(logits, size=(33, 33), mode="bilinear", align_corners=True)
    assert torch.equal(model(images(), "home"), expected)


def test_branches_without_such_a_head_are_refused():
    with pytest.raises(ValueError, match="expected decoder aspp_sum"):
        ModelConfig(aspp_branches=2)
    with pytest.raises(ValueError, match="aspp_branches 3; expected one of 2, 4"):
        replace(TINY, aspp_branches=3)


def test_parameter_groups_hold_every_learning_parameter_once():
    torch.manual_seed(0)
    model = SegmentationModel(replace(TINY, aspp_branches=2), {"city": STREETS, "town": STREETS, "home": ROOMS})
    latent = build_head(model.config, CHANNELS, 7)
    learning = [p for module in (model, latent, model.heads["city"]) for p in module.parameters() if p.requires_grad]
    groups = parameter_groups(model, Optimizer(decoder_factor=3.0, head_factor=10.0), learning)
    encoder, decoder, heads = groups
    assert [group["factor"] for group in groups] == [1.0, 3.0, 10.0]
    assert len(encoder["params"]) == 104  # all convolutions of the trunk
    assert all(p.ndim == 4 for p in encoder["params"])
    assert decoder["params"] == []  # heads stand on the last map
    assert len(heads["params"]) == 3 * 2 * 2  # three heads of two branches, weight and bias
    together = [id(p) for group in groups for p in group["params"]]
    assert len(set(together)) == len(together)
    assert set(together) == {id(p) for p in learning}
    optimizer = torch.optim.SGD(groups, 0.1)
    assert [group["factor"] for group in optimizer.param_groups] == [1.0, 3.0, 10.0]


# Published files


def published(trunk: nn.Module, head: nn.Module | None, prefix: str = "") -> dict[str, torch.Tensor]:
    """As the files are: one level of names, no counters of batches."""
    state = {f"{prefix}{k}": v for k, v in trunk.state_dict().items() if not k.endswith("num_batches_tracked")}
    return state | ({f"{prefix}layer5.{k}": v for k, v in head.state_dict().items()} if head is not None else {})


@pytest.mark.parametrize("prefix", ["", "Scale.", "module.", "module.Scale."])
def test_a_published_file_gives_the_trunk_and_heads_that_fit(tmp_path, caplog, prefix):
    trunk, head = randomized(DeepLabResNet101(TINY.width)), randomized(SummedAspp(CHANNELS, 3))
    torch.save({"state_dict": published(trunk, head, prefix)}, tmp_path / "deeplab.pth")
    torch.manual_seed(0)
    with caplog.at_level(logging.INFO, logger="semiverse"):
        model = SegmentationModel(
            replace(TINY, weights=tmp_path / "deeplab.pth"), {"city": STREETS, "home": ROOMS}
        ).eval()
    found = model.networks["shared"].encoder(images())
    assert all(torch.equal(a, b) for a, b in zip(found, trunk.eval()(images()), strict=True))
    assert torch.equal(model.heads["city"].conv2d_list[3].weight, head.conv2d_list[3].weight)
    assert model.heads["home"].conv2d_list[3].weight.std().item() == pytest.approx(0.01, rel=0.2)  # as it was
    reports = [record.getMessage() for record in caplog.records]
    copied = len(published(trunk, None))
    assert f"{copied} tensors copied, 8 of the file skipped (layer5.conv2d_list.0.weight" in reports[0]
    assert "head of city" in reports[1]
    assert "8 tensors copied, 0 of the file skipped, 0 of the network left" in reports[1]
    assert "head of home" in reports[2]
    assert "0 tensors copied, 8 of the file skipped" in reports[2]


def test_of_two_published_heads_the_one_on_the_last_stage_is_taken(tmp_path):
    trunk, auxiliary, main = DeepLabResNet101(TINY.width), SummedAspp(CHANNELS // 2, 3), SummedAspp(CHANNELS, 3)
    file = published(trunk, auxiliary) | {f"layer6.{k}": v for k, v in main.state_dict().items()}
    torch.save(dict(reversed(file.items())), tmp_path / "multi.pth")
    model = SegmentationModel(replace(TINY, weights=tmp_path / "multi.pth"), {"city": STREETS})
    for branch, expected in zip(model.heads["city"].conv2d_list, main.conv2d_list, strict=True):
        assert torch.equal(branch.weight, expected.weight)
        assert torch.equal(branch.bias, expected.bias)
    other = SummedAspp(CHANNELS // 2, 3)
    report = load_weights(other, tmp_path / "multi.pth", part="layer5.")
    assert len(report.copied) == 8
    assert torch.equal(other.conv2d_list[0].weight, auxiliary.conv2d_list[0].weight)


@pytest.mark.slow
def test_a_file_of_torchvision_loads_without_its_classifier_and_leaves_heads(tmp_path):
    trunk = randomized(DeepLabResNet101(TINY.width))
    torch.save(
        {**trunk.state_dict(), "fc.weight": torch.zeros(10, CHANNELS), "fc.bias": torch.zeros(10)},
        tmp_path / "resnet101.pth",
    )
    report = load_weights(DeepLabResNet101(TINY.width), tmp_path / "resnet101.pth")
    assert report.skipped == ("fc.weight", "fc.bias")
    assert report.missing == ()
    config = replace(TINY, weights=tmp_path / "resnet101.pth", input="rgb_imagenet")
    model = SegmentationModel(config, {"city": STREETS})
    assert torch.equal(model.networks["shared"].encoder.conv1.weight, trunk.conv1.weight)


# What images have to be


class Seen(nn.Module):
    """Keeps what an encoder is given."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.images = images
        return [images]


def seen(model: SegmentationModel, batch: torch.Tensor) -> torch.Tensor:
    model.networks["shared"].encoder = Seen()
    model.encode(batch, "city")
    return model.networks["shared"].encoder.images


PIXEL = torch.tensor([10, 100, 200], dtype=torch.uint8).reshape(1, 3, 1, 1)  # red, green, blue
CAFFE = {"red": 10 - 122.67891434, "green": 100 - 116.66876762, "blue": 200 - 104.00698793}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder", [CAFFE["blue"], CAFFE["green"], CAFFE["red"]]),
        ("bgr_caffe", [CAFFE["blue"], CAFFE["green"], CAFFE["red"]]),
        ("rgb_caffe", [CAFFE["red"], CAFFE["green"], CAFFE["blue"]]),
        (
            "rgb_imagenet",
            [(10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225],
        ),
        (
            "rgb_cityscapes",
            [(10 / 255 - 0.290101) / 0.182954, (100 / 255 - 0.328081) / 0.186566, (200 / 255 - 0.286964) / 0.184475],
        ),
    ],
)
def test_images_become_what_the_weights_expect(name, expected):
    model = SegmentationModel(replace(TINY, input=name), {"city": STREETS})
    for batch in (PIXEL, PIXEL / 255):
        assert seen(model, batch).flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_input_of_other_encoders_stays_theirs_unless_named():
    plain = SegmentationModel(ModelConfig("drn_d_22", width=1 / 16), {"city": STREETS})
    assert seen(plain, PIXEL).flatten()[0].item() == pytest.approx((10 / 255 - 0.485) / 0.229, rel=1e-5)
    named = SegmentationModel(ModelConfig("drn_d_22", width=1 / 16, input="bgr_caffe"), {"city": STREETS})
    assert seen(named, PIXEL).flatten()[0].item() == pytest.approx(CAFFE["blue"], rel=1e-5)
    scaled = SegmentationModel(replace(TINY, normalize_images=False), {"city": STREETS})
    assert seen(scaled, PIXEL).flatten().tolist() == pytest.approx([10 / 255, 100 / 255, 200 / 255])


@pytest.mark.parametrize("name", ["encoder", "rgb_imagenet", "rgb_cityscapes", "bgr_caffe", "rgb_caffe"])
def test_a_saved_model_keeps_its_input_and_predicts_equally(tmp_path, name):
    torch.manual_seed(0)
    config = replace(TINY, input=name, aspp_branches=2)
    model = SegmentationModel(config, {"city": STREETS}).eval()
    model.save(tmp_path / "model")
    loaded = SegmentationModel.load(tmp_path / "model")
    assert loaded.config == model.config
    assert loaded.convention == model.convention
    assert torch.equal(loaded(images(), "city"), model(images(), "city"))
    assert not torch.equal(loaded(images().flip(1), "city"), model(images(), "city"))


def test_a_start_from_a_saved_model_with_channels_in_another_order_is_refused(tmp_path):
    SegmentationModel(TINY, {"city": STREETS}).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"has input 'encoder', the new one 'rgb_caffe'.* set input"):
        SegmentationModel(replace(TINY, weights=tmp_path / "model", input="rgb_caffe"), {"city": STREETS})
    again = SegmentationModel(replace(TINY, weights=tmp_path / "model", input="bgr_caffe"), {"city": STREETS})
    assert again.convention.bgr


def test_an_input_that_is_not_normalised_follows_no_convention():
    with pytest.raises(ValueError, match="leave out one"):
        replace(TINY, normalize_images=False, input="bgr_caffe")
    with pytest.raises(ValueError, match="input 'bgr'; expected one of encoder"):
        replace(TINY, input="bgr")
