"""COCO files become semantic masks: pixels as COCO's own package has them, overlaps by a rule, faults by name."""

import json
import sys

import numpy as np
import pytest
from pycocotools import mask as oracle

from semiverse.datasets import Coco
from semiverse.formats.coco import uncompressed
from semiverse.labels import IGNORE
from tests.fakes import write_photo
from tests.fakes.own import annotation, box, coco_file, compressed, rectangle, runs_of, write_coco, write_json

SIZE = (12, 16)


def written(root, annotations, size=SIZE, change=None, **options):
    """A dataset of one image."""
    content = coco_file({1: "a.png"}, annotations, size)
    if change is not None:
        change(content)
    write_photo(root / "images" / "a.png", size=SIZE)
    write_json(root / "train.json", content)
    return Coco(root, {"train": "train.json"}, **options)


def mask_of(root, annotations, **options):
    dataset = written(root, annotations, **options)
    return dataset.read(dataset.subset("train")[0])[1].numpy()


def random_pixels(seed, size=SIZE):
    return np.random.default_rng(seed).random(size) < 0.4


@pytest.mark.parametrize("code", [runs_of, compressed])
@pytest.mark.parametrize("pixels", [random_pixels(0), random_pixels(1), np.ones(SIZE, bool), np.zeros(SIZE, bool)])
def test_a_region_written_as_run_lengths_comes_back_pixel_by_pixel(tmp_path, code, pixels):
    coded = {"size": list(SIZE), "counts": code(pixels)}
    assert np.array_equal(mask_of(tmp_path, [annotation(1, 1, 7, coded)]) == 2, pixels)


@pytest.mark.parametrize("seed", range(4))
def test_text_of_run_lengths_is_read_as_by_cocos_own_package(seed):
    big = random_pixels(seed, (300, 200)) if seed else box(3, 7, 180, 299, (300, 200))
    runs = uncompressed(compressed(big))
    assert runs == runs_of(big)
    again = oracle.frPyObjects({"size": [300, 200], "counts": runs}, 300, 200)
    assert np.array_equal(oracle.decode(again), big)


def test_polygons_cover_the_pixels_that_cocos_own_package_says_and_parts_are_joined(tmp_path):
    polygons = [[1.3, 0.6, 9.2, 2.5, 5.5, 8.75, 0.5, 6.1], [10, 1, 20, 4, 12, 30], rectangle(0, 10, 3, 12)]
    wanted = np.zeros(SIZE, dtype=np.uint8)
    for polygon in polygons:
        wanted |= oracle.decode(oracle.frPyObjects([polygon], *SIZE))[..., 0]
    assert 0 < wanted.sum() < wanted.size
    assert np.array_equal(mask_of(tmp_path, [annotation(1, 1, 7, polygons)]) == 2, wanted.astype(bool))


def test_a_rectangle_covers_exactly_its_pixels(tmp_path):
    edges = (3, 2, 7, 9)
    mask = mask_of(tmp_path, [annotation(1, 1, 90, [rectangle(*edges)])])
    assert np.array_equal(mask, np.where(box(*edges), 3, 0))


OVERLAPPING = [annotation(1, 1, 7, [rectangle(2, 2, 5, 5)]), annotation(2, 1, 3, [rectangle(0, 0, 10, 10)])]


@pytest.mark.parametrize("overlap, on_top", [("order", 1), ("small-on-top", 2)])
def test_where_regions_overlap_the_later_or_the_smaller_wins(tmp_path, overlap, on_top):
    mask = mask_of(tmp_path, OVERLAPPING, overlap=overlap)
    assert (mask[2:5, 2:5] == on_top).all()
    assert (mask[:10, :10] == 1).sum() == (100 if on_top == 1 else 91)


def test_of_equally_small_regions_the_later_wins(tmp_path):
    twins = [annotation(i, 1, category, [rectangle(0, 0, 4, 4)]) for i, category in ((1, 3), (2, 7))]
    assert mask_of(tmp_path, twins, overlap="small-on-top")[0, 0] == 2


