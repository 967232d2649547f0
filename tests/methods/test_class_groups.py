"""Super-classes by hand cover every class of the label spaces that they are made for."""

import pytest

from semiverse.datasets import Cityscapes, PascalVOC
from semiverse.labels import LabelSpace
from semiverse.methods.class_groups import GROUPS, group_table


@pytest.mark.parametrize("name", GROUPS)
def test_no_class_is_in_two_groups(name):
    titles = [title for group in GROUPS[name].values() for title in group]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize(("dataset", "classes", "groups"), [(PascalVOC, 21, 10), (Cityscapes, 19, 7)])
def test_groups_fit_the_published_label_spaces(dataset, classes, groups):
    table = group_table(dataset.labels)
    assert len(table) == classes
    assert sorted(set(table)) == list(range(groups))


def test_groups_are_numbered_in_the_order_of_the_classes():
    space = LabelSpace("zoo", ("wolf", "tuna", "fox", "owl"))
    groups = {"owl": "bird", "fox": "dog", "wolf": "dog", "tuna": "fish"}
    assert group_table(space, groups) == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"wolf": "dog"}, "no group for tuna, groups for unknown classes none"),
        ({"wolf": "dog", "tuna": "fish", "yeti": "?"}, "no group for none, groups for unknown classes yeti"),
        (None, "no grouping of label space zoo"),
    ],
)
def test_classes_without_a_group_and_groups_without_a_class_are_named(groups, message):
    with pytest.raises(ValueError, match=message):
        group_table(LabelSpace("zoo", ("wolf", "tuna")), groups)
