import hashlib
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from semiverse.data import Split
from semiverse.datasets import synthetic
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets
from semiverse.labels import IGNORE
from semiverse.worlds.canvas import Camera, Canvas, Frame, Quad
from semiverse.worlds.streets import STYLES

WORLDS = {**{style: partial(SyntheticStreets, style) for style in STYLES}, "rooms": SyntheticRooms}


def fingerprint(dataset, split, index):
    image, mask = dataset.read(dataset.records(split)[index])
    return hashlib.sha256(image.numpy().tobytes() + mask.numpy().tobytes()).hexdigest()


def sample(dataset, count, split="train"):
    pairs = [dataset.read(record) for record in dataset.records(split)[:count]]
    return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])


@pytest.mark.parametrize("world", WORLDS)
def test_images_are_bytes_and_masks_hold_train_ids_or_ignore(world):
    dataset = WORLDS[world](images=8)
    images, masks = sample(dataset, 8)
    assert images.shape == (8, 3, 96, 128) and images.dtype == torch.uint8
    assert masks.shape == (8, 96, 128) and masks.dtype == torch.uint8
    assert set(masks.unique().tolist()) <= {*range(len(dataset.labels)), IGNORE}
    assert images.float().std() > 20


@pytest.mark.parametrize("world", ["day", "rooms"])
def test_every_class_occurs_often_and_clutter_is_ignored(world):
    dataset = WORLDS[world]()
    _, masks = sample(dataset, 60)
    for train_id, name in enumerate(dataset.labels.classes):
        assert (masks == train_id).flatten(1).any(dim=1).float().mean() > 0.4, name
    assert 0 < (masks == IGNORE).float().mean() < 0.05


@pytest.mark.parametrize("world", ["dusk", "rooms"])
def test_pixels_do_not_depend_on_global_random_state_or_on_what_was_read_before(world):
    dataset = WORLDS[world]()
    np.random.seed(1)
    torch.manual_seed(1)
    first = fingerprint(dataset, "train", 3)
    synthetic._scene.cache_clear()
    np.random.seed(2)
    torch.manual_seed(2)
    sample(dataset, 3)
    assert fingerprint(WORLDS[world](images=4), "train", 3) == first


