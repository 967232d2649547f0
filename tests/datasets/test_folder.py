"""The layouts and codings of one's own folders, and what is refused about them."""

import numpy as np
import pytest
from PIL import Image

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
        ({"ignore": 2}, "ignore is 2, the id of sky; expected 0 to 65535 .*null in mapping"),
        ({"ignore": 65536}, "ignore is 65536; expected 0 to 65535"),
        ({"mapping": {"tram": "car"}}, "no class 'tram'"),
        ({"others": "drop"}, "others: drop; expected refuse or ignore"),
        ({"masks": "rgb", "palette": COLORS, "ids": {}}, "ids beside masks: rgb; expected them with index or palette"),
        ({"ids": {"road": 7, "car": 8}}, r"ids lack \['sky'\]"),
        ({"ids": {"road": 7, "car": 8, "sky": 9, "tram": 1}}, r"name \['tram'\], which are no classes"),
        ({"ids": {"road": 7, "car": 8, "sky": 65536}}, "the id of sky is 65536; expected 0 to 65535"),
        ({"ids": {"road": 7, "car": [8, 7], "sky": 9}}, "7 is the id of road and of car; expected one class"),
        ({"ids": {"road": 7, "car": 8, "sky": 255}}, "ignore is 255, the id of sky; .* or null"),
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


def test_suffixes_are_no_part_of_the_name_and_files_without_them_are_left_out(tmp_path):
    for city in ("bonn/1", "aachen/2"):
        write_photo(tmp_path / "images" / f"{city}_leftImg8bit.PNG")
        for kind in ("labelIds", "color", "instanceIds"):
            write_mask(tmp_path / "masks" / f"{city}_gtFine_{kind}.png", [[0] * 16] * 12)
    write_photo(tmp_path / "images" / "bonn" / "1_rightImg8bit.png")
    dataset = Folder(tmp_path, THREE, image_suffix="_leftImg8bit", mask_suffix="_gtFine_labelIds")
    records = dataset.subset("all")
    assert [(record.image.name, record.mask.name) for record in records] == [
        ("2_leftImg8bit.PNG", "2_gtFine_labelIds.png"),
        ("1_leftImg8bit.PNG", "1_gtFine_labelIds.png"),
    ]
    (tmp_path / "few.txt").write_text("bonn/1_leftImg8bit.png")
    assert ids(dataset, "few.txt") == ["bonn/1_leftImg8bit"]


def test_a_suffix_that_no_file_has_is_named(tmp_path):
    write_undivided(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no image found whose name ends in _mask; .* and the suffix"):
        Folder(tmp_path, THREE, mask_suffix="_mask").subset("all")


def test_names_that_differ_in_capital_letters_do_not_go_together_and_the_message_says_so(tmp_path):
    write_photo(tmp_path / "images" / "Yard.JPG")
    write_mask(tmp_path / "masks" / "yard.png", [[0] * 16] * 12)
    with pytest.raises(FileNotFoundError, match=r"no mask for 1 of 1 .*Yard\.JPG.*\(yard\.png differs in capital"):
        Folder(tmp_path, THREE).subset("all")


def write_turned(tmp_path, mask, mask_tag=None):
    """A photograph that lies on its side and says so, and a mask."""
    side = Image.Exif()
    side[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png", exif=side)
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png", **({"exif": side} if mask_tag else {}))
    dataset = Folder(tmp_path, THREE)
    return pixels, dataset.read(dataset.subset("all")[0])


def test_a_mask_of_the_upright_image_fits_an_image_that_is_turned_upright(tmp_path):
    mask = np.arange(35, dtype=np.uint8).reshape(7, 5) % 3
    pixels, (image, found) = write_turned(tmp_path, mask)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.rot90(pixels, -1))
    assert np.array_equal(found.numpy(), mask)


def test_a_mask_that_has_the_tag_too_is_turned_with_its_image(tmp_path):
    mask = np.arange(35, dtype=np.uint8).reshape(5, 7) % 3
    _, (_, found) = write_turned(tmp_path, mask, mask_tag=True)
    assert np.array_equal(found.numpy(), np.rot90(mask, -1))


def test_a_mask_that_lies_on_its_side_without_saying_so_is_refused_with_the_cause(tmp_path):
    with pytest.raises(ValueError, match=r"the mask is 7x5 pixels, its image .* is 5x7; .*EXIF tag .*remove the tag"):
        write_turned(tmp_path, np.zeros((5, 7), dtype=np.uint8))
