"""Labelme's shapes become masks, drawn as Labelme draws them; faults are named."""

import math

import numpy as np
import pytest

from semiverse.datasets import Labelme
from semiverse.labels import IGNORE
from tests.fakes import write_photo
from tests.fakes.own import box, labelme_file, png_text, shape, write_json, write_labelme

SIZE = (24, 32)


def written(root, shapes, change=None, **options):
    write_photo(root / "a.jpg", size=SIZE)
    write_json(root / "a.json", labelme_file(shapes, SIZE) | (change or {}))
    return Labelme(root, ("road", "car"), **options)


def mask_of(root, shapes, **options):
    dataset = written(root, shapes, **options)
    return dataset.read(dataset.subset("all")[0])[1].numpy()


def drawn(root, kind, points, **further):
    """Pixels of one shape."""
    return mask_of(root, [shape("car", kind, points, **further)]) == 2


def near(centre, radius):
    """Pixels whose centre is at most so far away, one after the other."""
    return np.array([[math.dist((x, y), centre) <= radius for x in range(SIZE[1])] for y in range(SIZE[0])])


@pytest.mark.parametrize("kind", ["polygon", None])
def test_a_polygon_covers_its_inside_and_its_border(tmp_path, kind):
    assert np.array_equal(drawn(tmp_path, kind, [[3, 2], [9, 2], [9, 7], [3, 7]]), box(3, 2, 10, 8, SIZE))


@pytest.mark.parametrize("points", [[[3, 2], [9, 7]], [[9, 2], [3, 7]], [[9, 7], [3, 2]]])
def test_a_rectangle_has_any_two_opposite_corners(tmp_path, points):
    assert np.array_equal(drawn(tmp_path, "rectangle", points), box(3, 2, 10, 8, SIZE))


def test_a_circle_reaches_to_its_second_point(tmp_path):
    found = drawn(tmp_path, "circle", [[12, 10], [15, 14]])  # 3, 4, 5
    assert (found | ~near((12, 10), 4.5)).all()
    assert not (found & ~near((12, 10), 5.6)).any()


def test_a_point_has_the_radius_that_labelme_gives_it(tmp_path):
    found = drawn(tmp_path, "point", [[12, 10]])
    assert (found | ~near((12, 10), 4.5)).all()
    assert not (found & ~near((12, 10), 5.6)).any()


@pytest.mark.parametrize("kind, points", [("line", [[0, 12], [31, 12]]), ("linestrip", [[0, 12], [9, 12], [31, 12]])])
def test_a_line_has_the_width_that_labelme_gives_it(tmp_path, kind, points):
    found = drawn(tmp_path, kind, points)
    assert found.sum(axis=0)[3:29].tolist() == [10] * 26
    assert found[12].all()


def test_a_brushed_mask_lies_at_its_corner_and_is_cut_off_at_the_border(tmp_path):
    brushed = np.random.default_rng(0).random((6, 5)) < 0.5
    wanted = np.zeros(SIZE, dtype=bool)
    wanted[20:24, 3:8] = brushed[:4]
    assert np.array_equal(drawn(tmp_path, "mask", [[3, 20], [7, 25]], mask=png_text(brushed)), wanted)


OVERLAPPING = [shape("car", "rectangle", [[2, 2], [4, 4]]), shape("road", "rectangle", [[0, 0], [9, 9]])]


@pytest.mark.parametrize("overlap, on_top", [("order", 1), ("small-on-top", 2)])
def test_where_shapes_overlap_the_later_or_the_smaller_wins(tmp_path, overlap, on_top):
    assert mask_of(tmp_path, OVERLAPPING, overlap=overlap)[3, 3] == on_top


def test_several_labels_become_one_class_and_others_none(tmp_path):
    dataset = written(tmp_path, OVERLAPPING, mapping={"car": None, "road": "ground"}, overlap="small-on-top")
    mask = dataset.read(dataset.subset("all")[0])[1]
    assert dataset.labels.classes == ("background", "ground")
    assert (mask[3, 3], mask[0, 0], mask[20, 20]) == (IGNORE, 1, 0)


