"""Label budgets: seeded, nested, covering classes, group by group."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

from semiverse.data.division import budget_size, group_names, labeling_order, share_of


def random_classes(count, seed, classes=12):
    """Which classes images show: class c in about one image of c + 1."""
    rng = np.random.default_rng(seed)
    return [frozenset(c for c in range(classes) if rng.random() < 1 / (c + 1)) for _ in range(count)]


@pytest.mark.parametrize("covering", [False, True])
@pytest.mark.parametrize("count", [1, 2, 37, 100])
def test_the_order_is_a_permutation_so_budgets_are_nested_and_disjoint_from_their_rest(count, covering):
    classes = random_classes(count, seed=count) if covering else None
    assert sorted(labeling_order(count, 3, classes)) == list(range(count))


def test_the_order_depends_on_the_seed_alone():
    assert labeling_order(50, 1) == labeling_order(50, 1)
    assert labeling_order(50, 1) != labeling_order(50, 2)
    classes = random_classes(50, seed=0)
    assert labeling_order(50, 1, classes) == labeling_order(50, 1, classes)
    assert labeling_order(50, 1, classes) != labeling_order(50, 2, classes)


def test_no_place_in_the_order_is_preferred():
    first = [labeling_order(10, seed)[0] for seed in range(500)]
    assert np.bincount(first, minlength=10).min() > 25  # 50 expected


def test_as_many_images_as_there_are_classes_cover_all_of_them():
    for seed in range(20):
        classes = random_classes(60, seed)
        covered = frozenset().union(*(classes[i] for i in labeling_order(60, seed, classes)[:12]))
        assert covered == frozenset().union(*classes)


def test_every_image_at_the_start_shows_a_class_not_seen_before():
    classes = random_classes(60, 4)
    seen = set()
    for index in labeling_order(60, 0, classes):
        if seen == set().union(*classes):
            break
        assert classes[index] - seen
        seen |= classes[index]


def test_the_rarest_class_comes_first():
    classes = [frozenset({0})] * 20 + [frozenset({0, 1})] * 3 + [frozenset({2})]
    for seed in range(10):
        order = labeling_order(24, seed, classes)
        assert order[0] == 23
        assert order[1] in (20, 21, 22)


def test_once_all_classes_are_seen_the_permutation_decides():
    classes = [frozenset({i % 2}) for i in range(30)]
    order, plain = labeling_order(30, 5, classes), labeling_order(30, 5)
    assert order[2:] == [index for index in plain if index not in order[:2]]


def test_images_without_classes_are_no_obstacle():
    assert sorted(labeling_order(4, 0, [frozenset()] * 4)) == [0, 1, 2, 3]


BUDGETS = (1, 2, 3, 7, 20, 36, 37)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("covering", [False, True], ids=["free", "covering"])
@pytest.mark.parametrize("grouped", [False, True], ids=["single", "grouped"])
def test_smaller_budgets_are_parts_of_larger_ones_and_have_their_size_exactly(seed, covering, grouped):
    classes = random_classes(37, seed) if covering else None
    groups = [f"drive{i % 5}" for i in range(37)] if grouped else None
    chosen = {budget: labeling_order(37, seed, classes, groups)[:budget] for budget in BUDGETS}
    assert all(len(set(images)) == budget for budget, images in chosen.items())
    for small in BUDGETS:
        for large in BUDGETS:
            assert small > large or set(chosen[small]) <= set(chosen[large])


# Groups.


def random_groups(count, seed, groups=7):
    rng = random.Random(seed)
    return [f"g{rng.randrange(groups)}" for _ in range(count)]


@pytest.mark.parametrize("covering", [False, True], ids=["free", "covering"])
def test_one_group_is_labelled_after_the_other(covering):
    for seed in range(30):
        groups = random_groups(40, seed)
        order = labeling_order(40, seed, random_classes(40, seed) if covering else None, groups)
        assert sorted(order) == list(range(40))
        changes = sum(groups[a] != groups[b] for a, b in pairwise(order))
        assert changes == len(set(groups)) - 1


def test_the_first_groups_show_every_class_that_as_many_groups_can():
    for seed in range(20):
        classes, groups = random_classes(60, seed, classes=5), random_groups(60, seed, groups=12)
        order = labeling_order(60, seed, classes, groups)
        first = list(dict.fromkeys(groups[i] for i in order))[:5]
        seen = frozenset().union(*(classes[i] for i in range(60) if groups[i] in first))
        assert seen == frozenset().union(*classes)


def test_within_a_group_images_with_classes_not_seen_in_it_come_first():
    classes = [frozenset({0})] * 9 + [frozenset({0, 1})]
    for seed in range(10):
        assert labeling_order(10, seed, classes, ["drive"] * 10)[0] == 9


def test_the_order_of_groups_depends_on_their_names_and_the_seed_alone():
    groups = ["b", "a", "c", "a", "b", "d"]

    def drawn(names, seed):
        return list(dict.fromkeys(names[i] for i in labeling_order(len(names), seed, None, names)))

    assert drawn(groups, 1) == drawn(groups[::-1], 1) == drawn(["a", "b", "c", "d"], 1)
    assert len({tuple(drawn(groups, seed)) for seed in range(50)}) > 10


def test_a_group_is_named_by_the_first_group_of_the_expression_or_by_its_whole_match():
    ids = ["drive12_frame3", "drive7_frame1"]
    assert group_names(ids, "^[^_]+") == ["drive12", "drive7"]
    assert group_names(ids, r"(\d+)_frame\d+") == ["12", "7"]
    assert group_names(["a/0001", "b/c/0001"], "^(.+)/") == ["a", "b/c"]


@pytest.mark.parametrize("pattern", ["_frame3", "drive(12)?", "x*"])
def test_an_id_without_group_is_refused(pattern):
    ids = ["drive12_frame3", "drive7_frame1"]
    with pytest.raises(
        ValueError, match=r"finds no group in [12] of 2 ids, first: 'drive\d+_frame\d'; expected one in"
    ):
        group_names(ids, pattern)


def test_groups_that_are_no_regular_expression_are_refused():
    with pytest.raises(ValueError, match=r"groups is '\(', no regular expression \(.*expected one that finds"):
        group_names(["a"], "(")


# Numbers and shares of images.


@pytest.mark.parametrize(
    "images, counts",
    [(10582, {"1/8": 1322, "1/4": 2645, "1/2": 5291}), (2975, {"1/8": 371, "1/4": 743, "1/2": 1487, "1/30": 99})],
    ids=["Pascal", "Cityscapes"],
)
def test_shares_are_the_published_numbers_of_images(images, counts):
    for share, count in counts.items():
        over = int(share.partition("/")[2])
        assert budget_size(share, images, "labeled") == budget_size(1 / over, images, "labeled") == count


def test_a_decimal_share_is_the_fraction_it_stands_for():
    assert int(0.29 * 100) == 28  # what floating point makes of it
    for percent in range(1, 100):
        assert budget_size(percent / 100, 100, "labeled") == budget_size(f"{percent}/100", 100, "labeled") == percent
    for over in range(2, 200):
        assert budget_size(1 / over, 10582, "labeled") == math.floor(10582 / over)


def test_a_number_of_images_is_itself():
    assert [budget_size(number, 7, "labeled") for number in (0, 1, 7)] == [0, 1, 7]


@pytest.mark.parametrize("budget", ["many", "", "1/0", "8/8", "9/8", "-1/8", "1:8", "0", 0.0, 1.0, 4.0, -0.5, math.nan])
def test_what_is_no_share_is_refused(budget):
    with pytest.raises(ValueError, match=r"val is .*; expected a whole number of images such as 100, or a share"):
        share_of(budget, "val")


def test_a_share_of_less_than_one_image_is_refused():
    with pytest.raises(
        ValueError, match=r"a budget of 1/8 of 7 images with masks is less than one; .*raise labeled, or"
    ):
        budget_size("1/8", 7, "labeled")


@pytest.mark.parametrize("budget", [-1, 8])
def test_more_images_than_there_are_is_refused(budget):
    with pytest.raises(ValueError, match=rf"a budget of {budget} labelled images, but there are 7 .*0 to 7.*labeled"):
        budget_size(budget, 7, "labeled")
