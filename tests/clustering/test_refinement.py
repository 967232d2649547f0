"""Majority votes within superpixels, against two plain loops."""

import numpy as np
import pytest
import torch

from semiverse.clustering import Refinement
from tests.clustering.plain import refine


@pytest.mark.parametrize("seed", range(20))
def test_votes_are_bit_identical_to_two_loops_ties_included(seed):
    rng = np.random.default_rng(seed)
    size, labels = int(rng.integers(1, 400)), int(rng.integers(2, 12))
    superpixels = np.unique(rng.integers(0, rng.integers(1, 80), size), return_inverse=True)[1]
    refinement = Refinement(torch.from_numpy(superpixels), labels)
    for _ in range(2):  # the table is used again
        found = rng.integers(0, labels, size)
        refined = refinement(torch.from_numpy(found))
        assert refined.dtype == torch.int64
        assert np.array_equal(refined.numpy(), refine(found, superpixels))


def test_smallest_of_equally_frequent_labels_wins():
    superpixels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert Refinement(superpixels, 10)(torch.tensor([7, 3, 3, 7, 9, 2])).tolist() == [3, 3, 3, 3, 2, 2]


def test_refined_labels_are_one_a_superpixel_no_more_than_before_and_stay():
    generator = torch.Generator().manual_seed(0)
    superpixels = torch.arange(600) // 7
    refinement = Refinement(superpixels, 30)
    found = torch.randint(0, 30, (600,), generator=generator)
    refined = refinement(found)
    for superpixel in range(int(superpixels.max()) + 1):
        (label,) = refined[superpixels == superpixel].unique().tolist()
        counts = found[superpixels == superpixel].bincount(minlength=30)
        assert counts[label] == counts.max()
    assert len(refined.unique()) <= len(found.unique())
    assert torch.equal(refinement(refined), refined)


def test_one_pixel_each_changes_nothing_and_one_for_all_gives_one_label():
    found = torch.randint(0, 5, (50,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(Refinement(torch.arange(50), 5)(found), found)
    assert Refinement(torch.zeros(50, dtype=torch.int64), 5)(found).unique().tolist() == [
        int(found.bincount().argmax())
    ]
