"""The discriminator against the facts of the published one."""

import pytest
import torch
import torch.nn.functional as F

from semiverse.models import Discriminator


def on_meta(classes: int) -> Discriminator:
    with torch.device("meta"):
        return Discriminator(classes)


@pytest.mark.parametrize(("classes", "count"), [(21, 2_783_169), (19, 2_781_121)])
def test_parameter_count_is_that_of_the_public_network(classes, count):
    assert sum(p.numel() for p in on_meta(classes).parameters()) == count


@pytest.mark.parametrize(
    ("size", "judgements"),
    [((321, 321), (10, 10)), ((505, 505), (15, 15)), ((512, 1024), (16, 32)), ((720, 1280), (22, 40))],
)
def test_a_judgement_covers_32_pixels(size, judgements):
    maps = torch.empty(2, 19, *size, device="meta")
    assert tuple(on_meta(19)(maps).shape) == (2, 1, *judgements)


def test_published_names_and_shapes():
    shapes = {name: tuple(value.shape) for name, value in on_meta(21).state_dict().items()}
    weights = {"conv1": (64, 21), "conv2": (128, 64), "conv3": (256, 128), "conv4": (512, 256), "classifier": (1, 512)}
    expected = {f"{name}.weight": (*shape, 4, 4) for name, shape in weights.items()}
    assert shapes == expected | {f"{name}.bias": (shape[0],) for name, shape in weights.items()}


def test_logits_are_those_of_convolutions_with_leaky_units_in_between():
    torch.manual_seed(0)
    network = Discriminator(3, channels=4).double()
    maps = torch.randn(2, 3, 40, 65, dtype=torch.float64).softmax(1)
    x = maps
    for name in ("conv1", "conv2", "conv3", "conv4", "classifier"):
        layer = network.get_submodule(name)
        x = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
        x = x if name == "classifier" else torch.maximum(x, 0.2 * x)
    torch.testing.assert_close(network(maps), x)


@pytest.mark.parametrize("size", [(31, 64), (64, 16)])
def test_maps_smaller_than_a_judgement_are_refused(size):
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} pixels; expected 32 or more .* use larger crops"):
        on_meta(3)(torch.empty(1, 3, *size, device="meta"))


def test_smallest_map_gives_one_judgement():
    assert tuple(on_meta(3)(torch.empty(1, 3, 32, 32, device="meta")).shape) == (1, 1, 1, 1)
