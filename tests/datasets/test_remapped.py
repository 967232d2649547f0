"""A dataset seen through another label space."""

import pytest

from semiverse.datasets import CamVid, Folder, Remapped, SyntheticStreets
from semiverse.labels import IGNORE
from tests.fakes import THREE, Numbered, write_camvid, write_folder

GROUND = {"road": "ground", "pavement": "ground", "sky": None}


def test_without_classes_those_that_are_left_make_the_space(tmp_path):
    dataset = Remapped(CamVid(tmp_path), GROUND)
    assert dataset.labels.name == "camvid11-remapped"
    assert dataset.labels.classes == (
        *("building", "pole", "ground", "tree", "signsymbol", "fence", "car", "pedestrian", "bicyclist"),
    )
    assert dataset.labels.palette[2] == (128, 64, 128)


def test_coverage_says_what_each_class_is_made_of():
    dataset = Remapped(
        Numbered(classes=("road", "path", "car", "bus", "sky")), {"path": "road", "bus": "car", "sky": None}
    )
    assert dataset.coverage() == [("road", ("road", "path")), ("car", ("car", "bus")), ("ignored", ("sky",))]


def test_coverage_shows_renamed_ignored_and_empty_classes_of_a_given_space():
    dataset = Remapped(Numbered(), {"car": "vehicle"}, classes=("vehicle", "water", "sky"), name="shared")
    assert dataset.labels.name == "shared"
    assert dataset.coverage() == [("vehicle", ("car",)), ("water", ()), ("sky", ("sky",)), ("ignored", ("road",))]


def test_masks_hold_ids_of_the_new_space():
    dataset = Remapped(Numbered(), {"road": None}, classes=("sky", "car"))
    values = [int(dataset.read(record)[1][0, 0]) for record in dataset.subset("train")]
    assert values == [IGNORE, 1, 0] * 2


def test_two_datasets_in_one_named_space_are_equal_and_share_a_head():
    one = Remapped(Numbered(classes=("road", "car", "sky")), {}, classes=("road", "sky"), name="shared")
    two = Remapped(Numbered(classes=("sky", "street")), {"street": "road"}, classes=("road", "sky"), name="shared")
    assert one.labels == two.labels


@pytest.mark.parametrize("mapping, name", [({"tram": "car"}, "tram"), ({"road": "lane"}, "lane")])
def test_unknown_classes_are_refused(mapping, name):
    with pytest.raises(ValueError, match=f"no class '{name}'"):
        Remapped(Numbered(), mapping, classes=THREE)


def test_splits_and_lists_are_those_of_the_dataset(tmp_path):
    inner, _ = write_folder(tmp_path, layout="lists")
    dataset = Remapped(inner, {"car": "road"})
    for split in ("train", "val", "all"):
        assert dataset.subset(split) == inner.subset(split)
    with pytest.raises(ValueError, match=r"Folder at .*no split 'test', found lists only for train, val"):
        dataset.subset("test")
    (tmp_path / "few.txt").write_text("c")
    assert dataset.subset("few.txt") == inner.subset("few.txt")


def test_undivided_images_are_not_taken_for_a_split_either(tmp_path):
    write_folder(tmp_path, layout="lists")
    with pytest.raises(ValueError, match="no split 'train'"):
        Remapped(Folder(tmp_path, THREE), {}).subset("train")


def test_a_dataset_can_be_remapped_twice(tmp_path):
    inner, masks = write_camvid(tmp_path)
    dataset = Remapped(Remapped(inner, GROUND), {"ground": "floor"}, classes=("floor",))
    record = dataset.subset("val")[0]
    road, pavement = CamVid.labels.id_of("road"), CamVid.labels.id_of("pavement")
    original = masks["val"][record.id]
    floor = (original == road) | (original == pavement)
    assert ((dataset.read(record)[1].numpy() == 0) == floor).all()


def test_rendered_datasets_can_be_remapped():
    streets = SyntheticStreets(images=1, val_images=1, size=(16, 24))
    dataset = Remapped(streets, {}, classes=(streets.labels.classes[0],))
    image, mask = dataset.read(dataset.subset("train")[0])
    assert image.shape == (3, 16, 24)
    assert set(mask.unique().tolist()) <= {0, IGNORE}
