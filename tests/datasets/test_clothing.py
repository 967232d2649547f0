"""Clothing Co-Parsing: its background, its lists, its files."""

import re

import numpy as np
import pytest
from scipy.io import savemat

from semiverse.datasets import ClothingCoParsing
from semiverse.datasets.clothing import CLASSES
from semiverse.labels import IGNORE
from tests.datasets.test_contract import data_folder
from tests.fakes.clothing import write_clothing


def names(split):
    return ClothingCoParsing.lists[split].read_text().split()


def test_the_lists_divide_500_annotated_photographs():
    train, val = names("train400"), names("val100")
    assert (len(train), len(val)) == (400, 100)
    assert len(set(train) | set(val)) == 500
    assert all(int(name) <= 1004 for name in train + val)


@pytest.mark.slow
@pytest.mark.data
def test_both_lists_show_the_same_53_classes():
    folder = data_folder() / "clothing-co-parsing"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set SEMIVERSE_DATA to the folder that holds the datasets")
    dataset = ClothingCoParsing(folder)
    train, val = (
        {value for record in dataset.subset(split) for value in dataset.read_mask(record.mask).unique().tolist()}
        for split in ("train400", "val100")
    )
    assert train == val and len(val) == 53


@pytest.mark.parametrize("outfit", [("0312", "0398"), ("0907", "0990")])
def test_photographs_of_one_outfit_stay_on_one_side(outfit):
    assert set(outfit) <= set(names("train400")) or set(outfit) <= set(names("val100"))


def test_every_class_has_a_colour_of_its_own():
    assert len(set(ClothingCoParsing.labels.palette)) == len(CLASSES) == 59


def test_an_ignored_background_leaves_58_classes_of_the_same_colours(tmp_path):
    dataset = ClothingCoParsing(tmp_path, background="ignore")
    assert dataset.labels.classes == CLASSES[1:]
    assert dataset.labels.palette == ClothingCoParsing.labels.palette[1:]
    assert dataset.labels.name != ClothingCoParsing.labels.name


def test_the_background_becomes_ignore_and_classes_move_up_by_one(tmp_path):
    savemat(tmp_path / "0001.mat", {"groundtruth": np.array([[0, 1], [14, 58]], dtype=np.uint8)})
    read = {kind: ClothingCoParsing(tmp_path, kind).read_mask(tmp_path / "0001.mat") for kind in ("class", "ignore")}
    assert read["class"].tolist() == [[0, 1], [14, 58]]
    assert read["ignore"].tolist() == [[IGNORE, 0], [13, 57]]
    assert ClothingCoParsing(tmp_path, "ignore").labels.classes[13] == CLASSES[14] == "dress"


def test_any_other_background_is_refused(tmp_path):
    with pytest.raises(ValueError, match="background: null; expected class or ignore"):
        ClothingCoParsing(tmp_path, background="null")


def test_a_value_that_is_no_class_is_named_with_its_pixel(tmp_path):
    savemat(tmp_path / "0001.mat", {"groundtruth": np.array([[0, 1, 2], [3, 4, 59]], dtype=np.uint8)})
    with pytest.raises(ValueError, match=r"0001\.mat: .*59 at pixel \(x=2, y=1\).*expected 0 to 58"):
        ClothingCoParsing(tmp_path).read_mask(tmp_path / "0001.mat")


@pytest.mark.parametrize(
    "content", [{"tags": np.eye(3)}, {"groundtruth": np.ones((2, 3, 3))}, {"groundtruth": "dress"}]
)
def test_a_file_without_a_matrix_of_classes_is_refused(tmp_path, content):
    savemat(tmp_path / "0001.mat", content)
    with pytest.raises(ValueError, match=r"0001\.mat: no matrix 'groundtruth'; expected class numbers"):
        ClothingCoParsing(tmp_path).read_mask(tmp_path / "0001.mat")


def test_a_damaged_file_is_named(tmp_path):
    dataset, _ = write_clothing(tmp_path)
    file = dataset.subset("annotated")[0].mask
    file.write_bytes(file.read_bytes()[:150])
    with pytest.raises(ValueError, match=re.escape(file.name)):
        dataset.read(dataset.subset("annotated")[0])


def test_a_photograph_that_is_not_the_owners_is_named(tmp_path):
    dataset, _ = write_clothing(tmp_path)
    (tmp_path / "photos" / "2098.jpg").rename(tmp_path / "photos" / "me.jpg")
    with pytest.raises(ValueError, match=r"me\.jpg: the name is no number; expected the owner's names"):
        dataset.subset("unlabeled")


def test_annotated_photographs_alone_leave_no_unlabelled_ones(tmp_path):
    dataset, _ = write_clothing(tmp_path)
    for record in dataset.subset("unlabeled"):
        record.image.unlink()
    assert dataset.subset("unlabeled") == []
    assert len(dataset.subset("all")) == 3
