"""Batch norm folded into convolutions."""

import copy

import pytest
import torch
from torch import nn

from semiverse.models import DomainBatchNorm2d, convert_batch_norm, fold_batch_norm, select_group
from semiverse.models.encoder import build_encoder


def shaken(network: nn.Module) -> nn.Module:
    """Statistics and scales that are not those of the identity."""
    draw = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight.data, layer.bias.data, layer.running_mean):
                values.add_(0.2 * torch.randn(values.shape, generator=draw))
            layer.running_var.mul_(0.5 + torch.rand(layer.running_var.shape, generator=draw))
    return network.eval()


@pytest.mark.parametrize(
    "name", ["drn_c_26", "drn_d_22", "deeplab_resnet101", "tf_efficientnet_lite0", "mobilenetv3_small_050"]
)
def test_folded_network_is_the_same_without_batch_norm(name):
    torch.manual_seed(0)
    own = name.startswith(("drn", "deeplab"))
    encoder = build_encoder(name, 8 if own else 32, 0.0625 if own else 1.0)
    network = convert_batch_norm(shaken(encoder), 2).double()
    for layer in network.modules():
        if isinstance(layer, DomainBatchNorm2d):
            layer.running_mean[1] += 0.1
    select_group(network, 1)
    folded = fold_batch_norm(copy.deepcopy(network), torch.zeros(1, 3, 32, 32, dtype=torch.float64))
    images = torch.rand(1, 3, 40, 48, dtype=torch.float64)
    with torch.no_grad():
        for one, other in zip(network(images), folded(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert not [layer for layer in folded.modules() if isinstance(layer, DomainBatchNorm2d)]
    assert [layer for layer in network.modules() if isinstance(layer, DomainBatchNorm2d)]


class Shortcut(nn.Module):
    """What a convolution gives is used beside the batch norm too, by another layer, or comes twice."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv, self.norm = way, nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv(x)
        if self.way == "beside":
            return self.norm(out) + out
        return self.norm(self.conv(out)) if self.way == "twice" else self.norm(out + x)


@pytest.mark.parametrize("way", ["beside", "twice", "sum"])
def test_what_cannot_be_folded_stays(way):
    network = convert_batch_norm(shaken(Shortcut(way)), 1)
    images = torch.rand(1, 3, 4, 4)
    expected = network(images)
    fold_batch_norm(network, torch.zeros(1, 3, 2, 2))
    assert isinstance(network.norm, DomainBatchNorm2d) and torch.equal(network(images), expected)