@pytest.mark.slow
def test_another_process_renders_the_same_pixels():
    code = (
        "import hashlib; from semiverse.datasets.synthetic import *\n"
        "for dataset in (SyntheticStreets('rain'), SyntheticRooms()):\n"
        "    image, mask = dataset.read(dataset.records('val')[7])\n"
        "    print(hashlib.sha256(image.numpy().tobytes() + mask.numpy().tobytes()).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == [fingerprint(SyntheticStreets("rain"), "val", 7), fingerprint(SyntheticRooms(), "val", 7)]


@pytest.mark.parametrize("world", ["game", "rooms"])
def test_all_scenes_of_all_splits_differ(world):
    dataset = WORLDS[world](images=5, val_images=5)
    prints = [fingerprint(dataset, split, index) for split in dataset.splits for index in range(5)]
    assert len(set(prints)) == 15


@pytest.mark.slow
def test_styles_share_the_label_space_but_look_different():
    images = {style: sample(SyntheticStreets(style), 15)[0].float() for style in STYLES}
    assert len({SyntheticStreets(style).labels for style in STYLES}) == 1
    brightness = {style: float(batch.mean()) for style, batch in images.items()}
    colorfulness = {style: float((batch.amax(dim=1) - batch.amin(dim=1)).mean()) for style, batch in images.items()}
    # Neighbouring pixels of the same surface: what is left of a clean image is its edges.
    roughness = {style: float((batch[..., 1:] - batch[..., :-1]).abs().median()) for style, batch in images.items()}
    assert brightness["dusk"] < 0.9 * brightness["day"]
    assert colorfulness["rain"] < 0.8 * colorfulness["day"] < 0.8 * colorfulness["game"]
    assert roughness["game"] < 0.7 * min(roughness[style] for style in ("day", "dusk", "rain"))


def test_worlds_have_different_label_spaces():
    assert SyntheticStreets().labels.classes == (
        "sky", "building", "road", "sidewalk", "vegetation", "car", "person", "pole",
    )  # fmt: skip
    assert SyntheticRooms().labels.classes == (
        "wall", "floor", "ceiling", "window", "door", "table", "chair", "lamp", "plant",
    )  # fmt: skip


@pytest.mark.parametrize("world", ["day", "rooms"])
def test_mean_color_alone_does_not_tell_the_class(world):
    dataset = WORLDS[world]()
    images, masks = sample(dataset, 20)
    colors = images.permute(0, 2, 3, 1).reshape(-1, 3).float()
    labels = masks.flatten()
    colors, labels = colors[labels != IGNORE], labels[labels != IGNORE].long()
    means = torch.stack([colors[labels == train_id].mean(dim=0) for train_id in range(len(dataset.labels))])
    guess = torch.cdist(colors, means).argmin(dim=1)
    recalls = [float((guess[labels == i] == i).float().mean()) for i in range(len(dataset.labels))]
    assert sum(recalls) / len(recalls) < 0.5


@pytest.mark.parametrize("size", [(33, 47), (47, 33), (16, 16), (97, 129), (16, 90)])
@pytest.mark.parametrize("world", ["rain", "rooms"])
def test_any_size_from_16_pixels_can_be_rendered(world, size):
    image, mask = WORLDS[world](size=size).read(WORLDS[world](size=size).records("train")[0])
    assert image.shape == (3, *size) and mask.shape == size


def test_a_scene_is_the_same_at_another_size():
    small, large = SyntheticRooms(size=(48, 64)), SyntheticRooms(size=(144, 192))
    for record in small.records("val")[:5]:
        centers = large.read_mask(record.mask)[1::3, 1::3]
        assert (small.read_mask(record.mask) == centers).float().mean() > 0.995


def test_changing_what_was_read_leaves_the_next_reading_alone():
    dataset = SyntheticRooms()
    path = dataset.records("train")[0].image
    before = dataset.read_image(path)
    dataset.read_image(path).zero_()
    dataset.read_mask(path).zero_()
    assert torch.equal(dataset.read_image(path), before)


def test_image_and_mask_of_a_scene_are_rendered_once():
    synthetic._scene.cache_clear()
    dataset = SyntheticStreets()
    dataset.read(dataset.records("train")[0])
    assert synthetic._scene.cache_info().misses == 1


def test_constructor_arguments_are_kept_and_number_the_records():
    dataset = SyntheticStreets(style="game", images=7, val_images=3, size=(32, 48))
    assert (dataset.style, dataset.images, dataset.val_images, dataset.size) == ("game", 7, 3, (32, 48))
    assert [len(dataset.records(split)) for split in ("train", "val", "test")] == [7, 3, 3]
    names = [record.id for split in dataset.splits for record in dataset.records(split)]
    assert len(set(names)) == 13
    assert dataset.records("train")[6].image == Path("streets-game/train/train_00006")


def test_a_split_gives_samples():
    dataset = SyntheticRooms(images=2, size=(32, 48))
    split = Split(dataset, dataset.records("train"), lambda image, mask, _: (image, mask))
    assert split[1].image.shape == (3, 32, 48)
    assert split[1].id == "train_00001"


def test_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'dev'.*train, val, test"):
        SyntheticRooms().records("dev")


def test_unknown_style_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'snow'.*day, dusk, rain, game"):
        SyntheticStreets(style="snow")


@pytest.mark.parametrize("options", [{"size": (8, 128)}, {"images": 0}, {"val_images": -1}])
def test_impossible_measures_are_refused(options):
    with pytest.raises(ValueError, match="at least"):
        SyntheticRooms(**options)


def ahead(size=(20, 30)):
    """A canvas whose camera looks along z; one pixel is one metre at a depth of 30 metres."""
    camera = Camera.looking((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, focal=1.0)
    return Canvas(size, camera, lambda _: (1.0, 1.0, 1.0), background=0)


def plain(value):
    return lambda u, _: np.full((3, len(u)), value, np.float32)


def test_a_square_covers_exactly_the_pixels_whose_centers_it_covers():
    canvas = ahead()
    canvas.paint(Quad((-4.2, -3.0, 30.0), (9.0, 0.0, 0.0), (0.0, 5.2, 0.0)), 1, plain(1.0))
    expected = np.zeros((20, 30), np.uint8)
    for row in range(20):
        for column in range(30):
            x, y = column + 0.5 - 15, 10 - (row + 0.5)
            expected[row, column] = -4.2 <= x <= 4.8 and -3.0 <= y <= 2.2
    _, mask, nearness = canvas.finish()
    assert np.array_equal(mask, expected)
    assert np.allclose(nearness[mask == 1], 1 / 30)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_nearer_surface_hides_the_other_in_any_order_of_drawing(order):
    canvas = ahead()
    depths = {1: 30.0, 2: 15.0}
    for label in order:
        canvas.paint(Quad((-2.0, -2.0, depths[label]), (4.0, 0.0, 0.0), (0.0, 4.0, 0.0)), label, plain(1.0))
    _, mask, _ = canvas.finish()
    assert (mask == 2).sum() == 8 * 8  # twice as large at half the distance, so it hides the other one
    assert (mask == 1).sum() == 0


def test_texture_coordinates_are_metres_in_perspective():
    canvas = ahead()
    seen = []
    ground = Quad((-50.0, -3.0, 1.0), (100.0, 0.0, 0.0), (0.0, 0.0, 200.0))

    def remember(u, v):
        seen.append((u, v))
        return np.zeros((3, len(u)), np.float32)

    canvas.paint(ground, 1, remember)
    x, _, z = canvas.positions()
    _, mask, _ = canvas.finish()
    row, column = 18, 4  # its centre looks 8.5 pixels down and 10.5 to the left: 3 m down at a depth of 30 * 3 / 8.5
    assert mask[row, column] == 1
    assert z[row, column] == pytest.approx(30 * 3 / 8.5, rel=1e-4)
    assert x[row, column] == pytest.approx(-10.5 * 3 / 8.5, rel=1e-4)
    u, v = seen[0]
    distance = np.hypot(u - (50 - 10.5 * 3 / 8.5), v - (30 * 3 / 8.5 - 1))
    assert distance.min() < 1e-3


def test_a_shadow_falls_on_its_own_plane_only():
    canvas = ahead()
    canvas.paint(Quad((-5.0, -5.0, 30.0), (10.0, 0.0, 0.0), (0.0, 10.0, 0.0)), 1, plain(1.0))
    canvas.paint(Quad((-5.0, 0.0, 25.0), (10.0, 0.0, 0.0), (0.0, 4.0, 0.0)), 2, plain(1.0))
    canvas.shade(Quad((-5.0, -5.0, 30.0), (10.0, 0.0, 0.0), (0.0, 10.0, 0.0)), 0.5)
    image, mask, _ = canvas.finish()
    inside = image[0, 2:-2, 10:20], mask[2:-2, 10:20]
    assert np.median(inside[0][inside[1] == 1]) == 0.5
    assert np.median(inside[0][inside[1] == 2]) == 1.0


def test_a_box_shows_the_faces_towards_the_eye():
    faces = Frame((0.0, 0.0, 10.0)).faces((-1.0, 0.0, -1.0), (1.0, 2.0, 1.0), eye=(5.0, 3.0, 0.0))
    assert set(faces) == {"back", "right", "top"}
    assert set(Frame((0.0, 0.0, 10.0)).faces((-1.0, 0.0, -1.0), (1.0, 2.0, 1.0), eye=(0.0, 1.0, 0.0))) == {"back"}
