"""The lists of CamVid that the library brings along: its training images divided by drive."""

import pytest

from semiverse.datasets import CamVid
from tests.datasets.test_contract import data_folder

FRAMES_A_SECOND = 30
DRIVES = {
    "0001TP_{:06}": range(6690, 8521, 30),
    "0006R0_f{:05}": range(930, 3931, 30),
    "0016E5_{:05}": [*range(390, 900, 30), 901, *range(930, 2401, 30), *range(4350, 7921, 30), *range(8190, 8641, 30)],
}
"""Numbers of the frames of each drive among the owner's 367 training images, by the form of their names."""


def names(split):
    return CamVid.lists[split].read_text().split()


def frames(split, form):
    return [frame for frame in DRIVES[form] if form.format(frame) in names(split)]


def test_lists_follow_the_rule():
    train, val = [], []
    for form, numbers in DRIVES.items():
        validating = list(numbers)[-round(0.3 * len(numbers)) :]
        earlier = [number for number in numbers if validating[0] - number > 5 * FRAMES_A_SECOND]
        val += [form.format(number) for number in validating]
        train += [form.format(number) for number in earlier]
    assert (names("train_drives"), names("val_drives")) == (train, val)


def test_lists_are_disjoint_and_leave_five_images_of_each_drive_out():
    train, val = set(names("train_drives")), set(names("val_drives"))
    assert (len(train), len(val)) == (242, 110)
    assert not train & val
    everything = {form.format(number) for form, numbers in DRIVES.items() for number in numbers}
    assert train | val < everything and len(everything - train - val) == 3 * 5


@pytest.mark.parametrize("form", DRIVES)
def test_validation_begins_more_than_five_seconds_after_the_last_training_image_of_its_drive(form):
    train, val = frames("train_drives", form), frames("val_drives", form)
    assert (val[0] - train[-1]) / FRAMES_A_SECOND == 6  # five images, one a second, are missing
    assert max(train) < min(val) and len(val) / len(DRIVES[form]) == pytest.approx(0.3, abs=0.01)


@pytest.mark.data
def test_frames_are_those_of_the_owner():
    if not (data_folder() / "camvid").is_dir():
        pytest.skip(f"no folder {data_folder() / 'camvid'}; set SEMIVERSE_DATA to the folder that holds the datasets")
    owners = {record.id for record in CamVid(data_folder() / "camvid").records("train")}
    assert owners == {form.format(number) for form, numbers in DRIVES.items() for number in numbers}
