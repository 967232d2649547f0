"""The fast network against the plain one: responses, gradients, parameters."""

import pytest
import torch
import torch.nn.functional as F

from semiverse.clustering import Network
from semiverse.clustering import network as rows
from semiverse.clustering.network import cross_entropy
from tests.clustering.plain import PlainNetwork


def pair(channels, layers):
    torch.manual_seed(3)
    plain = PlainNetwork(channels, layers).double()
    torch.manual_seed(3)
    ours = Network(channels, layers).double()
    return plain, ours


def parameters(plain):
    """Those of the plain network in the order of ours."""
    for convolution, norm in zip([*plain.convolutions, plain.last], [*plain.norms, plain.last_norm], strict=True):
        yield from (convolution.weight, convolution.bias, norm.weight, norm.bias)


def test_parameters_are_as_many_as_published_and_the_same_after_a_seed():
    assert sum(parameter.numel() for parameter in Network().parameters()) == 103_600
    plain, ours = pair(100, 2)
    assert all(torch.equal(a, b) for a, b in zip(parameters(plain), ours.parameters(), strict=True))


@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_responses_loss_and_gradients_are_those_of_the_plain_network(layers, block, monkeypatch):
    monkeypatch.setitem(rows._ROWS, "cpu", block)
    plain, ours = pair(6, layers)
    generator = torch.Generator().manual_seed(0)
    for network in (plain, ours):  # not the first weights of normalisation, which hide errors
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.data.copy_(torch.linspace(0.5, 1.5, len(parameter)))
    image = torch.rand(1, 3, 9, 11, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 6, (99,), generator=generator)
    expected, found = plain(image), ours(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    loss, slow = cross_entropy(found, labels), F.cross_entropy(expected, labels)
    torch.testing.assert_close(loss, slow, rtol=1e-12, atol=0)
    slow.backward()
    (3 * loss).backward()
    for mine, reference in zip(ours.parameters(), parameters(plain), strict=True):
        torch.testing.assert_close(mine.grad, 3 * reference.grad, rtol=1e-8, atol=1e-10)


def test_image_of_one_colour_has_no_variance_to_divide_by():
    network = Network(5, 1)
    responses = network(torch.full((1, 3, 1, 1), 0.4))
    torch.testing.assert_close(responses, torch.zeros(1, 5))
    cross_entropy(responses, torch.tensor([2])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_half_precision_is_only_that_of_the_convolutions():
    network = Network(20, 2)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    exact, coarse = network(image), network(image.bfloat16())
    assert coarse.dtype == torch.float32
    assert (coarse - exact).square().mean().sqrt() < 0.05
    coarse.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())
