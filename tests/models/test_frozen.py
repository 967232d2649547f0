"""Frozen stages: which parameters they hold, and that neither these nor their statistics move."""

from dataclasses import replace

import pytest
import torch

from semiverse.labels import LabelSpace
from semiverse.methods import Consistency, Supervised
from semiverse.models import ModelConfig, SegmentationModel, build_encoder
from tests.methods.worlds import TINY, learner, take_step

SPACES = {"city": LabelSpace("streets", ("road", "car")), "home": LabelSpace("rooms", ("bed", "floor", "wall"))}
NETWORKS = {
    "drn_d_22": ModelConfig("drn_d_22", width=1 / 16),
    "drn_a_18": ModelConfig("drn_a_18", width=1 / 16),
    "deeplab": ModelConfig("deeplab_resnet101", width=1 / 32),
    "resnet": ModelConfig("resnet18", pretrained=False),
    "lite": ModelConfig("tf_efficientnet_lite0", output_stride=32, pretrained=False),
    "convnext": ModelConfig("convnext_atto", output_stride=32, pretrained=False),
    "transformer": ModelConfig("test_vit", "dpt", 16, pretrained=False),
}


def standing(model: torch.nn.Module) -> set[str]:
    return {name for name, value in model.named_parameters() if not value.requires_grad}


def built(config: ModelConfig) -> SegmentationModel:
    torch.manual_seed(0)
    return SegmentationModel(config, SPACES)


@pytest.mark.parametrize(
    ("name", "stages", "level"),
    [("drn_d_22", 3, 1), ("drn_a_18", 1, 1), ("deeplab", 2, 1), ("resnet", 1, 1), ("resnet", 3, 3), ("lite", 2, 2),
     ("convnext", 1, 0), ("transformer", 1, 0), ("transformer", 3, 2)],
)  # fmt: skip
def test_what_a_map_is_made_by_is_frozen(name, stages, level):
    """What is frozen is what the map at the end of the last frozen stage depends on, apart from a norm behind it."""
    config = NETWORKS[name]
    encoder = build_encoder(config.encoder, config.chosen_stride, config.width)
    never = standing(encoder)
    encoder(torch.randn(2, 3, 64, 64))[level].sum().backward()
    expected = {name for name, value in encoder.named_parameters() if value.grad is not None} - {
        "network.norm.weight", "network.norm.bias"
    }  # fmt: skip
    found = standing(built(replace(config, frozen=stages)).networks["shared"].encoder)
    assert found - never == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_all_stages_are_the_whole_encoder(name):
    count = len(build_encoder(NETWORKS[name].encoder, NETWORKS[name].chosen_stride, NETWORKS[name].width).stages)
    model = built(replace(NETWORKS[name], frozen=count))
    encoder = model.networks["shared"].encoder
    assert standing(encoder) == {name for name, _ in encoder.named_parameters()}
    with pytest.raises(ValueError, match=f"frozen {count + 1}, and its encoder {count} stages"):
        built(replace(NETWORKS[name], frozen=count + 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_features_are_the_same_in_training_and_evaluation(name):
    model = built(replace(NETWORKS[name], frozen=1))
    encoder, images = model.networks["shared"].encoder, torch.randn(2, 3, 64, 64)
    (end,) = (module for name, module in encoder.named_modules() if name == encoder.stages[0])
    seen: list[torch.Tensor] = []
    end.register_forward_hook(lambda *call: seen.append(call[-1]))
    for mode in (True, False):
        model.train(mode)
        encoder(images)
    assert torch.equal(*seen)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Supervised, Consistency])
@pytest.mark.parametrize("config", [TINY, ModelConfig("resnet18", pretrained=False)], ids=["drn", "resnet"])
@pytest.mark.parametrize("separate", [False, True])
def test_a_step_moves_nothing_that_is_frozen(method, config, separate):
    learning = learner(method, config=replace(config, frozen=2, separate=separate)).train()
    model = learning.model
    frozen = standing(model)
    assert frozen
    still = {f"{name.rsplit('.', 1)[0]}.{kind}" for name in frozen for kind in ("running_mean", "running_var")} | frozen
    before = {name: value.clone() for name, value in model.state_dict().items()}
    going_on = take_step(learning, lr=0.1)
    given = {p for group in going_on.optimizers[0].param_groups for p in group["params"]}
    assert given == {value for name, value in model.named_parameters() if name not in frozen}
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved & still == set()
    encoders = [name for name in before if ".encoder." in name and name not in still and not name.endswith("bias")]
    assert encoders and set(encoders) <= moved


def test_frozen_stages_are_saved_and_stay_frozen(tmp_path):
    model = built(ModelConfig("drn_d_22", width=1 / 16, frozen=2))
    model.save(tmp_path / "model")
    loaded = SegmentationModel.load(tmp_path / "model")
    assert loaded.config.frozen == 2 and standing(loaded) == standing(model) != set()


def test_nothing_is_frozen_unless_asked_for_and_networks_of_several_branches_cannot_be():
    assert standing(built(ModelConfig("resnet18", pretrained=False))) == set()
    with pytest.raises(ValueError, match="frozen -1"):
        ModelConfig(frozen=-1)
    with pytest.raises(ValueError, match="its encoder 0 stages"):
        built(ModelConfig("hrnet_w18_small", output_stride=32, pretrained=False, frozen=1))
