"""Label budgets: seeded, nested, covering classes."""

import numpy as np
import pytest

from semiverse.data import labeling_order


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
