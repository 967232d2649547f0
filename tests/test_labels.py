"""Label spaces, and tables from one to another."""

import numpy as np
import pytest
import torch

from semiverse.labels import IGNORE, LabelSpace, distinct_colors, lookup_table, merge, transfer_table

STREET = LabelSpace("street", ("road", "car", "bus", "sky"), ((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)))


def test_spaces_are_equal_by_name_and_classes_whatever_their_colours():
    same = LabelSpace("street", ("road", "car", "bus", "sky"))
    assert same == STREET
    assert hash(same) == hash(STREET)
    assert LabelSpace("other", STREET.classes) != STREET
    assert LabelSpace("street", ("car", "road", "bus", "sky")) != STREET


def test_lists_from_a_file_make_an_equal_space():
    assert LabelSpace("street", ["road", "car", "bus", "sky"], [[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]]) == STREET
    assert LabelSpace("a", ["x"], [[1, 2, 3]]).palette == ((1, 2, 3),)


def test_a_class_is_found_by_name_and_an_unknown_one_is_refused_with_the_known():
    assert [STREET.id_of(name) for name in STREET.classes] == [0, 1, 2, 3]
    assert len(STREET) == 4
    with pytest.raises(ValueError, match=r"no class 'tram'.*road, car, bus, sky"):
        STREET.id_of("tram")


def test_classes_that_are_not_chosen_become_ignore():
    mask = torch.tensor([[0, 1, 2, 3, IGNORE]], dtype=torch.uint8)
    kept = STREET.only(mask, ["sky", "car"])
    assert kept.tolist() == [[IGNORE, 1, IGNORE, 3, IGNORE]] and kept.dtype == torch.uint8
    assert torch.equal(STREET.only(mask, STREET.classes), mask)
    with pytest.raises(ValueError, match="no class 'tram'"):
        STREET.only(mask, ["tram"])


@pytest.mark.parametrize("count", [0, 256])
def test_none_or_more_than_255_classes_are_refused(count):
    with pytest.raises(ValueError, match=f"{count} classes.*1 to 255"):
        LabelSpace("many", tuple(f"class {i}" for i in range(count)))


def test_255_classes_fit_below_ignore():
    assert len(LabelSpace("many", tuple(f"class {i}" for i in range(255)))) == IGNORE


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match=r"'car'.*more than once"):
        LabelSpace("twice", ("car", "road", "car"))


@pytest.mark.parametrize(
    "palette", [((1, 2, 3),), ((1, 2, 3), (0, 0, 256)), ((1, 2, 3), (1, 2)), ((-1, 0, 0), (1, 1, 1))]
)
def test_a_palette_that_does_not_fit_is_refused(palette):
    with pytest.raises(ValueError, match="colour"):
        LabelSpace("pair", ("a", "b"), palette)


def test_colours_that_are_made_up_differ():
    for count in (1, 19, 60, 255):
        assert len(set(distinct_colors(count))) == count
    assert LabelSpace("a", ("x", "y")).palette == distinct_colors(2)


def test_a_mask_is_drawn_in_the_palette_and_ignore_in_black():
    picture = STREET.colorize(torch.tensor([[0, 3], [IGNORE, 1]], dtype=torch.uint8))
    assert picture.dtype == torch.uint8
    assert picture.tolist() == [[[1, 1, 1], [4, 4, 4]], [[0, 0, 0], [2, 2, 2]]]


def test_raw_ids_that_are_not_named_are_ignored():
    table = lookup_table({7: 0, 11: 1})
    assert table.dtype == np.uint8
    assert (table[7], table[11]) == (0, 1)
    assert (np.delete(table, [7, 11]) == IGNORE).all()


def test_transfer_merges_renames_ignores_and_keeps_equal_names():
    target = LabelSpace("coarse", ("sky", "vehicle", "road"))
    table = transfer_table(STREET, target, {"car": "vehicle", "bus": "vehicle", "sky": None})
    assert table[:4].tolist() == [2, 1, 1, IGNORE]
    assert (table[4:] == IGNORE).all()


def test_transfer_ignores_classes_that_the_target_lacks():
    assert transfer_table(STREET, LabelSpace("one", ("bus",)), {})[:4].tolist() == [IGNORE, IGNORE, 0, IGNORE]


@pytest.mark.parametrize("mapping, name", [({"tram": "road"}, "tram"), ({"car": "lorry"}, "lorry")])
def test_transfer_refuses_unknown_classes_on_either_side(mapping, name):
    with pytest.raises(ValueError, match=f"no class '{name}'"):
        transfer_table(STREET, STREET, mapping)


def test_merge_keeps_order_and_the_first_colour_of_each_new_name():
    merged = merge(STREET, {"car": "vehicle", "bus": "vehicle", "road": None})
    assert merged.classes == ("vehicle", "sky")
    assert merged.palette == ((2, 2, 2), (4, 4, 4))


def test_merge_can_exchange_two_names():
    swapped = merge(STREET, {"car": "bus", "bus": "car"})
    assert swapped.classes == ("road", "bus", "car", "sky")
    assert transfer_table(STREET, swapped, {"car": "bus", "bus": "car"})[:4].tolist() == [0, 1, 2, 3]


def test_merge_refuses_to_leave_nothing_and_unknown_classes():
    with pytest.raises(ValueError, match="0 classes"):
        merge(STREET, dict.fromkeys(STREET.classes))
    with pytest.raises(ValueError, match="no class 'tram'"):
        merge(STREET, {"tram": None})
