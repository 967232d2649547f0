"""Nothing of the user's reaches C code unchecked, and memory of a mask does not grow with the number of its objects."""

import json
import math
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from semiverse.data import read_indices
from semiverse.datasets import CvatXml
from semiverse.files import DataProblem, check_number
from semiverse.formats import coco, labelme
from semiverse.formats.cityscapes import read_polygons
from semiverse.formats.regions import Patch, RegionPainter, checked_points, checked_size, draw_polygons, whole_number
from tests.robustness.yards import SIZE, checked, garden, market, photo, save

WILD = [math.nan, math.inf, -math.inf, 3e9, -3e9, 1e300, 10**400]


@pytest.mark.parametrize("value", WILD, ids=lambda value: f"{value!s:.6}")
@pytest.mark.parametrize("axis", [0, 1])
def test_wild_coordinates_are_refused_everywhere(tmp_path, value, axis):
    point = [4.0, 4.0]
    point[axis] = value
    with pytest.raises(DataProblem, match="has the point"):
        checked_points([point], "a.json: annotation 2")
    with pytest.raises(DataProblem):
        draw_polygons(SIZE, [(1, [point, (9, 4), (9, 9)])], 0)
    coded = [[*point, 9, 4, 9, 9]]
    with pytest.raises(DataProblem, match="annotation 2"):
        coco.pixels_of(coco.Region("crate", coded, False, "annotation 2"), SIZE)
    text = json.dumps(
        {"imgHeight": 9, "imgWidth": 9, "objects": [{"label": "car", "polygon": [point, [9, 4], [9, 9]]}]}
    )
    with pytest.raises(DataProblem, match=r"p\.json"):
        read_polygons(text.encode(), tmp_path / "p.json", ("car",))
    for kind in ("polygon", "circle", "line", "point", "linestrip"):
        shape = {"shape_type": kind, "points": [point, [9, 4], [9, 9]]}
        found = checked(garden(tmp_path / "garden", [shape]))
        assert len(found.problems) == 1 and "a.json" in found.problems[0]


@pytest.mark.parametrize("far", [1e10, 1e300, 10**12])
def test_a_rectangle_that_reaches_far_outside_covers_the_image(tmp_path, far):
    dataset = garden(tmp_path, [{"shape_type": "rectangle", "points": [[-far, -5], [far, far]]}])
    _, mask = dataset.read(dataset.subset("all")[0])
    assert mask.unique().tolist() == [dataset.labels.id_of("tree")]


@pytest.mark.parametrize("counts", [[10**400], [2**63], [-1, 193], [1.5], ["x"], [math.nan], "\xff", "o" * 5000, []])
def test_run_lengths_that_are_none_are_refused(tmp_path, counts):
    dataset = market(tmp_path, [{"segmentation": {"counts": counts, "size": list(SIZE)}}])
    found = checked(dataset, "train")
    assert len(found.problems) == 1 and "a.json" in found.problems[0]


@pytest.mark.parametrize(
    "size",
    [(0, 5), (-1, 5), (1e9, 1e9), (math.nan, 5), ("x", 5), (None, 5), (2.5, 5), (True, 5), (10**400, 5), ([], 5)],
)
def test_sizes_that_no_image_has_are_refused(tmp_path, size):
    with pytest.raises(DataProblem):
        checked_size(*size, "a.json")
    height = size[0]
    found = checked(garden(tmp_path, [], imageHeight=height))
    assert len(found.problems) == 1 and "a.json" in found.problems[0]


@pytest.mark.parametrize("value, expected", [(1, 1), (1.0, 1), ("1", 1), (" -3 ", -3), (1.5, None), ("1.0", None)])
def test_whole_numbers(value, expected):
    assert whole_number(value) == expected
    assert whole_number(True) is None and whole_number(None) is None and whole_number("٣") is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 65.0])
def test_numbers_out_of_range(value):
    with pytest.raises(ValueError, match=r"model\.width is .*; expected a number, more than 0 and at most 64: correct"):
        check_number("model.width", value, 0, 64, above=True)
    check_number("model.width", 64, 0, 64, above=True)


def test_patches_are_the_pixels_of_the_whole_image():
    generator = np.random.default_rng(0)
    from pycocotools import mask as coder

    for _ in range(200):
        size = tuple(int(side) for side in generator.integers(1, 60, 2))
        coded = [(generator.random(2 * int(generator.integers(3, 7))) * 80 - 10).round(1).tolist()]
        expected = coder.decode(coder.merge(coder.frPyObjects(coded, *size))).astype(bool)
        assert np.array_equal(coco.pixels_of(coco.Region("x", coded, False, "x"), size).on(size), expected)


