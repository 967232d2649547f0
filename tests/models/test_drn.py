"""Dilated residual networks against the facts of the published ones."""

import pytest
import torch
from torch import nn

from semiverse.models.drn import VARIANTS, DilatedResidualNetwork

# Parameters of the public definitions with their classifier of 1000 classes.
PARAMETERS = {
    "drn_d_22": 16_393_752,
    "drn_d_24": 21_114_392,
    "drn_d_38": 26_501_912,
    "drn_d_40": 31_222_552,
    "drn_d_54": 35_809_176,
    "drn_d_56": 40_529_816,
    "drn_d_105": 54_801_304,
    "drn_d_107": 59_521_944,
    "drn_c_26": 21_126_584,
    "drn_c_42": 31_234_744,
    "drn_c_58": 41_591_608,
    "drn_a_50": 25_557_032,
}


def on_meta(name: str) -> DilatedResidualNetwork:
    with torch.device("meta"):
        return DilatedResidualNetwork(name)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_with_the_classifier_is_that_of_the_public_network(name):
    encoder = on_meta(name)
    classifier = 1000 * encoder.channels[-1] + 1000
    assert sum(p.numel() for p in encoder.parameters()) + classifier == PARAMETERS[name]


@pytest.mark.parametrize("name", ["drn_a_18", "drn_a_34", "drn_a_50"])
def test_names_and_shapes_of_family_a_equal_those_of_torchvision(name):
    from torchvision.models import resnet

    with torch.device("meta"):
        reference = {"18": resnet.resnet18, "34": resnet.resnet34, "50": resnet.resnet50}[name[-2:]](weights=None)
    expected = {k: v.shape for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    assert {k: v.shape for k, v in on_meta(name).state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        (
            "drn_d_22",
            {
                "layer0.0.weight": (16, 3, 7, 7),
                "layer0.1.running_var": (16,),
                "layer1.0.weight": (16, 16, 3, 3),
                "layer1.1.bias": (16,),
                "layer2.0.weight": (32, 16, 3, 3),
                "layer3.0.conv1.weight": (64, 32, 3, 3),
                "layer3.0.bn2.running_mean": (64,),
                "layer3.0.downsample.0.weight": (64, 32, 1, 1),
                "layer3.0.downsample.1.weight": (64,),
                "layer6.1.conv2.weight": (512, 512, 3, 3),
                "layer7.0.weight": (512, 512, 3, 3),
                "layer8.1.weight": (512,),
            },
        ),
        (
            "drn_d_56",
            {
                "layer6.2.conv3.weight": (2048, 512, 1, 1),
                "layer6.2.bn3.weight": (2048,),
                "layer7.0.weight": (512, 2048, 3, 3),
                "layer7.3.weight": (512, 512, 3, 3),
                "layer7.4.running_mean": (512,),
            },
        ),
        (
            "drn_c_26",
            {
                "conv1.weight": (16, 3, 7, 7),
                "bn1.running_mean": (16,),
                "layer1.0.conv1.weight": (16, 16, 3, 3),
                "layer2.0.downsample.0.weight": (32, 16, 1, 1),
                "layer8.0.bn2.weight": (512,),
            },
        ),
        (
            "drn_c_58",
            {
                "layer7.0.conv1.weight": (512, 2048, 3, 3),
                "layer7.0.downsample.0.weight": (512, 2048, 1, 1),
                "layer7.0.downsample.1.running_mean": (512,),
            },
        ),
    ],
)
def test_published_names_are_present(name, shapes):
    state = on_meta(name).state_dict()
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_first_block_of_a_dilated_level_is_dilated_in_d_and_not_in_a():
    blocks = [on_meta(name).get_submodule(path) for name, path in [("drn_d_22", "layer6.0"), ("drn_a_18", "layer4.0")]]
    assert [(b.conv1.dilation, b.conv2.dilation) for b in blocks] == [((4, 4), (4, 4)), ((1, 1), (1, 1))]
    assert on_meta("drn_a_18").get_submodule("layer4.1").conv1.dilation == (4, 4)
    assert on_meta("drn_d_54").get_submodule("layer5.0").conv2.dilation == (2, 2)


def test_last_levels_of_c_add_no_shortcut():
    torch.manual_seed(0)
    encoder = DilatedResidualNetwork("drn_c_26", width=0.125).eval()
    last = encoder.get_submodule("layer8.0")
    for norm in (last.bn1, last.bn2):
        nn.init.zeros_(norm.weight)
    assert encoder(torch.randn(1, 3, 32, 32))[-1].abs().max() == 0
    kept = encoder.get_submodule("layer6.1")
    nn.init.zeros_(kept.bn2.weight)
    x = torch.rand(1, kept.conv1.in_channels, 4, 4)
    torch.testing.assert_close(kept(x), x)


def test_unused_shortcut_of_c_58_never_asks_for_a_gradient():
    encoder = DilatedResidualNetwork("drn_c_58", width=0.0625)
    encoder(torch.randn(2, 3, 32, 32))[-1].sum().backward()
    without = {name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None}
    assert without == set()
    assert not encoder.get_parameter("layer7.0.downsample.0.weight").requires_grad


def test_convolutions_start_at_the_published_deviation():
    torch.manual_seed(0)
    weight = DilatedResidualNetwork("drn_d_22").get_parameter("layer8.0.weight")
    assert weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("name", VARIANTS)
def test_maps_have_the_declared_channels_and_strides_and_gradient_reaches_the_image(name):
    torch.manual_seed(0)
    encoder = DilatedResidualNetwork(name, width=0.0625).eval()
    images = torch.randn(1, 3, 33, 50, requires_grad=True)
    maps = encoder(images)
    sizes = [(-(-33 // s), -(-50 // s)) for s in (2, 4, 8)]
    assert [(m.shape[1], *m.shape[2:]) for m in maps] == [
        (c, *size) for c, size in zip(encoder.channels, sizes, strict=True)
    ]
    maps[-1].square().sum().backward()
    assert images.grad.abs().max() > 0


def test_feature_width_is_512_and_2048_for_bottlenecks_of_family_a():
    assert [on_meta(n).channels[-1] for n in ("drn_d_22", "drn_d_105", "drn_c_58", "drn_a_18", "drn_a_50")] == [
        512,
        512,
        512,
        512,
        2048,
    ]


def test_receptive_field_is_centred_on_the_cell():
    """An image moved by one stride moves the features by one cell, away from the borders."""
    torch.manual_seed(0)
    encoder = DilatedResidualNetwork("drn_d_22", width=0.125).double().eval()
    images = torch.zeros(1, 3, 640, 32, dtype=torch.float64)
    images[:, :, 316:324] = torch.randn(1, 3, 8, 32, dtype=torch.float64)
    still, moved = encoder(images)[-1], encoder(images.roll(8, dims=2))[-1]
    torch.testing.assert_close(still[:, :, 20:59], moved[:, :, 21:60])


@pytest.mark.parametrize(("name", "width"), [("drn_d_23", 1.0), ("drn_d_22", 0.0)])
def test_unknown_name_and_width_zero_are_refused(name, width):
    with pytest.raises(ValueError, match="expected"):
        DilatedResidualNetwork(name, width)
