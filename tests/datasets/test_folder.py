"""The layouts and codings of one's own folders, and what is refused about them."""

import pytest

from semiverse.datasets import Folder
from semiverse.labels import IGNORE
from tests.fakes import COLORS, THREE, write_folder, write_image_folder, write_mask, write_photo, write_unmasked_folder


def write_undivided(root, names=("a", "b", "c")):
    for name in names:
        write_photo(root / "images" / f"{name}.png")
        write_mask(root / "masks" / f"{name}.png", [[0] * 16] * 12)


def ids(dataset, split):
    return [record.id for record in dataset.subset(split)]


def test_undivided_images_are_only_the_split_all(tmp_path):
    write_undivided(tmp_path)
    dataset = Folder(tmp_path, THREE)
    assert dataset.split_names() == ("all",)
    assert ids(dataset, "all") == ["a", "b", "c"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_undivided_images_are_never_silently_taken_for_a_split(tmp_path, split):
    write_undivided(tmp_path)
    with pytest.raises(
        ValueError,
        match=rf"no split '{split}', found nothing that divides the images; expected list files .*train\.txt.* or "
        rf"folders {split}/images .*'all'",
    ):
        Folder(tmp_path, THREE).subset(split)


def test_a_list_for_training_alone_does_not_give_a_validation_split(tmp_path):
    write_undivided(tmp_path)
    (tmp_path / "train.txt").write_text("a\nb")
    dataset = Folder(tmp_path, THREE, splits={"train": "train.txt"})
    assert ids(dataset, "train") == ["a", "b"]
    with pytest.raises(ValueError, match="no split 'val', found lists only for train"):
        dataset.subset("val")


def test_lists_pick_from_all_undivided_images(tmp_path):
    dataset, _ = write_folder(tmp_path, layout="lists")
    assert (ids(dataset, "train"), ids(dataset, "val")) == (["b", "a_b"], ["c"])
    assert ids(dataset, "all") == ["a_b", "b", "c"]


def test_lists_win_over_split_folders_and_pick_from_all_of_them(tmp_path):
    dataset, _ = write_folder(tmp_path)
    (tmp_path / "few.txt").write_text("val/images/c.jpg\nb")
    again = Folder(tmp_path, THREE, splits={"train": tmp_path / "few.txt"})
    assert ids(dataset, "train") == ["a_b", "b"]
    assert ids(again, "train") == ["c", "b"]
    assert ids(again, "val") == ["c"]


def test_split_folders_are_found_and_images_in_sub_folders_named_with_them(tmp_path):
    dataset, _ = write_folder(tmp_path, layout="nested")
    assert dataset.split_names() == ("train", "val")
    assert ids(dataset, "train") == ["a/b", "b"]
    (tmp_path / "few.txt").write_text("images/a/b.jpg")
    assert ids(dataset, str(tmp_path / "few.txt")) == ["a/b"]


def test_split_folders_beside_undivided_images_are_refused(tmp_path):
    write_folder(tmp_path)
    write_undivided(tmp_path)
    with pytest.raises(ValueError, match="expected either split folders or undivided images: move one"):
        Folder(tmp_path, THREE).subset("train")


def test_a_folder_without_images_names_the_layouts(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"holds no folder 'images'; expected images/ and masks/, or train/images/"
    ):
        Folder(tmp_path, THREE).subset("train")


def test_building_the_object_touches_no_file(tmp_path):
    assert Folder(tmp_path / "nowhere", THREE, splits={"train": "t.txt"}).labels.classes == THREE


def test_images_without_masks_need_no_mask_folder(tmp_path):
    dataset, _ = write_unmasked_folder(tmp_path)
    assert (dataset.read(dataset.subset("all")[0])[1] == IGNORE).all()


def test_an_image_folder_has_only_the_split_all(tmp_path):
    dataset, _ = write_image_folder(tmp_path)
    assert ids(dataset, "all") == ["a", "deep/b"]
    with pytest.raises(ValueError, match="ImageFolder has no split 'train'; expected one of all"):
        dataset.subset("train")


def test_classes_can_be_merged_renamed_and_ignored(tmp_path):
    dataset = Folder(tmp_path, THREE, mapping={"road": "ground", "sky": None}, palette=COLORS)
    assert dataset.labels.classes == ("ground", "car")
    assert dataset.labels.palette == COLORS[:2]
    file = write_mask(tmp_path / "m.png", [[0, 1, 2, 255]])
    assert dataset.read_mask(file).tolist() == [[0, 1, IGNORE, IGNORE]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"masks": "rgb"}, "rgb without a palette"),
        ({"masks": "rgb", "palette": ((1, 1, 1), (2, 2, 2), (1, 1, 1))}, "stands twice in palette"),
        ({"masks": "rgb", "palette": COLORS, "ignore_color": COLORS[0]}, "stands twice in palette and ignore_color"),
        ({"palette": COLORS[:2]}, "3 classes but 2 colours"),
        ({"masks": "binary"}, "binary with 3 classes; expected two"),
        ({"masks": "colour"}, "masks: colour; expected index, palette, rgb, binary, none"),
        ({"ignore": 2}, "ignore is 2; expected 3 to 255.*null in mapping"),
        ({"ignore": 256}, "ignore is 256; expected 3 to 255"),
        ({"mapping": {"tram": "car"}}, "no class 'tram'"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        Folder(tmp_path, THREE, **arguments)


def test_a_binary_mask_with_1_and_255_is_refused_as_255_may_mean_ignore(tmp_path):
    dataset = Folder(tmp_path, ("other", "door"), masks="binary")
    file = write_mask(tmp_path / "m.png", [[0, 1, 255]])
    with pytest.raises(ValueError, match=r"m\.png: the mask holds 1 and 255; expected only one .* masks: index"):
        dataset.read_mask(file)
    assert Folder(tmp_path, ("other", "door")).read_mask(file).tolist() == [[0, 1, IGNORE]]
