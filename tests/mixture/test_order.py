"""Orders that are computed for a place."""

import numpy as np
import pytest

from semiverse.mixture import batches
from semiverse.mixture.batches import Stream, in_turn
from semiverse.mixture.order import computed_order


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 1000, 50_021])
def test_every_number_stands_at_one_place(count):
    order = computed_order(count, [3, 1], np.arange(count))
    assert np.array_equal(np.sort(order), np.arange(count))


def test_an_order_depends_on_each_part_of_its_key_and_on_the_place_alone():
    places = np.arange(1000)
    one = computed_order(1000, [0, 1, 2], places)
    assert np.array_equal(one[17:31], computed_order(1000, [0, 1, 2], places[17:31]))
    for other in ([0, 1, 3], [0, 2, 2], [1, 1, 2]):
        assert (computed_order(1000, other, places) == one).mean() < 0.02


def test_orders_look_like_drawn_ones():
    """Places and numbers are as little correlated, and neighbours as far apart, as in a permutation of NumPy."""
    count = 20_000
    order = computed_order(count, [7], np.arange(count))
    assert abs(np.corrcoef(order, np.arange(count))[0, 1]) < 0.03
    assert np.abs(np.diff(order)).mean() / count == pytest.approx(1 / 3, abs=0.01)
    cells = np.histogram2d(order, np.arange(count), bins=20)[0]
    assert ((cells - 50) ** 2 / 50).sum() < 361 + 6 * np.sqrt(2 * 361)  # chi-squared, six standard deviations


def numbers(stream, places):
    return [stream.draw(place) for place in places]


class Numbers:
    """Stands for a split: a sample is its number."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def draw(self, index, *_):
        return index


@pytest.mark.parametrize("large", [False, True], ids=["stored", "computed"])
def test_a_stream_gives_every_image_once_in_each_pass_wherever_it_begins(large, monkeypatch):
    monkeypatch.setattr(batches, "LARGE", 10 if large else 1000)
    monkeypatch.setattr(batches, "COMPUTED", 16)
    stream = Stream(Numbers(53), 0, "unlabeled a")
    first, second = numbers(stream, range(53)), numbers(stream, range(53, 106))
    assert sorted(first) == sorted(second) == list(range(53)) and first != second
    assert numbers(Stream(Numbers(53), 0, "unlabeled a"), range(40, 70)) == [*first, *second][40:70]
    if not large:  # as it always was
        key = stream.key
        assert first == np.random.default_rng([*key, 0]).permutation(53).tolist()


def test_streams_of_many_images_take_turns_as_often_as_they_have_images(monkeypatch):
    monkeypatch.setattr(batches, "LARGE", 10)
    sizes = {"a": 30, "b": 10, "c": 20}
    found = {name: [] for name in sizes}
    for step in range(60):
        for name, places in in_turn(sizes, 1, 0, step).items():
            found[name] += places
    assert {name: sorted(places) for name, places in found.items()} == {
        n: list(range(size)) for n, size in sizes.items()
    }
    again = [place for step in range(60, 120) for place in in_turn(sizes, 1, 0, step).get("a", [])]
    assert sorted(again) == list(range(30, 60))
