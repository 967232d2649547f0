"""Subsets of a dataset, and one record as a sample."""

from pathlib import Path

import pytest
import torch

from semiverse.data import Record, ResizeTransform, Resolution, SegmentationDataset, Split
from semiverse.datasets import LabelMeFacade
from semiverse.labels import IGNORE, LabelSpace
from tests.fakes import Numbered, write_camvid, write_labelmefacade, write_mask, write_photo


class Minimal(SegmentationDataset):
    """The smallest dataset that a user can write: ``a`` and ``b`` are train, ``b`` of another folder is val."""

    labels = LabelSpace("pair", ("off", "on"))

    def records(self, split):
        folder, names = (self.folder / split, "ab" if split == "train" else "b")
        return [Record(folder / f"{name}.png", folder / f"{name}_mask.png") for name in names]


@pytest.fixture
def minimal(tmp_path):
    for path in ("train/a", "train/b", "val/b"):
        write_photo(tmp_path / f"{path}.png", size=(2, 2))
        write_mask(tmp_path / f"{path}_mask.png", [[0, 1], [1, IGNORE]])
    return Minimal(tmp_path)


def write_list(folder: Path, text: str) -> Path:
    (folder / "some.txt").write_text(text)
    return folder / "some.txt"


def test_by_default_masks_hold_train_ids_and_ignore(minimal):
    assert minimal.read_mask(minimal.subset("val")[0].mask).tolist() == [[0, 1], [1, IGNORE]]


def test_a_default_mask_with_another_value_is_refused(minimal):
    record = minimal.subset("val")[0]
    write_mask(record.mask, [[0, 2], [1, 1]])
    with pytest.raises(ValueError, match=r"b_mask\.png: mask value 2 at pixel \(x=1, y=0\)"):
        minimal.read(record)


def test_a_list_file_picks_from_every_split(tmp_path):
    dataset, _ = write_camvid(tmp_path / "camvid")
    chosen = dataset.subset(str(write_list(tmp_path, "0016E5_12.png\n0016E5_03\n0016E5_21")))
    assert [record.id for record in chosen] == ["0016E5_12", "0016E5_03", "0016E5_21"]
    assert [record.image.parent.name for record in chosen] == ["val", "train", "test"]


def test_a_list_file_is_also_looked_for_below_the_root(tmp_path):
    dataset, _ = write_camvid(tmp_path / "camvid")
    write_list(tmp_path / "camvid", "0016E5_12")
    assert [record.id for record in dataset.subset("some.txt")] == ["0016E5_12"]


def test_a_list_picks_from_the_splits_that_are_there(tmp_path):
    dataset, _ = write_camvid(tmp_path / "camvid")
    for path in (tmp_path / "camvid/CamVid/test").iterdir():
        path.unlink()
    assert len(dataset.subset(str(write_list(tmp_path, "0016E5_12\n0016E5_03")))) == 2


def test_a_listed_image_of_a_split_that_cannot_be_read_is_reported_with_the_cause(tmp_path):
    dataset, _ = write_camvid(tmp_path / "camvid")
    dataset.subset("test")[1].mask.unlink()
    with pytest.raises(FileNotFoundError, match=r"some\.txt: 1 of 1 listed.*; split test: no mask for 1 of 3 images"):
        dataset.subset(str(write_list(tmp_path, "0016E5_23")))


def test_the_split_all_does_not_leave_out_what_cannot_be_read(tmp_path):
    dataset, _ = write_camvid(tmp_path / "camvid")
    dataset.subset("test")[1].mask.unlink()
    with pytest.raises(FileNotFoundError, match="no mask for 1 of 3 images"):
        dataset.subset("all")


def test_a_name_that_two_splits_share_cannot_be_listed(minimal, tmp_path):
    assert len(minimal.subset("all")) == 3
    assert [record.id for record in minimal.subset(str(write_list(tmp_path, "a")))] == ["a"]
    with pytest.raises(ValueError, match=r"'b' means both .*train.b\.png and .*val.b\.png.*different names"):
        minimal.subset(str(write_list(tmp_path, "a\nb")))


def test_a_missing_list_file_is_named_even_where_there_is_no_folder():
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list file"):
        Numbered().subset("gone.txt")


def test_a_named_list_of_a_dataset_that_is_not_there_says_just_that(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        LabelMeFacade(tmp_path / "gone").subset("val150")
    assert str(refused.value).startswith("LabelMeFacade: no folder ")
    assert "listed" not in str(refused.value)


def test_an_unknown_split_is_refused_with_the_owners_and_our_own(tmp_path):
    with pytest.raises(ValueError, match=r"LabelMeFacade has no split 'val'.*train, test, train450, val150, all"):
        LabelMeFacade(tmp_path).subset("val")


def test_a_named_list_that_does_not_fit_the_files_is_reported(tmp_path):
    dataset, _ = write_labelmefacade(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"labelmefacade_val150\.txt: 150 of 150 listed images"):
        dataset.subset("val150")


def test_a_record_without_mask_is_ignored_everywhere(minimal):
    record = minimal.subset("train")[0]._replace(mask=None)
    image, mask = minimal.read(record)
    assert image.shape == (3, 2, 2)
    assert mask.dtype == torch.uint8
    assert mask.tolist() == [[IGNORE, IGNORE], [IGNORE, IGNORE]]


def test_a_mask_of_another_size_is_refused(minimal):
    record = minimal.subset("val")[0]
    write_mask(record.mask, [[0, 1, 0]])
    with pytest.raises(ValueError, match=r"b_mask\.png: the mask is 3x1 .*b\.png is 2x2; expected equal sizes: export"):
        minimal.read(record)


def test_a_split_gives_transformed_samples_with_their_names(minimal):
    split = Split(minimal, minimal.subset("train"), ResizeTransform(Resolution(size=(4, 6))))
    assert len(split) == 2
    sample = split[1]
    assert sample.id == "b"
    assert sample.image.shape == (3, 4, 6)
    assert sample.mask.shape == (4, 6)


def test_the_same_draw_gives_the_same_sample(minimal):
    def noisy(image, mask, generator):
        return torch.randint(0, 256, image.shape, generator=generator, dtype=torch.uint8), mask

    split = Split(minimal, minimal.subset("train"), noisy)
    first, again, other = (split.draw(0, torch.Generator().manual_seed(seed))[0].image for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
