"""Pascal VOC 2012: its palette, and how its sets and SBD's are joined."""

import shutil

import numpy as np
import pytest
import torch
from scipy.io import savemat

from semiverse.datasets import PascalVOC
from semiverse.labels import IGNORE
from tests.fakes import write_mask
from tests.fakes.objects import ONLY_SBD, SBD_LISTS, VOC_LISTS, write_voc

PALETTE = """
background 0,0,0; aeroplane 128,0,0; bicycle 0,128,0; bird 128,128,0; boat 0,0,128; bottle 128,0,128; bus 0,128,128;
car 128,128,128; cat 64,0,0; chair 192,0,0; cow 64,128,0; diningtable 192,128,0; dog 64,0,128; horse 192,0,128;
motorbike 64,128,128; person 192,128,128; pottedplant 0,64,0; sheep 128,64,0; sofa 0,192,0; train 128,192,0;
tvmonitor 0,64,128
"""
SBD = "benchmark_RELEASE/dataset"


def names(records):
    return [record.id for record in records]


def test_classes_and_colours_are_the_published_ones():
    entries = [entry.split() for entry in PALETTE.replace("\n", " ").split(";")]
    assert PascalVOC.labels.classes == tuple(name for name, _ in entries)
    assert PascalVOC.labels.palette == tuple(tuple(map(int, color.split(","))) for _, color in entries)


@pytest.mark.parametrize("further", ["sbd", "aug"])
def test_train_aug_is_everything_that_is_labelled_but_val(tmp_path, further):
    dataset, _ = write_voc(tmp_path, further)
    found = names(dataset.subset("train_aug"))
    union = {*VOC_LISTS["train"], *SBD_LISTS["train"], *SBD_LISTS["val"]}
    assert found == sorted(union - set(VOC_LISTS["val"]))
    assert not set(found) & set(names(dataset.subset("val")))
    assert names(dataset.subset("sbd")) == ONLY_SBD
    assert sorted(names(dataset.subset("all"))) == sorted({*found, *VOC_LISTS["val"]})


@pytest.mark.parametrize("further", ["sbd", "aug"])
def test_train_aug_has_the_masks_of_voc_where_there_are_any(tmp_path, further):
    dataset, masks = write_voc(tmp_path, further)
    wanted = masks["train"] | masks["sbd"]
    for record in dataset.subset("train_aug"):
        assert np.array_equal(dataset.read_mask(record.mask).numpy(), wanted[record.id])
    assert "2007_000039" in SBD_LISTS["train"]
    assert IGNORE in wanted["2007_000039"]


def test_trainval_is_both_lists_in_order(tmp_path):
    dataset, _ = write_voc(tmp_path)
    assert names(dataset.subset("trainval")) == ["2007_000032", "2007_000033", "2007_000039", "2007_000042"]


def test_split_counts_add_up():
    counts = PascalVOC.image_counts
    assert counts["train"] + counts["val"] == counts["trainval"]


def test_a_list_file_of_the_few_label_protocols_names_images_of_both_kinds(tmp_path):
    dataset, masks = write_voc(tmp_path, "sbd")
    lines = [f"JPEGImages/{name}.jpg SegmentationClass/{name}.png" for name in ("2008_000003", "2007_000032")]
    (tmp_path / "labeled.txt").write_text("\n".join(lines))
    records = dataset.subset(str(tmp_path / "labeled.txt"))
    assert names(records) == ["2008_000003", "2007_000032"]
    assert np.array_equal(dataset.read_mask(records[0].mask).numpy(), masks["sbd"]["2008_000003"])


def test_voc_alone_has_no_train_aug_and_says_what_it_takes(tmp_path):
    dataset, _ = write_voc(tmp_path)
    assert dataset.split_names() == ("train", "val")
    with pytest.raises(FileNotFoundError, match=r"neither .*SegmentationClassAug nor benchmark_RELEASE.*sbd_root"):
        dataset.subset("train_aug")


@pytest.mark.parametrize("given", ["elsewhere", "elsewhere/benchmark_RELEASE", "elsewhere/benchmark_RELEASE/dataset"])
def test_sbd_is_found_where_the_option_says(tmp_path, given):
    write_voc(tmp_path / "voc", "sbd")
    shutil.move(tmp_path / "voc" / "benchmark_RELEASE", tmp_path / "elsewhere" / "benchmark_RELEASE")
    with pytest.raises(FileNotFoundError, match="sbd_root"):
        PascalVOC(tmp_path / "voc").subset("train_aug")
    dataset = PascalVOC(tmp_path / "voc", sbd_root=tmp_path / given)
    assert names(dataset.subset("train_aug")) == sorted([*VOC_LISTS["train"], *ONLY_SBD])


@pytest.mark.parametrize("root", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_root_may_be_any_of_three_folders(tmp_path, root):
    write_voc(tmp_path, "sbd")
    dataset = PascalVOC(tmp_path / root)
    assert names(dataset.subset("train")) == VOC_LISTS["train"]
    assert names(dataset.subset("sbd")) == ONLY_SBD


def test_a_root_without_photographs_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder JPEGImages.*VOCdevkit/VOC2012/JPEGImages"):
        PascalVOC(tmp_path).subset("train")


def test_masks_of_sbd_that_are_missing_are_counted(tmp_path):
    dataset, _ = write_voc(tmp_path, "sbd")
    (tmp_path / SBD / "cls" / "2008_000003.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"no mask for 1 of 3 images.*2008_000003"):
        dataset.subset("train_aug")


def test_photographs_of_sbd_that_are_missing_are_counted(tmp_path):
    dataset, _ = write_voc(tmp_path, "sbd")
    (tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages" / "2008_000003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 3 images of sbd.*2008_000003"):
        dataset.subset("train_aug")


def test_the_boundary_of_voc_is_ignored(tmp_path):
    dataset, _ = write_voc(tmp_path)
    path = write_mask(tmp_path / "mask.png", [[0, 20, 255]], mode="P")
    assert torch.equal(dataset.read_mask(path), torch.tensor([[0, 20, IGNORE]], dtype=torch.uint8))


def test_a_value_that_sbd_does_not_have_is_refused(tmp_path):
    dataset, _ = write_voc(tmp_path)
    savemat(tmp_path / "a.mat", {"GTcls": {"Segmentation": np.array([[0, 1], [21, 2]], dtype=np.uint8)}})
    with pytest.raises(ValueError, match=r"a.mat: mask value 21 at pixel \(x=0, y=1\).*expected 0 to 20"):
        dataset.read_mask(tmp_path / "a.mat")