def test_train_ids_follow_category_ids_or_the_given_classes(tmp_path):
    assert written(tmp_path, []).labels.classes == ("background", "road", "car", "person")
    dataset = written(tmp_path, [], classes=("person", "background", "car", "road"))
    assert dataset.labels.classes == ("person", "background", "car", "road")
    assert dataset.read(dataset.subset("train")[0])[1].unique().tolist() == [1]


def test_a_name_that_two_category_ids_have_is_one_class(tmp_path):
    def change(content):
        content["categories"].append({"id": 4, "name": "road"})

    mask = mask_of(tmp_path, [annotation(1, 1, 4, [rectangle(0, 0, 2, 2)])], change=change)
    assert mask[0, 0] == 1


@pytest.mark.parametrize("others, found", [("ignore", IGNORE), ("skip", 2)])
def test_categories_that_are_no_class_can_be_ignored_or_skipped(tmp_path, others, found):
    annotations = [annotation(1, 1, 7, [rectangle(0, 0, 4, 4)]), annotation(2, 1, 90, [rectangle(1, 1, 3, 3)])]
    assert mask_of(tmp_path, annotations, classes=("road", "car"), others=others)[2, 2] == found


def test_a_category_that_is_no_class_is_refused_by_name(tmp_path):
    dataset = written(tmp_path, [annotation(1, 1, 90, [rectangle(1, 1, 3, 3)])], classes=("road", "car"))
    with pytest.raises(
        ValueError, match=r"train\.json/a\.png: a region is called 'person'; expected one of background, road, car: add"
    ):
        dataset.read(dataset.subset("train")[0])


@pytest.mark.parametrize("background, found", [("background", 0), ("floor", 0), (None, IGNORE)])
def test_an_image_without_annotations_is_background_or_unlabelled(tmp_path, background, found):
    dataset = written(tmp_path, [], background=background)
    record = dataset.subset("train")[0]
    assert record.mask is not None
    assert dataset.read(record)[1].unique().tolist() == [found]
    assert dataset.labels.classes[0] == (background or "road")


def test_splits_can_have_folders_of_their_own(tmp_path):
    write_photo(tmp_path / "train2017" / "a.png", size=SIZE)
    write_json(tmp_path / "train.json", coco_file({1: "a.png"}, []))
    dataset = Coco(tmp_path, {"train": "train.json"}, images="{split}2017")
    assert [record.image for record in dataset.subset("train")] == [tmp_path / "train2017" / "a.png"]


def test_images_that_are_missing_are_counted_and_named(tmp_path):
    dataset, _ = write_coco(tmp_path)
    (tmp_path / "images" / "deep" / "a.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"train\.json: 1 of 2 images .*first: .*a\.png; expected .* below .*images: add them"
    ):
        dataset.subset("train")


def test_given_classes_need_no_file_until_the_data_is_used(tmp_path):
    assert Coco(tmp_path / "nowhere", {"train": "t.json"}, classes=("road",)).labels.classes == ("background", "road")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Coco(tmp_path / "nowhere", {"train": "t.json"})


IMAGE = {"id": 1, "file_name": "a.png", "height": 12, "width": 16}
GOOD = [rectangle(0, 0, 2, 2)]