@pytest.mark.parametrize("kind", ["polygon", "rectangle", "circle", "line", "linestrip", "point"])
def test_shapes_in_boxes_are_those_drawn_on_the_whole_image(kind):
    generator = np.random.default_rng(1)
    for number in range(100):
        size = tuple(int(side) for side in generator.integers(1, 200, 2))
        points = [tuple(point) for point in (generator.random((4, 2)) * 240 - 20).round(number % 3).tolist()]
        points = points[: {"rectangle": 2, "circle": 2, "line": 2, "point": 1}.get(kind, 4)]
        image = Image.new("1", (size[1], size[0]))
        pen = ImageDraw.Draw(image)
        if kind == "polygon":
            pen.polygon(points, fill=1)
        elif kind == "rectangle":
            columns, rows = zip(*points, strict=True)
            pen.rectangle((min(columns), min(rows), max(columns), max(rows)), fill=1)
        elif kind == "circle":
            pen.circle(points[0], math.dist(*points), fill=1)
        elif kind == "point":
            pen.circle(points[0], 5, fill=1)
        else:
            pen.line(points, fill=1, width=10)
        found = labelme.pixels_of(labelme.Shape("x", kind, points), size).on(size)
        assert np.array_equal(found, np.array(image)), (kind, size, points)


@pytest.mark.parametrize("overlap", ["order", "small-on-top"])
def test_painting_is_that_of_regions_kept_and_sorted(overlap):
    generator, size = np.random.default_rng(2), (20, 24)
    painter = RegionPainter("x", ("a", "b", "c"), {}, None, "refuse", overlap)
    regions = []
    for _ in range(40):
        (top, bottom), (left, right) = (sorted(generator.integers(0, side + 1, 2)) for side in size)
        regions.append(
            ("abc"[int(generator.integers(3))], Patch(top, left, generator.random((bottom - top, right - left)) > 0.3))
        )
    expected = np.full(size, 255, dtype=np.uint8)
    ordered = [(name, patch.on(size)) for name, patch in regions]
    if overlap == "small-on-top":
        ordered.sort(key=lambda region: -int(region[1].sum()))
    for name, pixels in ordered:
        expected[pixels] = "abc".index(name)
    assert np.array_equal(painter.paint(size, iter(regions), "x"), expected)
    whole = ((name, patch.on(size)) for name, patch in regions)
    assert torch.equal(painter.paint(size, whole, "x"), torch.from_numpy(expected))


@pytest.mark.parametrize("overlap", ["order", "small-on-top"])
def test_memory_does_not_grow_with_the_number_of_objects(overlap):
    size, painter = (600, 800), RegionPainter("x", ("a",), {}, "background", "refuse", overlap)

    def peak(count: int) -> int:
        generator = np.random.default_rng(0)
        corners = generator.integers(0, 580, (count, 2)).tolist()
        shapes = (labelme.Shape("a", "polygon", [(x, y), (x + 15, y), (x + 15, y + 15)]) for x, y in corners)
        tracemalloc.start()
        painter.paint(size, (("a", labelme.pixels_of(shape, size)) for shape in shapes), "x")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(400) < 1.1 * peak(4)


def test_values_beyond_a_table_are_refused_and_not_looked_up(tmp_path):
    for value in (-1, 2**31 - 1, -(2**31)):
        Image.fromarray(np.array([[0, value]], dtype=np.int32)).save(tmp_path / "m.tif")
        with pytest.raises(DataProblem, match="outside the label space"):
            read_indices(tmp_path / "m.tif", {0: 0})


@pytest.mark.parametrize("point", ["nan,1", "inf,1", "1e9,1"])
def test_points_of_drawn_datasets_are_looked_at_as_well(tmp_path, point):
    save(tmp_path / "images" / "a.png", photo())
    shape = f'<polygon label="x" points="1,1;5,5;{point}"/>'
    image = f'<image name="a.png" width="{SIZE[1]}" height="{SIZE[0]}">{shape}</image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    dataset = CvatXml(tmp_path)
    with pytest.raises(DataProblem, match=r"'x' has the point .*; expected .* pixels"):
        dataset.read(dataset.subset("all")[0])


@pytest.mark.parametrize("shape", ["", '<mask label="x" left="0" top="0" width="9999999" height="9999999" rle="0,1"/>'])
def test_sizes_of_drawn_datasets_are_looked_at_before_memory_is_taken(tmp_path, shape):
    save(tmp_path / "images" / "a.png", photo())
    image = f'<image name="a.png" width="9999999" height="9999999">{shape}</image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    with pytest.raises(DataProblem, match="says an image of 9999999x9999999 pixels; expected at most"):
        dataset = CvatXml(tmp_path, classes=["x"])
        dataset.read(dataset.subset("all")[0])
