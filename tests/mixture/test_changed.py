"""Domains with other values, and mixtures that learn from pseudo-labels as well."""

from pathlib import Path

import numpy as np

from semiverse.datasets import Folder, SyntheticRooms, SyntheticStreets
from semiverse.mixture import Domain, DomainMixture
from tests.fakes.basic import SIZE, write_mask, write_photo


def test_a_dataset_that_divided_itself_stays_divided(tmp_path):
    for i in range(6):
        write_photo(tmp_path / "images" / f"{i}.png", i)
        write_mask(tmp_path / "masks" / f"{i}.png", np.zeros(SIZE))
    domain = Domain(Folder(tmp_path, ["a", "b"]))
    ids = [record.id for record in domain.dataset.subset("all")]
    domain.divide_as({"train": ids[:2], "val": ids[2:], "rule": "by hand"})
    other = domain.changed(exclude_labeled=True)
    assert other.exclude_labeled and not domain.exclude_labeled
    assert other.held_out == domain.held_out


def test_pseudolabels_change_nothing_else_of_a_mixture():
    size = {"images": 6, "val_images": 2, "size": (32, 48)}
    domains = {
        "streets": Domain(SyntheticStreets(**size), labeled=4),
        "rooms": Domain(SyntheticRooms(**size), labeled=3),
    }
    data = DomainMixture(domains, batch_size=2, workers=0, seed=3)
    other = data.with_pseudolabels({"rooms": Path("labels")})
    assert other.domains["rooms"].pseudolabels == Path("labels") and data.domains["rooms"].pseudolabels is None
    assert other.domains["streets"] is data.domains["streets"]
    assert other.labeled == data.labeled and other.seed == 3
