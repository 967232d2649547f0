"""GTA5: palette indices, and frames whose label has another size."""

import numpy as np
import pytest
import torch

from semiverse.datasets import GTA5
from semiverse.labels import IGNORE
from tests.fakes.basic import draw, write_mask, write_photo
from tests.fakes.driving import write_gta5


def test_indices_count_and_not_the_colours_that_they_show(tmp_path):
    path = write_mask(tmp_path / "a.png", [[7, 26, 0, 34, 200]], mode="P", palette=[90] * 768)
    assert GTA5(tmp_path).read_mask(path).tolist() == [[0, 13, IGNORE, IGNORE, IGNORE]]


def test_labels_that_lost_their_indices_are_refused(tmp_path):
    path = write_mask(tmp_path / "a.png", np.full((4, 4, 3), 128))
    with pytest.raises(ValueError, match="RGB colours; expected class ids as a palette image's indices"):
        GTA5(tmp_path).read_mask(path)


def test_a_label_of_another_size_is_brought_to_the_size_of_its_image(tmp_path):
    dataset, _ = write_gta5(tmp_path)
    raw = draw(1, [7, 26], size=(6, 8))
    write_mask(tmp_path / "labels" / "00001.png", raw, mode="P")
    image, mask = dataset.read(dataset.records("train")[0])
    assert image.shape == (3, 12, 16)
    doubled = np.where(raw == 7, 0, 13).repeat(2, axis=0).repeat(2, axis=1)
    assert mask.dtype == torch.uint8
    np.testing.assert_array_equal(mask.numpy(), doubled)


def test_a_frame_without_mask_is_unlabelled(tmp_path):
    dataset, _ = write_gta5(tmp_path)
    image, mask = dataset.read(dataset.records("train")[0]._replace(mask=None))
    assert mask.shape == image.shape[1:]
    assert mask.unique().tolist() == [IGNORE]


def test_other_divisions_are_read_from_list_files(tmp_path):
    dataset, _ = write_gta5(tmp_path)
    (tmp_path / "val.txt").write_text("00003.png\n00001.png\n")
    assert [record.id for record in dataset.subset("val.txt")] == ["00003", "00001"]


def test_a_frame_whose_label_is_missing_is_named(tmp_path):
    dataset, _ = write_gta5(tmp_path)
    write_photo(tmp_path / "images" / "00004.png")
    with pytest.raises(FileNotFoundError, match=r"no mask for 1 of 4 images, first: .*00004.png"):
        dataset.records("train")
