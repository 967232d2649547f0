"""Classes and colours are read from labelmap.txt; what does not fit is refused."""

import numpy as np
import pytest

from semiverse.datasets import VocFolder
from semiverse.labels import IGNORE
from tests.fakes import write_mask
from tests.fakes.own import LABELMAP, write_voc_folder


def test_classes_and_colours_are_those_of_the_labelmap_in_its_order(tmp_path):
    labels = write_voc_folder(tmp_path).dataset.labels
    assert labels.classes == tuple(LABELMAP)
    assert labels.palette == tuple(LABELMAP.values())


def test_parts_actions_comments_and_empty_lines_do_not_count(tmp_path):
    (tmp_path / "labelmap.txt").write_text(
        "# all\n\nroad : 1, 2,3 :left,right:drive\r\ncar:4,5,6\n", encoding="utf-8-sig"
    )
    assert VocFolder(tmp_path).labels.classes == ("road", "car")
    assert VocFolder(tmp_path).labels.palette == ((1, 2, 3), (4, 5, 6))


def test_trainval_is_a_list_and_not_counted_twice_in_all(tmp_path):
    dataset, _ = write_voc_folder(tmp_path)
    assert dataset.split_names() == ("train", "val")
    assert [record.id for record in dataset.subset("trainval")] == ["b", "a", "frame 1"]
    assert len(dataset.subset("all")) == 3


@pytest.mark.parametrize(
    "text, message",
    [
        ("road", r"line 1: 'road'; expected name:red,green,blue:parts:actions, .*: correct the line"),
        ("background:::", r"line 1: 'background:::'; expected .* as the masks hold colours"),
        ("a:1,2,3::\nb:1,2::", "line 2: 'b:1,2::'; expected"),
        ("a:1,2,x::", "line 1"),
        ("a:1,2,3::\nb:1,2,3::", "line 2: 'b:1,2,3::' has a name or a colour that another line has; .* use mapping"),
        ("a:1,2,3::\na:1,2,4::", "line 2: 'a:1,2,4::' has a name or a colour"),
        ("a:1,2,300::", r"the colour \(1, 2, 300\); expected red, green, blue in 0\.\.255"),
        ("# nothing", "0 classes; expected 1 to 255"),
    ],
)
def test_a_labelmap_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        VocFolder(tmp_path)


def test_a_missing_labelmap_and_missing_lists_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"labelmap\.txt: no such file; expected a line name:red,green,blue"):
        VocFolder(tmp_path)
    (tmp_path / "labelmap.txt").write_text("a:1,2,3::")
    with pytest.raises(FileNotFoundError, match=r"Segmentation: no list; expected one \.txt file for each split"):
        VocFolder(tmp_path).subset("train")


def test_colours_that_the_labelmap_lacks_are_refused_or_ignored(tmp_path):
    write_voc_folder(tmp_path)
    file = write_mask(tmp_path / "m.png", np.array([[LABELMAP["car"], (1, 1, 1), (224, 224, 192)]]))
    with pytest.raises(ValueError, match=r"m\.png: colour \(1, 1, 1\) at pixel \(x=1, y=0\)"):
        VocFolder(tmp_path).read_mask(file)
    assert VocFolder(tmp_path, others="ignore").read_mask(file).tolist() == [[2, IGNORE, IGNORE]]
    with pytest.raises(ValueError, match=r"colour \(1, 1, 1\).*one of its 3 colours"):
        VocFolder(tmp_path, ignore_color=None).read_mask(file)


def test_a_colour_of_the_labelmap_is_a_class_even_if_it_is_that_of_borders(tmp_path):
    (tmp_path / "labelmap.txt").write_text("a:1,2,3::\nsand:224,224,192::")
    file = write_mask(tmp_path / "m.png", np.array([[(224, 224, 192)]]))
    assert VocFolder(tmp_path).read_mask(file).tolist() == [[1]]
