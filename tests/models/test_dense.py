"""Dense convolutions whose weights' gradients are formed by matrix products, some rows at a time."""

import copy
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from semiverse.models import dense
from semiverse.models.dense import DenseConv2d, convert_dense, dense_convolution

LAYER = nn.Conv2d(32, 32, 3, padding=1)
QUICK, Geometry = dense._ByQuickKernels.apply, dense._Geometry


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 3), (5, 2)], ids=str)
@pytest.mark.parametrize(
    "geometry", [Geometry((1, 1)), Geometry(), Geometry((0, 2), (1, 2)), Geometry((7, 3), (2, 1))], ids=str
)
@pytest.mark.parametrize("size", [(9, 6), (12, 7)], ids=str)
@pytest.mark.parametrize("pixels", [1, 30, 1000])
def test_gradients_are_those_of_torch(pixels, size, geometry, kernel, bias):
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, *size, generator=draw, dtype=torch.float64).to(memory_format=torch.channels_last)
    weight = torch.rand(4, 3, *kernel, generator=draw, dtype=torch.float64).to(memory_format=torch.channels_last)
    given = [x, weight, torch.rand(4, generator=draw, dtype=torch.float64)][: 3 if bias else 2]
    given = [tensor.requires_grad_() for tensor in given]
    with patch.object(dense, "PIXELS", pixels):  # rows one by one, several parts, or all together
        found = QUICK(*given[:2], given[2] if bias else None, geometry)
        expected = F.conv2d(*given[:2], given[2] if bias else None, 1, *geometry)
        slope = torch.rand(expected.shape, generator=draw, dtype=torch.float64)
        assert torch.equal(found, expected)
        ours, torchs = torch.autograd.grad(found, given, slope), torch.autograd.grad(expected, given, slope)
    torch.testing.assert_close(ours, torchs)


def test_parts_that_see_nothing_but_zeros_add_nothing():
    x, weight = torch.ones(1, 1, 2, 3), torch.ones(1, 1, 1, 1, requires_grad=True)
    with patch.object(dense, "PIXELS", 1):
        QUICK(x, weight, None, Geometry((4, 0))).sum().backward()
    assert weight.grad.item() == 6


def test_only_what_is_asked_for_is_formed():
    x, weight = torch.rand(1, 2, 5, 5, requires_grad=True), torch.rand(3, 2, 3, 3)
    QUICK(x, weight, None, Geometry((1, 1))).sum().backward()
    assert x.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_a_large_map_with_channels_last_goes_the_quick_way_where_the_other_is_slow(capability):
    large = torch.rand(1, 32, 65, 64).to(memory_format=torch.channels_last)
    weight = torch.rand(32, 32, 3, 3, requires_grad=True)
    with patch.object(torch.backends.cpu, "get_cpu_capability", lambda: capability):
        ways = [
            type(dense_convolution(x, w, None, LAYER).grad_fn).__name__
            for x, w in (
                (large, weight),
                (large.contiguous(), weight),
                (large[:, :, :64], weight),
                (large, weight[:31]),
                (large, weight[:, :, :1, :1]),
                (large.double(), weight.double()),
            )
        ]
        with torch.no_grad():
            assert torch.equal(dense_convolution(large, weight, None, LAYER), F.conv2d(large, weight, padding=1))
        with torch.autocast("cpu", torch.bfloat16):
            ways.append(type(dense_convolution(large, weight, None, LAYER).grad_fn).__name__)
    quick, *others = (way == "_ByQuickKernelsBackward" for way in ways)
    assert quick == (capability == "AVX2")
    assert not any(others)


def test_layers_of_stride_one_are_replaced_and_nothing_else():
    block = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Sequential(nn.Conv2d(8, 4, 5, bias=False)),
    )
    x, before = torch.rand(2, 4, 24, 24), copy.deepcopy(block)
    convert_dense(block)
    assert [type(layer) for layer in block[:-1]] == [DenseConv2d] + 5 * [nn.Conv2d]
    assert type(block[-1][0]) is DenseConv2d
    assert block.state_dict().keys() == before.state_dict().keys()
    assert torch.equal(block(x), before(x))
    assert torch.equal(copy.deepcopy(block)(x), before(x))