FAULTS = {
    "image-unknown": (
        {"annotations": [annotation(4, 8, 7, GOOD)]},
        r"annotation 4 is about image 8, which 'images' does not list; expected an id of its 1 images: remove",
    ),
    "category-unnamed": (
        {"annotations": [annotation(4, 1, 5, GOOD)]},
        r"annotation 4 has category id 5, which has no name in 'categories'; expected one of 3, 7, 90: name it",
    ),
    "category-without-name": ({"categories": [{"id": 3}]}, r"a category has no 'name'; expected str: correct"),
    "no-annotations": (
        {"annotations": None},
        "has no 'annotations'; expected list: correct the file, or export it again",
    ),
    "annotation-is-text": ({"annotations": ["x"]}, r"annotation x has no 'image_id'; expected int or float or str"),
    "no-height": ({"images": [IMAGE | {"height": "x"}]}, r"image 1 says height 'x' and width 16; expected whole"),
    "id-twice": ({"images": [IMAGE, IMAGE | {"file_name": "b.png"}]}, r"image 1 \(b\.png\) has an id or a file name"),
    "name-twice": ({"images": [IMAGE, IMAGE | {"id": 2}]}, r"image 2 \(a\.png\) has an id or a file name that another"),
    "no-images": ({"images": []}, r"'images' is empty; expected .*: export the file again"),
    "absolute": (
        {"images": [IMAGE | {"file_name": "/x/a.png"}]},
        r"image 1 is called /x/a\.png; expected a path below",
    ),
    "two-points": (
        {"annotations": [annotation(4, 1, 7, [[1, 1, 5, 5]])]},
        r"annotation 4 has a polygon of 4 values; expected a list of polygons, .* at least 3 points: remove or redraw",
    ),
    "odd-polygon": ({"annotations": [annotation(4, 1, 7, [[1, 1, 5, 5, 2, 3, 4]])]}, "annotation 4 has a polygon of 7"),
    "flat-polygon": ({"annotations": [annotation(4, 1, 7, rectangle(0, 0, 2, 2))]}, "a polygon of 0; expected a list"),
    "no-region": ({"annotations": [annotation(4, 1, 7, [])]}, r"annotation 4 has no 'segmentation'; .* a box says"),
    "runs-of-another-size": (
        {"annotations": [annotation(4, 1, 7, {"size": [6, 8], "counts": [48]})]},
        r"annotation 4 has run lengths for 48 pixels, of size \[6, 8\]; expected 192 of \[height, width\] \[12, 16\]",
    ),
    "runs-too-short": (
        {"annotations": [annotation(4, 1, 7, {"size": [12, 16], "counts": [3, 4]})]},
        r"run lengths for 7 pixels, of size \[12, 16\]; expected 192",
    ),
    "text-too-short": (
        {"annotations": [annotation(4, 1, 7, {"size": [12, 16], "counts": compressed(np.ones((2, 2), bool))})]},
        r"run lengths for 4 pixels",
    ),
    "text-empty": ({"annotations": [annotation(4, 1, 7, {"size": [12, 16], "counts": ""})]}, "lengths for 0 pixels"),
    "negative-run": (
        {"annotations": [annotation(4, 1, 7, {"size": [12, 16], "counts": [3, -3, 192]})]},
        "run lengths for 192 pixels",
    ),
    "no-counts": ({"annotations": [annotation(4, 1, 7, {"size": [12, 16]})]}, "its segmentation has no 'counts'"),
}


@pytest.mark.parametrize("change, message", FAULTS.values(), ids=FAULTS.keys())
def test_faults_of_a_file_are_named(tmp_path, change, message):
    classes = None if "categories" in change else ("road", "car", "person")
    written(tmp_path, [], change=lambda content: content.update(change), classes=("road",))
    with pytest.raises(ValueError, match=rf"train\.json.*{message}"):
        dataset = Coco(tmp_path, {"train": "train.json"}, classes=classes)
        dataset.read(dataset.subset("train")[0])


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", r"train\.json: not readable as JSON \(.*\); expected COCO's 'images', .*: export or download it again"),
        ("\xff", "no UTF-8 text"),
        ("[1]", "found a list in this JSON; expected an object with COCO's"),
        (json.dumps({"shapes": []}), "train.json has no 'categories'; expected list"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, message):
    (tmp_path / "train.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        Coco(tmp_path, {"train": "train.json"})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"annotations": {}}, "annotations is empty; expected an annotation file for each split"),
        ({"overlap": "largest"}, "overlap: largest; expected order, small-on-top: choose one"),
        ({"others": "drop"}, "others: drop; expected refuse, ignore, skip"),
        ({"mapping": {"tram": "car"}}, "no class 'tram'"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Coco(tmp_path, **({"annotations": {"train": "t.json"}, "classes": ("car",)} | options))


def test_a_missing_package_says_what_to_install_and_run_lengths_do_without(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    coded = {"size": list(SIZE), "counts": runs_of(box(0, 0, 2, 2))}
    assert mask_of(tmp_path, [annotation(1, 1, 7, coded)])[1, 1] == 2
    with pytest.raises(ImportError, match=r'pip install "semiverse\[coco\]"'):
        mask_of(tmp_path, [annotation(1, 1, 7, GOOD)])
