"""Paired differences against values computed by hand."""

from math import sqrt

import pytest

from semiverse.reporting.verdicts import Difference, paired_difference, points_of_percent, verdict


def test_interval_of_three_pairs_is_that_of_students_distribution() -> None:
    difference = paired_difference({0: 0.50, 1: 0.52, 2: 0.54}, {0: 0.49, 1: 0.50, 2: 0.51})
    assert difference is not None  # differences 0.01, 0.02, 0.03: mean 0.02, standard deviation 0.01
    reach = 4.302652729911275 * 0.01 / sqrt(3)  # t of 97.5 % with two degrees of freedom, from a printed table
    assert difference.mean == pytest.approx(0.02)
    assert (difference.low, difference.high) == (pytest.approx(0.02 - reach), pytest.approx(0.02 + reach))
    assert difference.count == 3


def test_only_shared_keys_are_paired_and_their_order_does_not_matter() -> None:
    ours, theirs = {2: 0.3, 0: 0.1, 7: 0.9}, {0: 0.0, 1: 0.8, 2: 0.1}
    difference = paired_difference(ours, theirs)
    assert difference is not None and difference.count == 2
    assert difference.mean == pytest.approx(0.15)  # of 0.2 and 0.1, whose standard deviation is 0.1 / sqrt(2)
    assert difference.high == pytest.approx(0.15 + 12.706204736 * 0.05)


def test_exchanging_the_sides_mirrors_the_interval() -> None:
    ours, theirs = {0: 0.3, 1: 0.5, 2: 0.35}, {0: 0.2, 1: 0.45, 2: 0.4}
    one, two = paired_difference(ours, theirs), paired_difference(theirs, ours)
    assert one is not None and two is not None and one.low is not None and one.high is not None
    assert (two.mean, two.low, two.high) == tuple(map(pytest.approx, (-one.mean, -one.high, -one.low)))


def test_one_pair_has_no_interval_and_none_no_difference() -> None:
    assert paired_difference({0: 0.75}, {0: 0.5, 1: 0.4}) == Difference(0.25, None, None, 1)
    assert paired_difference({0: 0.75}, {1: 0.5}) is None


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (
            Difference(0.012, 0.003, 0.021, 3),
            "full scores 1.2 points more than basic in the sum of mIoU "
            "(95 % interval 0.3 to 2.1, three seeds): it helped.",
        ),
        (
            Difference(-0.012, -0.021, -0.003, 3),
            "full scores 1.2 points less than basic in the sum of mIoU "
            "(95 % interval -2.1 to -0.3, three seeds): it hurt.",
        ),
        (
            Difference(0.006, -0.008, 0.02, 2),
            "full scores 0.6 points more than basic in the sum of mIoU: "
            "no difference can be told (95 % interval -0.8 to 2.0, two seeds).",
        ),
        (
            Difference(-0.0001, -0.0002, 0.0, 20),
            "full scores as much as basic in the sum of mIoU: "
            "no difference can be told (95 % interval 0.0 to 0.0, 20 seeds).",
        ),
        (
            Difference(0.05, None, None, 1),
            "full scores 5.0 points more than basic in the sum of mIoU in the one seed run: "
            "one run cannot tell it from chance.",
        ),
    ],
)
def test_verdicts_say_how_much_and_how_sure(difference: Difference, sentence: str) -> None:
    assert verdict("full", "basic", "the sum of mIoU", difference) == sentence


def test_points_are_never_a_negative_zero() -> None:
    assert [points_of_percent(share) for share in (-0.0004, 0.0, -0.0006, 0.123)] == ["0.0", "0.0", "-0.1", "12.3"]
