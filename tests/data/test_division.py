"""Training and validation share no image and no group, and lists are known again."""

import json
import random
from pathlib import Path

import pytest

from semiverse.data import Record, digest, divide, group_names, refuse_changed
from semiverse.data.lists import list_facts, pairs_text
from semiverse.labels import LabelSpace

DRIVE = "^[^_]+"


def world(seed, groups=6, classes=6):
    """Images of some drives, some without mask, and what they show: class c in about one of c + 1."""
    rng = random.Random(seed)
    names = [f"d{rng.randrange(groups)}_{i:02d}" for i in range(rng.randrange(12, 80))]
    records = [Record(Path(name), Path(name) if rng.random() < 0.9 else None) for name in names]
    shown = [frozenset(c for c in range(classes) if r.mask and rng.random() < 1 / (c + 1)) for r in records]
    return records, shown


def masked(records):
    return [record for record in records if record.mask is not None]


def classes_of(part, records, shown):
    known = {record.id: present for record, present in zip(records, shown, strict=True)}
    return frozenset().union(*(known[record.id] for record in part))


@pytest.mark.parametrize("covering", [False, True], ids=["free", "covering"])
def test_every_image_is_in_one_part_in_the_given_order_and_validation_has_its_size(covering):
    for seed in range(50):
        records, shown = world(seed)
        train, val = divide(records, 0.25, seed, classes=shown if covering else None)
        assert sorted(train + val) == sorted(records)
        assert [r for r in records if r in train] == train and [r for r in records if r in val] == val
        assert len(val) == len(masked(records)) // 4
        assert masked(val) == val


@pytest.mark.parametrize("covering", [False, True], ids=["free", "covering"])
def test_no_group_is_divided(covering):
    for seed in range(150):
        records, shown = world(seed, groups=2 + seed % 9)
        try:
            train, val = divide(records, 0.3, seed, DRIVE, shown if covering else None)
        except ValueError as error:
            assert "in 1 groups" in str(error)
            continue
        sides = [set(group_names([record.id for record in part], DRIVE)) for part in (train, val)]
        assert not sides[0] & sides[1]
        assert sorted(train + val) == sorted(records)
        assert masked(train) and masked(val)


def test_a_group_goes_to_validation_only_if_that_brings_its_size_nearer():
    for seed in range(50):
        records, _ = world(seed, groups=10)
        _, val = divide(records, 0.3, seed, DRIVE)
        target, groups = int(len(masked(records)) * 0.3), group_names([r.id for r in records], DRIVE)
        sizes = {g: sum(r.mask is not None for r, h in zip(records, groups, strict=True) if g == h) for g in groups}
        left = [sizes[g] for g in set(groups) - set(group_names([r.id for r in val], DRIVE))]
        off = abs(len(masked(val)) - target)
        assert all(abs(len(masked(val)) + size - target) >= off for size in left)


def test_the_smallest_group_is_held_out_if_all_are_too_large():
    records = [Record(Path(f"a_{i}"), Path("m")) for i in range(30)] + [
        Record(Path(f"b_{i}"), Path("m")) for i in range(9)
    ]
    for seed in range(5):
        _, val = divide(records, "1/39", seed, DRIVE)
        assert {record.id[0] for record in val} == {"b"}


@pytest.mark.parametrize("groups", [None, DRIVE])
def test_training_shows_every_class_and_validation_more_of_them_than_by_chance(groups):
    covering, free = [], []
    for seed in range(50):
        records, shown = world(seed, groups=30)
        train, val = divide(records, 0.25, seed, groups, shown)
        assert classes_of(train, records, shown) == frozenset().union(*shown)
        covering.append(len(classes_of(val, records, shown)))
        free.append(len(classes_of(divide(records, 0.25, seed, groups)[1], records, shown)))
    assert sum(covering) > sum(free)


def test_the_only_image_of_a_class_is_for_training_and_one_of_two_for_validation():
    shown = [frozenset({0})] * 20 + [frozenset({0, 1})] * 2 + [frozenset({2})]
    records = [Record(Path(f"a{i}"), Path("m")) for i in range(23)]
    for seed in range(20):
        train, val = divide(records, 2, seed, classes=shown)
        assert classes_of(train, records, shown) == {0, 1, 2}
        assert classes_of(val, records, shown) == {0, 1}


