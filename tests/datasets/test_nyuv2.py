"""NYU Depth V2: its tables, MATLAB's axes, and one file for several processes."""

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from semiverse.data import ResizeTransform, Resolution, Split, survey
from semiverse.datasets import SUNRGBD, NYUv2
from semiverse.labels import IGNORE
from tests.fakes.indoor import MEMBERS_13, NAMES_40, write_matlab5, write_nyuv2


def test_the_classes_are_the_published_ones():
    assert NYUv2("nowhere").labels.classes == tuple(NAMES_40)
    assert NYUv2("nowhere", 37).labels.classes == tuple(NAMES_40[:37])
    assert NYUv2("nowhere", 13).labels.classes == tuple(MEMBERS_13)
    assert [len(NYUv2("nowhere", count).labels) for count in (13, 37, 40)] == [13, 37, 40]
    assert all(len(set(NYUv2("nowhere", count).labels.palette)) == count for count in (13, 37, 40))


def test_the_37_classes_look_like_those_of_sun_rgbd_and_are_a_label_space_of_their_own():
    labels = NYUv2("nowhere", 37).labels
    assert labels.classes == SUNRGBD.labels.classes
    assert labels.palette == SUNRGBD.labels.palette
    assert labels != SUNRGBD.labels


@pytest.mark.parametrize("raw, in_40, in_37, in_13", [
    (0, None, None, None), (1, "wall", "wall", "wall"), (8, "door", "door", "wall"),
    (38, "otherstructure", None, "objects"), (39, "otherfurniture", None, "furniture"),
    (40, "otherprop", None, "objects"), (41, "wall", "wall", "wall"), (894, "desk", "desk", "table"),
])  # fmt: skip
def test_raw_ids_go_through_the_40_classes(tmp_path, raw, in_40, in_37, in_13):
    write_nyuv2(tmp_path / "nyu")
    path = tmp_path / "nyu" / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "r+") as file:
        file["labels"][2] = raw
    for classes, wanted in {40: in_40, 37: in_37, 13: in_13}.items():
        dataset = NYUv2(tmp_path / "nyu", classes)
        expected = IGNORE if wanted is None else dataset.labels.id_of(wanted)
        assert dataset.read_mask(path / "3").unique().tolist() == [expected]


def test_rows_and_columns_are_not_exchanged(tmp_path):
    dataset, _ = write_nyuv2(tmp_path / "nyu")
    path = tmp_path / "nyu" / "nyu_depth_v2_labeled.mat"
    image, mask = dataset.read(dataset.subset("train")[0])
    assert image.is_contiguous()
    assert mask.is_contiguous()
    with h5py.File(path) as file:
        assert file["images"].shape == (5, 3, 16, 12)
        assert image[1, 4, 9] == file["images"][3, 1, 9, 4]
        assert image[2, 11, 0] == file["images"][3, 2, 0, 11]
        raw = int(file["labels"][3, 9, 4])
    assert mask[4, 9] == ((raw - 1) % 40 if raw else IGNORE)


def test_worker_processes_read_the_file_that_their_parent_has_read_before(tmp_path):
    dataset, masks = write_nyuv2(tmp_path / "nyu")
    split = Split(dataset, dataset.subset("all"), ResizeTransform(Resolution()))
    alone = [split[i] for i in range(5)]
    loader = DataLoader(split, batch_size=None, num_workers=2, multiprocessing_context="fork", persistent_workers=True)
    for _ in range(3):
        for sample, expected in zip(loader, alone, strict=True):
            assert sample.id == expected.id
            assert torch.equal(sample.image, expected.image)
            assert torch.equal(sample.mask, expected.mask)
    assert [sample.id for sample in alone] == [name for found in masks.values() for name in found]


def test_threads_of_a_survey_read_it_together(tmp_path):
    dataset, masks = write_nyuv2(tmp_path / "nyu")
    contents = survey(dataset, dataset.subset("all") * 20, "nyu")
    assert [content.problem for content in contents] == [None] * 100
    everything = [mask for found in masks.values() for mask in found.values()] * 20
    assert [int(content.pixels[-1]) for content in contents] == [int((mask == IGNORE).sum()) for mask in everything]


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_a_missing_file_is_named(tmp_path, name):
    dataset, _ = write_nyuv2(tmp_path / "nyu")
    (tmp_path / "nyu" / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: no such file"):
        dataset.read(dataset.subset("train")[0])


def test_half_a_file_is_a_problem_that_names_it(tmp_path):
    dataset, _ = write_nyuv2(tmp_path / "nyu")
    path = tmp_path / "nyu" / "nyu_depth_v2_labeled.mat"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    content = survey(dataset, dataset.subset("train"), "nyu")[0]
    assert content.problem.found.startswith(f"{path}: cannot be read")


def test_another_mapping_is_refused(tmp_path):
    dataset, _ = write_nyuv2(tmp_path / "nyu")
    write_matlab5(tmp_path / "nyu" / "classMapping40.mat", {"mapClass": np.arange(1.0, 41.0)})
    with pytest.raises(ValueError, match=r"found 40 values 1.0..40.0 of mapClass; expected 894"):
        dataset.read_mask(dataset.subset("train")[0].mask)
