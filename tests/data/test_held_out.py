"""What is held out of a dataset that nothing divides: by hand-made names, and by what images show."""

import numpy as np
import pytest

from semiverse.data import Content, Record
from semiverse.data.held_out import SHARE, find_groups, hold_out, restored
from semiverse.data.images import Header, ImageFacts


def records(ids, unmasked=()):
    return [Record(f"{name}.jpg", None if name in unmasked else f"{name}.png", name) for name in ids]


def contents(ids, looks=None, classes=None):
    """Images of noise, each its own; ``looks``: which number's noise an image shows."""
    found = []
    for i, name in enumerate(ids):
        seed = (looks or {}).get(name, i)
        grey = np.random.default_rng(seed).integers(0, 256, (16, 18)).astype(np.uint8)
        pixels = np.array([1, (classes or {}).get(name, 0), 0])
        found.append(Content(name, (16, 18), pixels, image=ImageFacts(Header("PNG"), str(seed), grey)))
    return found


def names(part):
    return {record.id for record in part}


@pytest.mark.parametrize("count", [2, 3, 5, 12, 50])
def test_a_fifth_is_held_out_and_nothing_is_lost_or_in_both(count):
    ids = [str(i) for i in range(count)]
    found = hold_out(records(ids), contents(ids))
    assert len(found.val) == max(1, round(SHARE * count))
    assert names(found.train) | names(found.val) == {*ids} and not names(found.train) & names(found.val)
    assert found == hold_out(records(ids), contents(ids))


def test_drives_scenes_and_videos_stay_whole():
    for ids in (
        [f"drive{d}/{i:03d}" for d in range(5) for i in range(4)],
        [f"{d:04d}TP_{i:06d}" for d in range(5) for i in range(4)],
        [f"aachen_{d:06d}_{i:06d}" for d in range(5) for i in range(4)],
    ):
        found = hold_out(records(ids), contents(ids))
        group = {name.rpartition("/" if "/" in name else "_")[0] for name in names(found.val)}
        assert len(group) == 1 and len(found.val) == 4 and "whole groups" in found.rule


@pytest.mark.parametrize(
    "ids",
    [
        [f"{i:04d}" for i in range(20)],  # numbers alone
        [f"IMG_{i:04d}" for i in range(20)],  # one camera
        ["a", "b", "c", "d"],
        [f"{kind}{i}" for kind in ("cat", "dog") for i in range(9)],  # two cannot give a fifth
        [f"scene{i}_1" for i in range(9)],  # one image each
        [f"a_{i}" for i in range(18)] + ["b_1", "b_2", "c_1", "c_2"],  # one is nearly everything
    ],
)
def test_names_that_show_no_groups_give_none(ids):
    assert find_groups(ids) is None


def test_images_that_look_alike_stay_on_one_side_even_across_groups():
    ids = [f"drive{d}_{i}" for d in range(6) for i in range(3)]
    looks = {"drive0_0": 99, "drive5_2": 99}
    for _ in range(2):
        found = hold_out(records(ids), contents(ids, looks))
        sides = [{name.partition("_")[0] for name in names(part)} for part in (found.train, found.val)]
        assert not sides[0] & sides[1]
        assert any({"drive0", "drive5"} <= side for side in sides)
    assert "look alike" in found.rule


def test_a_video_whose_frames_all_look_alike_is_divided_all_the_same():
    ids = [f"frame_{i}" for i in range(10)]
    found = hold_out(records(ids), contents(ids, dict.fromkeys(ids, 0)))
    assert len(found.val) == 2 and "alike" not in found.rule


def test_training_sees_every_class_first():
    ids = [str(i) for i in range(10)]
    for rare in ids:
        found = hold_out(records(ids), contents(ids, classes={rare: 1}))
        assert rare in names(found.train)


@pytest.mark.parametrize("masked", [0, 1])
def test_nothing_is_held_out_of_images_without_masks(masked):
    ids = ["a", "b", "c"]
    found = hold_out(records(ids, unmasked=ids[masked:]), contents(ids))
    assert names(found.train) == {*ids} and found.val == []
    assert "none is held out" in found.said


def test_a_kept_division_ignores_what_came_since_and_misses_what_is_gone():
    ids = [str(i) for i in range(10)]
    found = hold_out(records(ids), contents(ids))
    assert restored(found.facts, records([*ids, "new"])) == found
    with pytest.raises(FileNotFoundError, match=r"1 of 10 images that were divided are gone, first: .*; expected"):
        restored(found.facts, records([name for name in ids if name != found.val[0].id]))
