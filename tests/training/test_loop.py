"""How a method is brought to its device."""

import pytest
import torch
from lightning_fabric import Fabric

from semiverse.labels import LabelSpace
from semiverse.methods import Supervised
from semiverse.models import ModelConfig, SegmentationModel
from semiverse.training.loop import place


@pytest.mark.parametrize(
    ("encoder", "precision", "last"),
    [
        ("tf_efficientnet_lite0", "32-true", True),
        ("tf_efficientnet_lite0", "bf16-mixed", True),
        ("drn_d_22", "32-true", False),
        ("drn_d_22", "bf16-mixed", True),
    ],
)
def test_channels_come_last_where_that_is_quicker(encoder, precision, last):
    width = {"width": 0.0625} if encoder == "drn_d_22" else {}
    model = SegmentationModel(
        ModelConfig(encoder, pretrained=False, **width), {"one": LabelSpace("three", ("a", "b", "c"))}
    )
    place(Fabric(accelerator="cpu", devices=1, precision=precision), Supervised(model))
    kernels = [p for p in model.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) == last for kernel in kernels)
