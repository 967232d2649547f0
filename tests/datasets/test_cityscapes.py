"""Cityscapes: masks of every kind, and agreement with the owner's package."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semiverse.datasets import GTA5, Cityscapes
from semiverse.evaluation.confusion import ConfusionMatrix
from semiverse.formats.cityscapes import LABELS, SPACE
from semiverse.formats.regions import draw_polygons
from semiverse.labels import IGNORE
from tests.fakes.basic import draw, known, write_mask
from tests.fakes.driving import CITYSCAPES_IDS, rectangle, write_cityscapes, write_polygons


@pytest.fixture
def random_objects():
    """Objects as annotators leave them: groups, deleted ones, number plates, points outside, crossing borders."""
    rng = np.random.default_rng(0)
    names = [label.name for label in LABELS] + ["cargroup", "persongroup", "bicyclegroup", "ridergroup"]

    def thing() -> dict:
        points = rng.integers(-10, 110, (int(rng.integers(2, 12)), 2))
        points = (points + rng.choice([0.0, 0.5], points.shape)).tolist() if rng.random() < 0.3 else points.tolist()
        return {"label": str(rng.choice(names)), "polygon": points, "deleted": int(rng.random() < 0.2)}

    everything = [{"label": name, "polygon": rectangle(3 * i, 0, 3 * i + 2, 9)} for i, name in enumerate(names)]
    return [[thing() for _ in range(40)] for _ in range(20)] + [everything]


def owners_mask(objects: list[dict], size: tuple[int, int], encoding: str) -> np.ndarray:
    """What cityscapesScripts makes of a polygon file."""
    pytest.importorskip("cityscapesscripts")
    from cityscapesscripts.helpers.annotation import Annotation
    from cityscapesscripts.preparation.json2labelImg import createLabelImage

    annotation = Annotation()
    annotation.fromJsonText(json.dumps({"imgHeight": size[0], "imgWidth": size[1], "objects": objects}))
    return np.array(createLabelImage(annotation, encoding))


def test_the_table_is_the_owners():
    theirs = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    train_ids = [IGNORE if label.trainId == -1 else label.trainId for label in theirs]
    assert [label.name for label in theirs] == [label.name for label in LABELS]
    assert [label.id for label in theirs] == [label.id for label in LABELS]
    assert [label.color for label in theirs] == [label.color for label in LABELS]
    assert train_ids == [label.train_id for label in LABELS]


def test_classes_stand_at_their_train_ids():
    evaluated = {label.train_id: label for label in LABELS if label.train_id != IGNORE}
    assert sorted(evaluated) == list(range(19))
    assert SPACE.classes == tuple(evaluated[i].name for i in range(19))
    assert SPACE.palette == tuple(evaluated[i].color for i in range(19))
    assert Cityscapes.labels is GTA5.labels is SPACE


def test_polygons_cover_the_pixels_that_the_owners_package_paints(tmp_path, random_objects):
    for objects in random_objects:
        path = write_polygons(tmp_path / "a_gtFine_polygons.json", objects, size=(90, 120))
        mask = Cityscapes(tmp_path).read_mask(path)
        assert mask.dtype == torch.uint8
        np.testing.assert_array_equal(mask.numpy(), owners_mask(objects, (90, 120), "trainIds"))


def test_label_ids_and_polygons_and_train_ids_give_one_mask(tmp_path, random_objects):
    dataset = Cityscapes(tmp_path)
    for objects in random_objects[-3:]:
        drawn = dataset.read_mask(write_polygons(tmp_path / "a_gtFine_polygons.json", objects, size=(90, 120)))
        for encoding in ("ids", "trainIds"):
            name = f"a_gtFine_label{encoding[0].upper()}{encoding[1:]}.png"
            path = write_mask(tmp_path / name, owners_mask(objects, (90, 120), encoding))
            assert torch.equal(dataset.read_mask(path), drawn)


def test_scores_are_those_of_the_owners_evaluation(tmp_path):
    owner = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    rng = np.random.default_rng(0)
    options = SimpleNamespace(evalInstLevelScore=False, evalPixelAccuracy=False)
    counts = owner.generateMatrix(options)
    ours = ConfusionMatrix(19)
    seen = [id_ for id_ in range(34) if id_ not in (28, 31)]  # neither a bus nor a train anywhere
    for i in range(3):
        truth = rng.choice(seen, (40, 60))
        guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.choice(seen, truth.shape))
        true_file = write_mask(tmp_path / f"{i}_gtFine_labelIds.png", truth)
        guess_file = write_mask(tmp_path / f"{i}_pred_labelIds.png", guess)
        owner.evaluatePair(str(guess_file), str(true_file), counts, {}, {}, options)
        prediction = torch.from_numpy(known(guess, CITYSCAPES_IDS))
        ours.update(prediction[None], Cityscapes(tmp_path).read_mask(true_file)[None])
    scores = ours.compute()
    ids = {label.name: label.id for label in LABELS}
    theirs = {name: owner.getIouScoreForLabel(ids[name], counts, options) for name in SPACE.classes}
    assert math.isnan(theirs["bus"]) and 0.2 < theirs["road"] < 0.8
    np.testing.assert_allclose(scores.iou.numpy(), list(theirs.values()), atol=1e-6)
    assert scores.miou == pytest.approx(owner.getScoreAverage(theirs, options), abs=1e-6)
    rows = [ids[name] for name in SPACE.classes]
    np.testing.assert_array_equal(ours.matrix[:, :19].numpy(), counts[np.ix_(rows, rows)].astype(np.int64))


def test_made_masks_come_before_label_ids_and_those_before_polygons(tmp_path):
    dataset, _ = write_cityscapes(tmp_path, "polygons")
    folder = tmp_path / "gtFine" / "train" / "aachen"
    assert dataset.records("train")[0].mask == folder / "aachen_000000_000019_gtFine_polygons.json"
    ids = write_mask(folder / "aachen_000000_000019_gtFine_labelIds.png", draw(0, [7, 26]))
    assert dataset.records("train")[0].mask == ids
    train_ids = write_mask(folder / "aachen_000000_000019_gtFine_labelTrainIds.png", draw(0, [0, 13]))
    assert dataset.records("train")[0].mask == train_ids
    assert [record.mask.suffix for record in dataset.records("train")] == [".png", ".json", ".json"]


def test_train_extra_is_a_split_only_where_it_is(tmp_path):
    dataset, _ = write_cityscapes(tmp_path / "without", "labelIds")
    assert dataset.split_names() == ("train", "val", "test")
    dataset, _ = write_cityscapes(tmp_path / "with", "labelIds", extra=True)
    assert dataset.split_names() == ("train", "val", "test", "train_extra")


def test_images_without_any_masks_are_unlabelled(tmp_path):
    dataset, masks = write_cityscapes(tmp_path, "labelIds")
    for path in sorted((tmp_path / "gtFine" / "train").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "gtFine" / "train").rmdir()
    assert [(record.id, record.mask) for record in dataset.records("train")] == [(n, None) for n in masks["train"]]


@pytest.mark.parametrize(
    "line",
    [
        "aachen_000002_000019",
        "aachen/aachen_000002_000019_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000002_000019_leftImg8bit.png gtFine/train/aachen/aachen_000002_000019.png",
    ],
    ids=["id", "file", "pair"],
)
def test_lists_name_images_in_every_public_way(tmp_path, line):
    dataset, _ = write_cityscapes(tmp_path, "labelIds")
    (tmp_path / "few.txt").write_text(f"{line}\nbremen_000001_000019\n")
    records = dataset.subset("few.txt")
    assert [record.id for record in records] == ["aachen_000002_000019", "bremen_000001_000019"]
    assert records == [dataset.records("train")[i] for i in (1, 2)]


def test_an_id_that_the_table_lacks_is_refused(tmp_path):
    path = write_mask(tmp_path / "a_gtFine_labelIds.png", draw(0, [7, 34]))
    with pytest.raises(ValueError, match=r"a_gtFine_labelIds.png: mask value 34"):
        Cityscapes(tmp_path).read_mask(path)
    path = write_mask(tmp_path / "a_gtFine_labelTrainIds.png", draw(0, [7, 19]))
    with pytest.raises(ValueError, match=r"a_gtFine_labelTrainIds.png: mask value 19"):
        Cityscapes(tmp_path).read_mask(path)


def test_a_name_that_the_table_lacks_is_refused(tmp_path):
    path = write_polygons(tmp_path / "a.json", [{"label": "zebragroup", "polygon": rectangle(0, 0, 3, 3)}])
    with pytest.raises(ValueError, match=r"a.json: found objects called zebra; expected names of the Cityscapes table"):
        Cityscapes(tmp_path).read_mask(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"imgHeight": 2}', '{"imgHeight": 2, "imgWidth": 2, "objects": [3]}'])
def test_a_file_without_polygons_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a.json: found no polygons .*expected JSON with imgHeight"):
        Cityscapes(tmp_path).read_mask(path)


def test_an_object_of_one_point_or_none_covers_nothing(tmp_path):
    objects = [{"label": "road", "polygon": rectangle(0, 0, 15, 11)}, {"label": "car", "polygon": []}]
    path = write_polygons(tmp_path / "a.json", [*objects, {"label": "car", "polygon": [[3, 3]]}])
    assert Cityscapes(tmp_path).read_mask(path).unique().tolist() == [0]


def test_a_number_plate_shows_the_car_below(tmp_path):
    objects = [{"label": name, "polygon": rectangle(0, 0, 15, 11)} for name in ("car", "license plate")]
    assert Cityscapes(tmp_path).read_mask(write_polygons(tmp_path / "a.json", objects)).unique().tolist() == [13]


def test_later_polygons_cover_earlier_ones_and_their_borders_belong_to_them():
    shapes = [(4, [(1, 0), (3, 0), (3, 2), (1, 2)]), (7, [(2, 1), (9, 1), (9, 9), (2, 9)])]
    expected = [[9, 4, 4, 4, 9], [9, 4, 7, 7, 7], [9, 4, 7, 7, 7]]
    assert draw_polygons((3, 5), shapes, background=9).tolist() == expected
