"""Depthwise convolutions whose gradients are formed by the kernels that are quick."""

import copy

import pytest
import torch
from torch import nn

from semiverse.models.depthwise import DepthwiseConv2d, convert_depthwise, quicker_with_channels_last
from semiverse.models.encoder import build_encoder

conv2d_same = pytest.importorskip("timm.layers.conv2d_same")


def layers():
    torch.manual_seed(0)
    for size, stride, dilation in ((3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (7, 1, 1), (3, 1, 2), (5, 1, 2)):
        padding = dilation * (size // 2)
        yield nn.Conv2d(8, 8, size, stride, padding, dilation, groups=8, bias=False)
        yield nn.Conv2d(8, 8, size, stride, padding, dilation, groups=8)
        yield conv2d_same.Conv2dSame(8, 8, size, stride, 0, dilation, groups=8, bias=False)


def gradients(layer, x, autocast):
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = layer(x)
        goal = torch.linspace(-1, 1, out.numel()).view_as(out)
        (out.float() * goal).sum().backward()
    return out, x.grad, [p.grad for p in layer.parameters()]


@pytest.mark.parametrize("layer", layers(), ids=str)
@pytest.mark.parametrize("size", [(13, 17), (3, 4)], ids=str)
def test_values_are_those_of_the_layer_and_gradients_those_of_float32_rounded(layer, size):
    x = torch.rand(2, 8, *size, generator=torch.Generator().manual_seed(1))
    one, other, exact = DepthwiseConv2d(copy.deepcopy(layer)), copy.deepcopy(layer), copy.deepcopy(layer)
    out, of_x, of_weights = gradients(one, x, True)
    assert torch.equal(out, gradients(other, x, True)[0])
    _, of_x_32, of_weights_32 = gradients(exact, x, False)
    torch.testing.assert_close(of_x, of_x_32, rtol=2e-2, atol=2e-2)
    for found, expected in zip(of_weights, of_weights_32, strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))


@pytest.mark.parametrize("layer", layers(), ids=str)
def test_in_full_precision_and_without_gradients_it_is_the_layer(layer):
    x = torch.rand(2, 8, 13, 17)
    one = DepthwiseConv2d(copy.deepcopy(layer))
    out, of_x, of_weights = gradients(one, x, False)
    expected, expected_of_x, expected_of_weights = gradients(layer, x, False)
    assert torch.equal(out, expected)
    assert torch.equal(of_x, expected_of_x)
    torch.testing.assert_close(of_weights, expected_of_weights, rtol=1e-4, atol=1e-4)  # added up in another order
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(one(x), layer(x))


@pytest.mark.parametrize("size", [(3, 5), (5, 3), (1, 4), (4, 7)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3)], ids=str)
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)], ids=str)
def test_gradients_are_those_of_small_differences(size, stride, dilation):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 2, size, stride, (2, 1), dilation, groups=2, dtype=torch.float64)
    one = DepthwiseConv2d(layer)
    x = torch.rand(2, 2, 9, 19, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(one, (x,))
    weight, bias = (p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))

    def of_parameters(weight, bias):
        return torch.func.functional_call(one, {"weight": weight, "bias": bias}, (x.detach(),))

    assert torch.autograd.gradcheck(of_parameters, (weight, bias))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_gradient_of_one_image_is_its_share_of_the_batch(autocast, channels_last):
    torch.manual_seed(0)
    one = DepthwiseConv2d(nn.Conv2d(16, 16, 5, 2, 2, groups=16))
    x = torch.rand(3, 16, 20, 24)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    together = gradients(one, x, autocast)[1]
    assert together.is_contiguous(memory_format=torch.channels_last) == channels_last
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = one(leaf)
        goal = torch.linspace(-1, 1, out.numel()).view_as(out)
        (out[1].float() * goal[1]).sum().backward()
    assert not leaf.grad[[0, 2]].any()
    torch.testing.assert_close(leaf.grad[1], together[1])


def test_layers_that_stand_still_get_no_gradient():
    one = DepthwiseConv2d(nn.Conv2d(4, 4, 5, padding=2, groups=4)).requires_grad_(False)
    x = torch.rand(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        one(x).float().sum().backward()
    assert x.grad is not None
    assert one.weight.grad is None
    one.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        one(x.detach()).float().sum().backward()
    assert one.weight.grad.dtype == torch.float32
    torch.testing.assert_close(one.bias.grad, torch.full((4,), 64.0))


def test_paddings_that_are_no_numbers_of_cells_stay_with_torch():
    block = nn.Sequential(nn.Conv2d(4, 4, 5, padding="same", groups=4))
    block.append(nn.Conv2d(4, 4, 5, padding=2, padding_mode="reflect", groups=4))
    convert_depthwise(block)
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.Conv2d]


def test_only_depthwise_layers_are_replaced_and_names_stay():
    names = list(build_encoder("tf_efficientnet_lite0", 32).state_dict())
    block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, groups=2))
    block.append(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(4, 8, 3, groups=4)))
    convert_depthwise(block)
    kinds = [type(module) for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert kinds == [nn.Conv2d, DepthwiseConv2d, nn.Conv2d, nn.Conv2d, nn.Conv2d]
    assert "network.blocks.1.0.conv_dw.weight" in names


def test_channels_last_are_for_depthwise_networks_whose_gradients_are_safe():
    """oneDNN's issue 6035: strided 1 x 1 convolutions of few input channels end in a crash with channels last."""
    depthwise = DepthwiseConv2d(nn.Conv2d(8, 8, 3, padding=1, groups=8))
    assert quicker_with_channels_last(nn.Sequential(nn.Conv2d(3, 8, 1), depthwise))
    assert quicker_with_channels_last(nn.Sequential(depthwise, nn.Conv2d(16, 32, 1, stride=2)))
    assert not quicker_with_channels_last(nn.Sequential(depthwise, nn.Conv2d(8, 32, 1, stride=2)))
    assert not quicker_with_channels_last(nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1)))
    assert quicker_with_channels_last(build_encoder("tf_efficientnet_lite0", 32))
    assert not quicker_with_channels_last(build_encoder("drn_d_22", width=0.0625))
