"""Encoders and decoders: one contract for all of them."""

import pytest
import torch

from semiverse.models import build_decoder, build_encoder


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("drn_d_22", 8),
        ("resnet18", 8),
        ("resnet18", 32),
        ("mobilenetv3_small_100", 16),
        ("convnext_atto", 16),
        ("pvt_v2_b0", 32),
    ],
)
def test_maps_have_the_declared_channels_and_strides(name, output_stride):
    torch.manual_seed(0)
    encoder = build_encoder(name, output_stride).eval()
    maps = encoder(torch.randn(1, 3, 64, 96))
    assert encoder.strides[-1] == output_stride
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert len(encoder.convention.mean) == len(encoder.convention.std) == 3


def test_input_convention_is_that_of_the_network():
    assert build_encoder("drn_d_22", 8, width=0.125).convention.mean == (0.485, 0.456, 0.406)
    assert build_encoder("mobilevit_xxs", 32).convention.mean == (
        0.0,
        0.0,
        0.0,
    )  # trained on images in [0, 1] as they are


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("drn_d_23", {}, "did you mean .*drn_d_22"),
        ("resnet81", {}, "did you mean .*resnet18"),
        ("drn_d_22", {"output_stride": 16}, "only has 8"),
        ("pvt_v2_b0", {"output_stride": 8}, "use output_stride 32"),
        ("hrnet_w18_small", {"output_stride": 16}, "use output_stride 32"),
        ("drn_d_22", {"pretrained": True}, "drn_d_22-4bd2f8ea.pth"),
        ("drn_d_24", {"pretrained": True}, "none is published"),
        ("drn_d_22", {"width": -1.0}, "positive factor"),
        ("resnet18", {"width": 0.5}, "use width 1.0"),
        ("vit_tiny_patch16_224", {"output_stride": 8}, "use output_stride 16"),
        ("vit_small_patch14_dinov2", {"output_stride": 16}, "use output_stride 14"),
        ("swin_tiny_patch4_window7_224", {"output_stride": 32}, "one fixed size"),
        ("beit_base_patch16_224", {"output_stride": 16}, "images of any size"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_way_out(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_encoder(name, **options)


def test_an_image_size_that_a_network_cannot_take_is_named():
    encoder = build_encoder("hrnet_w18_small", 32).eval()
    with pytest.raises(ValueError, match=r"65 x 97 pixels .* multiples of 32"):
        encoder(torch.zeros(1, 3, 65, 97))


@pytest.mark.parametrize(("name", "channels", "stride"), [("linear", 32, 16), ("aspp", 256, 16), ("fpn", 256, 4)])
def test_decoders_give_one_map_at_their_resolution(name, channels, stride):
    torch.manual_seed(0)
    widths, strides = (8, 12, 16, 24, 32), (2, 4, 8, 16, 16)
    maps = [
        torch.randn(2, c, -(-50 // s), -(-70 // s), requires_grad=True) for c, s in zip(widths, strides, strict=True)
    ]
    decoder = build_decoder(name, widths, strides)
    features = decoder(maps)
    assert decoder.channels == channels
    assert tuple(features.shape) == (2, channels, -(-50 // stride), -(-70 // stride))
    features.sum().backward()
    assert maps[-1].grad is not None


def test_linear_decoder_is_the_last_map_itself():
    maps = [torch.zeros(1, 2, 8, 8), torch.ones(1, 3, 4, 4)]
    assert build_decoder("linear", (2, 3), (4, 8))(maps) is maps[-1]


def test_pyramid_uses_no_map_finer_than_stride_four():
    decoder = build_decoder("fpn", (2, 3, 4), (2, 4, 8))
    maps = [torch.full((1, 2, 16, 16), torch.nan), torch.ones(1, 3, 8, 8), torch.ones(1, 4, 4, 4)]
    assert decoder(maps).isfinite().all()


@pytest.mark.parametrize(("stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
def test_atrous_rates_cover_the_same_pixels_at_every_stride(stride, rates):
    decoder = build_decoder("aspp", (8,), (stride,))
    found = [m.dilation[0] for m in decoder.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert [rate for rate in found if rate > 1] == rates


def test_unknown_decoder_is_refused():
    with pytest.raises(ValueError, match="linear, aspp, mlp, fpn, dpt or aspp_sum"):
        build_decoder("unet", (8,), (8,))
