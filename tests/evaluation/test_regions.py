"""Best matches against hand-counted maps and a plain loop over regions and clusters."""

import pytest
import torch

from semiverse.evaluation.regions import best_match, overlaps


def looped(regions, clusters):
    """Best intersection over union of every region, and the region's size."""
    found = []
    for region in regions.unique():
        inside, best = regions == region, 0.0
        for cluster in clusters.unique():
            other = clusters == cluster
            best = max(best, float((inside & other).sum()) / float((inside | other).sum()))
        found.append((best, int(inside.sum())))
    return found


def test_hand_counted_maps():
    regions = torch.tensor([[1, 1, 1, 1], [1, 1, 2, 2]])
    clusters = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 9]])
    # Region 1 has 6 pixels: 4 of cluster 0 (4/6) and 2 of cluster 9 (2/8). Region 2 has 2, both of cluster 9 (2/4).
    assert overlaps(regions, clusters).tolist() == [[4, 2], [0, 2]]
    found = best_match(regions, clusters)
    assert found.miou == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert found.covering == pytest.approx((6 * 4 / 6 + 2 * 2 / 4) / 8)


@pytest.mark.parametrize("seed", range(10))
def test_random_maps_against_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    count = [int(n) for n in torch.randint(1, 9, (2,), generator=generator)]
    regions = torch.randint(0, count[0], (7, 9), generator=generator) * 3 - 2
    clusters = torch.randint(0, count[1], (7, 9), generator=generator).to(torch.uint8)
    slow = looped(regions, clusters)
    found = best_match(regions, clusters)
    assert found.miou == pytest.approx(sum(iou for iou, _ in slow) / len(slow), abs=1e-12)
    assert found.covering == pytest.approx(sum(iou * size for iou, size in slow) / 63, abs=1e-12)


def test_equal_partitions_match_whatever_their_numbers():
    regions = torch.randint(0, 5, (20, 20), generator=torch.Generator().manual_seed(0))
    assert best_match(regions, 200 - 7 * regions) == (1.0, 1.0)


def test_one_cluster_scores_the_share_of_each_region():
    regions = torch.tensor([[0, 0, 0, 1]])
    found = best_match(regions, torch.zeros(1, 4, dtype=torch.int64))
    assert found.miou == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert found.covering == pytest.approx((3 * 3 / 4 + 1 / 4) / 4)


@pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((0, 3), (0, 3))])
def test_maps_that_cannot_be_compared_are_refused(shapes):
    with pytest.raises(ValueError, match="expected the same, with pixels"):
        overlaps(*(torch.zeros(shape, dtype=torch.int64) for shape in shapes))
