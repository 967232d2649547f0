"""SUN RGB-D: its table, its two layouts, and what is said where files are missing."""

import h5py
import numpy as np
import pytest
import torch

from semiverse.data import survey
from semiverse.datasets import SUNRGBD
from semiverse.labels import IGNORE
from tests.fakes import write_mask
from tests.fakes.indoor import FRAMES, NAMES_40, write_matlab5, write_matlab73, write_sunrgbd, write_sunrgbd_repackaged

SEG = "SUNRGBDtoolbox/Metadata/SUNRGBD2Dseg.mat"


def test_the_classes_are_the_first_37_of_nyu_in_distinct_colours():
    assert SUNRGBD.labels.classes == tuple(NAMES_40[:37])
    assert len(set(SUNRGBD.labels.palette)) == 37
    by_name = dict(zip(SUNRGBD.labels.classes, SUNRGBD.labels.palette, strict=True))
    assert by_name["wall"] == (119, 119, 119)
    assert by_name["fridge"] == (152, 163, 55)
    assert by_name["tv"] == (192, 79, 212)
    assert by_name["bag"] == (12, 83, 45)


def test_lists_of_the_repackaged_tree_divide_the_test_images(tmp_path):
    dataset, masks = write_sunrgbd_repackaged(tmp_path)
    assert [record.id for record in dataset.subset("val")] == ["test/img-000003"]
    assert [record.id for record in dataset.subset("test4575")] == ["test/img-000001", "test/img-000002"]
    _, mask = dataset.read(dataset.subset("val")[0])
    assert np.array_equal(mask.numpy(), masks["test"]["test/img-000003"])
    assert SUNRGBD.image_counts["val"] + SUNRGBD.image_counts["test4575"] == SUNRGBD.image_counts["test"]


def test_the_owners_archives_have_no_such_lists(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"val37.txt: no such list"):
        write_sunrgbd(tmp_path).dataset.subset("val")


def test_entries_of_the_large_file_are_read_by_the_number_of_the_frame_in_the_metadata(tmp_path):
    dataset, _ = write_sunrgbd(tmp_path)
    record = dataset.subset("train")[1]
    assert record.id == "kv1/NYUdata/NYU0001"
    assert record.image == tmp_path / "SUNRGBD" / "kv1/NYUdata/NYU0001/image/0000000.jpg"
    assert record.mask == tmp_path / SEG / "1"
    with h5py.File(tmp_path / SEG) as file:
        stored = file[file["SUNRGBD2Dseg/seglabel"][0, 0]][()]
    assert dataset.read_mask(record.mask)[2, 5] == (stored[5, 2] - 1 if stored[5, 2] else IGNORE)


def test_a_single_frame_in_a_list_is_still_a_list(tmp_path):
    dataset, _ = write_sunrgbd(tmp_path)
    path = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    write_matlab5(path, {"alltrain": ["/n/fs/sun3d/data//SUNRGBD/" + FRAMES["test"][0] + "/"], "alltest": ["x"]})
    assert [record.id for record in dataset.subset("train")] == [FRAMES["test"][0]]


def test_images_that_a_list_names_and_nobody_unpacked_are_counted(tmp_path):
    dataset, _ = write_sunrgbd(tmp_path)
    dataset.subset("train")[1].image.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 3 images of train do not exist.*kv1/NYUdata/NYU0001.*unpack"):
        dataset.subset("train")


@pytest.mark.parametrize("name", ["SUNRGBD2Dseg.mat", "SUNRGBDMeta.mat", "allsplit.mat"])
def test_a_missing_file_of_the_toolbox_is_named(tmp_path, name):
    dataset, _ = write_sunrgbd(tmp_path)
    next((tmp_path / "SUNRGBDtoolbox").rglob(name)).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: no such file"):
        dataset.subset("train")


def test_a_folder_with_neither_layout_is_refused_with_both(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither SUNRGBDtoolbox/ nor train37.txt"):
        SUNRGBD(tmp_path).subset("train")


def test_a_value_beyond_37_is_a_problem_that_names_the_entry(tmp_path):
    dataset, _ = write_sunrgbd(tmp_path)
    raw = np.zeros((12, 16), dtype=np.uint8)
    raw[3, 7] = 38
    write_matlab73(tmp_path / SEG, {"SUNRGBD2Dseg": [{"seglabel": raw}] * 5})
    contents = survey(dataset, dataset.subset("train"), "sunrgbd train")
    assert r"SUNRGBD2Dseg.mat/5: mask value 38 at pixel (x=7, y=3)" in str(contents[2].problem)


def test_unlabelled_pixels_and_the_last_class_of_the_repackaged_tree(tmp_path):
    path = write_mask(tmp_path / "00000001.png", [[0, 1, 37]])
    assert torch.equal(SUNRGBD(tmp_path).read_mask(path), torch.tensor([[IGNORE, 0, 36]], dtype=torch.uint8))
