"""Descriptions, groups and pictures of clusters."""

import numpy as np
import pytest
import torch

from semiverse.clustering import Cluster, describe, group_clusters
from semiverse.clustering.results import by_size, draw_borders, draw_sheet
from semiverse.labels import LabelSpace


def test_labels_become_clusters_from_the_largest():
    clusters, labels = by_size(torch.tensor([[9, 9, 4], [7, 7, 7]]))
    assert clusters.tolist() == [[1, 1, 2], [0, 0, 0]] and clusters.dtype == torch.uint8
    assert labels.classes == ("0", "1", "2")


def test_description_has_shares_mean_colours_and_heights():
    mask = torch.tensor([[0, 0], [0, 2]], dtype=torch.uint8)
    image = torch.tensor([[[0, 30], [60, 9]], [[1, 1], [1, 8]], [[2, 2], [5, 7]]], dtype=torch.uint8)
    first, second = describe(mask, LabelSpace("three", ("0", "1", "2")), image)
    assert first == (0, 0.75, (30, 1, 3), pytest.approx((0.25 + 0.25 + 0.75) / 3))
    assert second == (2, 0.25, (9, 8, 7), 0.75)


def test_groups_join_like_colours_at_like_heights_of_all_images():
    sky, road = ((90, 150, 230), 0.2), ((80, 80, 85), 0.8)

    def cluster(i, share, kind, change=0):
        color, height = kind
        return Cluster(i, share, tuple(value + change for value in color), height + change / 200)

    found = {
        "a": [cluster(0, 0.6, road), cluster(1, 0.4, sky)],
        "b": [cluster(0, 0.5, sky, 4), cluster(1, 0.3, road, 5), cluster(2, 0.2, road, -3)],
    }
    assert group_clusters(found, 2) == {"a": {0: 0, 1: 1}, "b": {0: 1, 1: 0, 2: 0}}
    assert sorted(group_clusters(found, 200)["b"].values()) != [0, 0, 0]
    assert group_clusters({}, 3) == {}
    with pytest.raises(ValueError, match="groups is 256; expected 1 to 255"):
        group_clusters(found, 256)


def test_borders_are_yellow_and_the_rest_is_the_image():
    image = torch.full((3, 4, 6), 50, dtype=torch.uint8)
    mask = torch.zeros(4, 6, dtype=torch.uint8)
    mask[:, 3:] = 1
    drawn = np.asarray(draw_borders(image, mask))
    assert (drawn[:, 2] == (255, 230, 0)).all()
    assert (np.delete(drawn, 2, axis=1) == 50).all()


@pytest.mark.parametrize("size", [(1, 1), (30, 500), (321, 481)])
def test_sheet_shows_image_clusters_and_a_list(size):
    mask = torch.zeros(size, dtype=torch.uint8)
    mask[:, size[1] // 2 :] = 3
    image = torch.full((3, *size), 50, dtype=torch.uint8)
    sheet = draw_sheet(image, mask, LabelSpace("clusters", ("0", "1", "2", "3")))
    factor = max(1, round(800 / (2 * size[1])))
    assert sheet.width >= 2 * size[1] * factor and sheet.height > size[0] * factor
    assert np.asarray(sheet)[0, 0].tolist() == [50, 50, 50]
    below = np.asarray(sheet)[size[0] * factor :]
    for color in LabelSpace("clusters", ("0", "1", "2", "3")).palette[3:]:
        assert (below == color).all(axis=2).any()
