"""The lists of LabelMeFacade that the library brings along."""

from semiverse.datasets import LabelMeFacade
from tests.datasets.scenes import SCENES


def names(split):
    return LabelMeFacade.lists[split].read_text().split()


def test_the_lists_divide_600_images():
    train, val = names("train450"), names("val150")
    assert (len(train), len(val)) == (450, 150)
    assert len(set(train) | set(val)) == 600


def test_photographs_of_one_scene_stay_on_one_side():
    train, val = set(names("train450")), set(names("val150"))
    scenes = [scene.split() for scene in SCENES.strip().split("\n\n")]
    assert len(scenes) == 27
    for scene in scenes:
        assert train.issuperset(scene) or val.issuperset(scene)