def test_the_draw_depends_on_the_seed_alone():
    records, shown = world(3)
    for options in ({}, {"groups": DRIVE}, {"classes": shown}):
        assert divide(records, 0.25, 1, **options) == divide(records, 0.25, 1, **options)
        assert len({tuple(divide(records, 0.25, seed, **options)[1]) for seed in range(20)}) > 5


def test_a_number_of_images_can_be_held_out():
    records, _ = world(0)
    assert [len(divide(records, number)[1]) for number in (1, 5)] == [1, 5]


@pytest.mark.parametrize(
    "share, groups, message",
    [
        (0, None, "val is 0 of 4 images with masks; expected some for validation and some for training"),
        (4, None, "val is 4 of 4 images"),
        (0.2, None, r"val is 0\.2 of 4 images"),
        (0.5, "^.", "val is 0.5 of 4 images with masks in 1 groups; .*change val, or the groups"),
        (1.5, None, r"val is 1\.5; expected a whole number of images"),
        ("some", None, "val is 'some'; expected a whole number of images"),
        (2, "^b", "finds no group in 4 of 4 ids, first: 'a0'"),
    ],
)
def test_what_cannot_be_divided_is_refused(share, groups, message):
    with pytest.raises(ValueError, match=message):
        divide([Record(Path(f"a{i}"), Path("m")) for i in range(4)], share, 0, groups)


# Digests.


def test_the_digest_is_that_of_a_file_with_one_id_a_line(tmp_path):
    # printf 'drive1/0001\nstra\xc3\x9fe\n' | sha256sum
    expected = "56cb44e870e5aede4615ebdae795080ca04686039424615fd5b0c93caf03fde5"
    assert digest(["drive1/0001", "stra\u00dfe"]) == expected
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_tells_other_ids_another_order_and_other_breaks_apart():
    variants = [["a", "b"], ["b", "a"], ["a"], ["ab"], ["a", "b", "c"], ["a", "", "b"]]
    assert len({digest(ids) for ids in variants}) == len(variants)


def recorded(folder, **lists):
    facts = {"lists": {f"{name}.txt": {"sha256": digest(ids)} for name, ids in lists.items()}}
    (folder / "split.json").write_text(json.dumps(facts))


def test_a_list_that_is_not_as_it_was_drawn_is_refused(tmp_path):
    recorded(tmp_path, train=["a", "b"])
    refuse_changed(tmp_path / "train.txt", ["a", "b"])
    for ids in (["a"], ["b", "a"], ["a", "c"]):
        with pytest.raises(
            ValueError, match=rf"train\.txt: its {len(ids)} images are not those .*split\.json.*restore"
        ):
            refuse_changed(tmp_path / "train.txt", ids)


def test_lists_of_which_nothing_is_kept_are_taken_as_they_are(tmp_path):
    refuse_changed(tmp_path / "train.txt", ["a"])
    recorded(tmp_path, train=["a", "b"])
    refuse_changed(tmp_path / "other.txt", ["a"])
    for text in ("no json", "[]", "{}", '{"lists": ["train.txt"]}', '{"lists": {"train.txt": "x"}}', '{"train": [1]}'):
        (tmp_path / "split.json").write_text(text)  # somebody else's file
        refuse_changed(tmp_path / "train.txt", ["a"])


def test_facts_of_a_list_count_the_images_that_show_a_class():
    records = [Record(Path("d1_a"), Path("m")), Record(Path("d2_b"), None)]
    labels = LabelSpace("two", ("road", "sky"))
    facts = list_facts(records, [frozenset({0}), frozenset()], labels, DRIVE)
    assert facts == {
        "images": 2,
        "sha256": digest(["d1_a", "d2_b"]),
        "classes": {"road": 1, "sky": 0},
        "groups": ["d1", "d2"],
    }
    assert "groups" not in list_facts(records, [frozenset({0}), frozenset()], labels, None)


def test_pairs_are_relative_to_their_folder_where_they_lie_in_it():
    records = [
        Record(Path("/d/i/a.png"), Path("/d/m/a.png")),
        Record(Path("/d/i/b.png"), None),
        Record(Path("/e/c.png"), None),
    ]
    assert pairs_text(records, Path("/d")) == "i/a.png m/a.png\ni/b.png\n/e/c.png\n"
