"""BSDS500: what people drew."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from semiverse.datasets import BSDS500
from semiverse.labels import IGNORE, LabelSpace
from tests.fakes.basic import THREE
from tests.fakes.clothing import borders, stripes, write_bsds500


@pytest.mark.parametrize("outer", ["BSDS500/data", "data", ""])
@pytest.mark.parametrize("people", [1, 2, 3])
def test_the_regions_of_every_person_keep_their_numbers(tmp_path, outer, people):
    dataset, _ = write_bsds500(tmp_path, outer, people)
    drawn = dataset.segmentations(dataset.subset("test")[1])
    assert len(drawn) == people
    for person, regions in enumerate(drawn):
        assert regions.dtype == torch.int32
        assert regions.tolist() == stripes(person + 2).tolist()
        assert regions.unique().tolist() == list(range(1, person + 3))


def test_boundaries_are_true_where_the_file_has_a_one(tmp_path):
    dataset, _ = write_bsds500(tmp_path)
    first, second = dataset.boundaries(dataset.subset("val")[0])
    assert first.dtype == torch.bool
    assert first.sum() == 12 and second.sum() == 24
    assert torch.equal(second, torch.from_numpy(borders(stripes(3)).astype(bool)))


def test_more_than_255_regions_are_told_apart(tmp_path):
    dataset, _ = write_bsds500(tmp_path)
    record = dataset.subset("train")[0]
    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = {"Segmentation": np.arange(1, 301, dtype=np.uint16).reshape(15, 20), "Boundaries": np.zeros((15, 20))}
    savemat(tmp_path / "BSDS500/data/groundTruth/train" / f"{record.id}.mat", {"groundTruth": cells})
    assert dataset.segmentations(record)[0].flatten().tolist() == list(range(1, 301))


def test_images_help_a_domain_with_its_label_space_or_stand_alone(tmp_path):
    dataset, _ = write_bsds500(tmp_path, labels=LabelSpace("three", THREE))
    assert dataset.labels == LabelSpace("three", THREE)
    alone = BSDS500(tmp_path)
    assert len(alone.labels) == 1
    assert (alone.read(alone.subset("val")[0])[1] == IGNORE).all()


def test_a_missing_file_of_regions_is_named(tmp_path):
    dataset, _ = write_bsds500(tmp_path)
    record = dataset.subset("val")[0]
    (tmp_path / "BSDS500/data/groundTruth/val" / f"{record.id}.mat").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{record.id}\.mat"):
        dataset.segmentations(record)


@pytest.mark.parametrize("content", [{"other": 1}, {"groundTruth": "sketch"}, {"groundTruth": {"Segmentation": 7}}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    dataset, _ = write_bsds500(tmp_path)
    record = dataset.subset("val")[0]
    savemat(tmp_path / "BSDS500/data/groundTruth/val" / f"{record.id}.mat", content)
    with pytest.raises(ValueError, match=rf"{record.id}\.mat: no cell array 'groundTruth'.*'Segmentation'; expected"):
        dataset.segmentations(record)


def test_a_folder_without_images_is_named_in_the_owners_layout(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"BSDS500.data.images.val: no such folder"):
        BSDS500(tmp_path).subset("val")
