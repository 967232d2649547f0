"""One small model of two domains for all tests of the service."""

import pytest
import torch

from semiverse.inference.predictor import Predictor
from semiverse.labels import LabelSpace
from semiverse.models import ModelConfig, SegmentationModel

SPACES = {
    "yard": LabelSpace("yard", ("ground", "fence", "machine")),
    "street": LabelSpace("street", ("road", "sky")),
}


@pytest.fixture(scope="session")
def model():
    torch.manual_seed(0)
    return SegmentationModel(ModelConfig("drn_d_22", width=0.125, pretrained=False), SPACES).eval()


@pytest.fixture(scope="session")
def predictor(model):
    return Predictor(model)