@pytest.mark.parametrize("background, found", [("background", 0), (None, IGNORE)])
def test_pixels_in_no_shape_are_background_or_unlabelled(tmp_path, background, found):
    assert np.unique(mask_of(tmp_path, [], background=background)).tolist() == [found]


@pytest.mark.parametrize("others, found", [("ignore", IGNORE), ("skip", 0)])
def test_labels_that_are_no_class_can_be_ignored_or_skipped(tmp_path, others, found):
    assert mask_of(tmp_path, [shape("tram", "rectangle", [[2, 2], [4, 4]])], others=others)[3, 3] == found


def test_images_without_a_file_are_unlabelled(tmp_path):
    dataset, _ = write_labelme(tmp_path)
    assert [record.mask is None for record in dataset.subset("train")] == [True, False]


def test_without_splits_there_is_only_the_split_all(tmp_path):
    dataset = written(tmp_path, [])
    assert dataset.split_names() == ("all",)
    with pytest.raises(ValueError, match="Labelme has no split 'train'; expected one of all"):
        dataset.subset("train")


def test_a_folder_without_any_annotation_is_refused(tmp_path):
    write_photo(tmp_path / "images" / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"json: no such folder; expected Labelme's JSON files: correct"):
        Labelme(tmp_path, ("road",), images="images", annotations="json").subset("all")
    (tmp_path / "json").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"json: no JSON file for any of the 1 images of .*images, first: .*a\.json; .* correct"
    ):
        Labelme(tmp_path, ("road",), images="images", annotations="json").subset("all")


FAULTS = {
    "label-unknown": (shape("tram", "polygon", [[0, 0], [1, 1], [2, 0]]), "a region is called 'tram'; expected one of"),
    "two-points": (
        shape("car", "polygon", [[0, 0], [1, 1]]),
        r"shape 0 \(car\) is a polygon of 2 points; expected at least 3: redraw or remove it",
    ),
    "one-corner": (shape("car", "rectangle", [[0, 0]]), "a rectangle of 1 points; expected at least 2"),
    "kind-unknown": (shape("car", "cube", []), "has the type 'cube'; expected one of polygon, rectangle,"),
    "bad-point": (shape("car", "line", [[0, 0], [1]]), r"has the point \[1\]; expected \[x, y\] in pixels"),
    "no-points": ({"label": "car"}, r"shape 0 \(car\) has no 'points'; expected list"),
    "no-label": ({"points": []}, "shape 0 has no 'label'; expected str"),
    "no-mask": (shape("car", "mask", [[0, 0]], mask=None), r"shape 0 \(car\) has no 'mask'"),
    "bad-base64": (
        shape("car", "mask", [[0, 0]], mask="%"),
        r"mask that cannot be decoded .*expected a PNG in base 64",
    ),
    "no-png": (shape("car", "mask", [[0, 0]], mask="aGVsbG8="), "mask that cannot be decoded"),
}


@pytest.mark.parametrize("bad, message", FAULTS.values(), ids=FAULTS.keys())
def test_faults_of_a_shape_are_named(tmp_path, bad, message):
    with pytest.raises(ValueError, match=rf"a\.json.*{message}"):
        mask_of(tmp_path, [bad])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"imageHeight": None}, r"a\.json says height None and width \d+; expected whole numbers of pixels"),
        ({"imageHeight": -32}, r"a\.json says height -32 and width \d+; expected whole numbers of pixels"),
        ({"imageHeight": 1e9, "imageWidth": 1e9}, "says an image of 1000000000x1000000000 pixels; expected at most"),
        ({"shapes": {}}, r"a\.json has a dict as 'shapes'; expected list"),
        ({"imageHeight": 32, "imageWidth": 24}, "the mask is 24x32 pixels, its image .* is 32x24; expected equal"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        mask_of(tmp_path, [], change=change)


def test_what_is_no_json_is_refused(tmp_path):
    dataset = written(tmp_path, [])
    (tmp_path / "a.json").write_text("<xml>")
    with pytest.raises(ValueError, match=r"a\.json: not readable as JSON .*expected Labelme's 'shapes'"):
        dataset.read(dataset.subset("all")[0])
