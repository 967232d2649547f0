"""A hundred domains in one training."""

import pytest

from semiverse import train
from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.methods import Consistency
from semiverse.mixture import Domain, DomainMixture
from semiverse.models import ModelConfig, SegmentationModel


@pytest.mark.slow
def test_a_hundred_domains_train_a_step_in_one_process(tmp_path):
    kinds = (SyntheticRooms, SyntheticStreets)
    domains = {
        f"domain{number}": Domain(kinds[number % 2](images=2, val_images=1, size=(16, 16)), 1, val=None)
        for number in range(100)
    }
    data = DomainMixture(domains, batch_size=1, workers=0)
    tiny = ModelConfig(encoder="drn_d_22", width=0.0625)
    run = train(data, Consistency, tiny, {"max_steps": 1, "accelerator": "cpu"}, tmp_path / "run", check=False)
    assert len(SegmentationModel.load(run).label_spaces) == 100
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2
