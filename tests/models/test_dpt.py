"""The decoder of dense prediction transformers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from semiverse.models.dpt import DptDecoder


@pytest.mark.parametrize(("width", "features"), [(384, 64), (768, 128), (1024, 256)])
def test_features_are_as_wide_as_the_encoder_asks_for_at_a_quarter_of_its_stride(width, features):
    with torch.device("meta"):
        decoder = DptDecoder((width,) * 4, (14,) * 4)
        maps = [torch.zeros(2, width, 5, 7) for _ in range(4)]
        assert decoder.channels == features and tuple(decoder(maps).shape) == (2, features, 20, 28)


@pytest.mark.parametrize(("width", "inner"), [(384, [48, 96, 192, 384]), (1024, [256, 512, 1024, 1024])])
def test_reassembled_maps_are_as_wide_as_in_the_public_code(width, inner):
    with torch.device("meta"):
        decoder = DptDecoder((width,) * 4, (16,) * 4)
    assert [level[0].out_channels for level in decoder.reassembled] == inner


def test_parameters_are_those_of_the_public_code():
    """2,739,061 for 21 classes there, of which the head has 1,365, and a unit that nothing passes 73,856."""
    with torch.device("meta"):
        decoder = DptDecoder((384,) * 4, (14,) * 4)
    assert sum(p.numel() for p in decoder.parameters()) == 2_739_061 - 1_365 - 73_856


def test_every_map_and_every_parameter_counts():
    maps = [torch.randn(1, 16, 3, 4, requires_grad=True) for _ in range(4)]
    decoder = DptDecoder((16,) * 4, (16,) * 4)
    decoder(maps).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in (*maps, *decoder.parameters()))


def test_without_what_refines_it_is_a_sum_from_coarse_to_fine():
    decoder = DptDecoder((16,) * 4, (16,) * 4).double()
    maps = [torch.randn(1, 16, 3, 5, dtype=torch.float64) for _ in range(4)]
    with torch.no_grad():
        for fusion in decoder.fusions:
            nn.init.dirac_(fusion.projection.weight)
            nn.init.zeros_(fusion.projection.bias)
            for unit in filter(None, (fusion.skip, fusion.unit)):
                for parameter in unit.parameters():
                    parameter.zero_()
        nn.init.dirac_(decoder.output[0].weight)
        nn.init.zeros_(decoder.output[0].bias)
        levels = [level(one) for level, one in zip(decoder.reassembled, maps, strict=True)]
        assert [tuple(level.shape[-2:]) for level in levels] == [(12, 20), (6, 10), (3, 5), (2, 3)]
        total = levels[3]
        for level in reversed(levels[:3]):
            total = F.interpolate(total, size=level.shape[-2:], mode="bilinear") + level
        torch.testing.assert_close(decoder(maps), total.relu())


@pytest.mark.parametrize("strides", [(4, 8, 16, 32), (16, 16)])
def test_a_pyramid_is_refused(strides):
    with pytest.raises(ValueError, match=r"four of one stride.*use decoder mlp"):
        DptDecoder((8,) * len(strides), strides)
