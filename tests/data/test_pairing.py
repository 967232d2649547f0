"""Images and masks go together by name, and lists name images by path."""

from pathlib import Path

import pytest

from semiverse.data import Record, list_images, pair, select
from tests.fakes import write_photo

ITEMS = {"a": 1, "b.left": 2, "drive1/0001": 3, "drive2/0001": 4, "my photo": 5, "# 7": 6}


def listed(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    return tmp_path / "list.txt"


def test_images_are_found_in_sub_folders_in_the_order_of_their_names(tmp_path):
    for name in ("b.PNG", "deep/er/c.jpg", "a.v2.jpeg"):
        write_photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    found = list_images(tmp_path)
    assert list(found) == ["a.v2", "b", "deep/er/c"]
    assert found["deep/er/c"] == tmp_path / "deep/er/c.jpg"


def test_hidden_files_are_no_images(tmp_path):
    for name in ("a.png", "._a.png", ".thumbnails/a.jpg"):
        write_photo(tmp_path / name)
    assert list(list_images(tmp_path)) == ["a"]


def test_files_that_differ_only_in_their_extension_are_refused(tmp_path):
    write_photo(tmp_path / "a.png")
    write_photo(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg and a\.png differ only.*expected one.*rename"):
        list_images(tmp_path)


def test_a_missing_folder_and_one_without_images_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone: no such folder"):
        list_images(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"no image found; expected files ending in .*\.png"):
        list_images(tmp_path)


def test_images_and_masks_are_paired_by_name_in_the_order_of_the_images():
    images = {"b": Path("i/b.jpg"), "a": Path("i/a.jpg")}
    masks = {"a": Path("m/a.png"), "b": Path("m/b.png"), "further": Path("m/further.png")}
    assert pair(images, masks, Path("m")) == [
        Record(Path("i/b.jpg"), Path("m/b.png"), "b"),
        Record(Path("i/a.jpg"), Path("m/a.png"), "a"),
    ]


def test_images_without_mask_are_counted_and_the_first_is_named():
    images = {name: Path(f"i/{name}.jpg") for name in "abc"}
    with pytest.raises(FileNotFoundError, match=r"no mask for 2 of 3 images, first: i/b\.jpg; .* under m: add"):
        pair(images, {"a": Path("m/a.png")}, Path("m"))


def test_a_record_is_called_by_its_name_or_else_by_its_file():
    assert Record(Path("i/a.jpg"), None).id == "a"
    assert Record(Path("i/deep/a.jpg"), None, "deep/a").id == "deep/a"


@pytest.mark.parametrize(
    "line, name",
    [
        ("a", "a"),
        ("a.png", "a"),
        ("/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/b.left.png", "a"),
        ("b.left", "b.left"),
        ("b.left.JPG", "b.left"),
        ("images/drive2/0001.jpg", "drive2/0001"),
        ("my photo.png", "my photo"),
        ("  a\t", "a"),
        ("images\\drive2\\0001.jpg labels\\drive2\\0001.png", "drive2/0001"),
        (r"C:\Users\Jane Doe\images\a.png", "a"),
        ("images/my photo.png labels/my photo.png", "my photo"),
        ("my photo\tmy photo", "my photo"),
        ("./a.JPEG ./b.left.JPEG", "a"),
        ("a b.left", "a"),
        ("images/drive2/0001 labels/a", "drive2/0001"),
        ("images/my photo", "my photo"),
        ("# 7", "# 7"),
    ],
)
def test_a_list_names_an_item(tmp_path, line, name):
    assert select(listed(tmp_path, line), ITEMS, "items") == {name: ITEMS[name]}


def test_a_list_is_followed_in_its_order_and_empty_lines_do_not_count(tmp_path):
    assert list(select(listed(tmp_path, "\ufeffdrive2/0001\r\n\n  \r\na\n"), ITEMS, "items")) == ["drive2/0001", "a"]


def test_unknown_names_are_counted_and_the_first_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"list\.txt: 2 of 3 .* not among the 6 items here, first: 'c\.png'; expected each listed .*: cor",
    ):
        select(listed(tmp_path, "a\nc.png\n0001\n"), ITEMS, "items here")


@pytest.mark.parametrize("text", ["a\na\n", "a\nimages/a.png\n"])
def test_a_name_that_stands_twice_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"list\.txt: 'a' is listed more than once"):
        select(listed(tmp_path, text), ITEMS, "items")


@pytest.mark.parametrize("text", ["\n", "# only a remark\n"])
def test_an_empty_list_and_a_missing_one_are_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"list\.txt: the list is empty"):
        select(listed(tmp_path, text), ITEMS, "items")
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list file"):
        select(tmp_path / "gone.txt", ITEMS, "items")


def test_remarks_do_not_count(tmp_path):
    assert list(select(listed(tmp_path, "# drawn by hand\n#b.left\na\n  # the end\n"), ITEMS, "items")) == ["a"]


@pytest.mark.parametrize("line", ["c.png labels/a.png", "images/c labels/a", "c a", "images/c.png a.png"])
def test_the_label_of_a_line_is_never_taken_for_its_image(tmp_path, line):
    with pytest.raises(FileNotFoundError, match=r"1 of 1 listed images are not among"):
        select(listed(tmp_path, line), ITEMS, "items")


def test_a_name_with_a_blank_is_not_taken_for_its_first_word(tmp_path):
    items = {"photo": 1, "photo 2": 2}
    assert list(select(listed(tmp_path, "photo 2.png\nphoto.png\n"), items, "items")) == ["photo 2", "photo"]
    assert list(select(listed(tmp_path, "photo 2\nphoto\n"), items, "items")) == ["photo 2", "photo"]


def test_an_item_can_be_named_by_its_file_with_as_many_folders_as_tell_it_from_others(tmp_path):
    files = {"x1": Path("/data/left/ulm/ulm_1_left.png"), "x2": Path("/data/right/ulm/ulm_1_left.png")}
    items = {"x1": 1, "x2": 2, "ulm_1_left": 3}

    def found(line):
        return list(select(listed(tmp_path, line), items, "items", files))

    assert found("left/ulm/ulm_1_left.png gt/ulm/ulm_1_labels.png") == ["x1"]
    assert found("/elsewhere/right/ulm/ulm_1_left.png") == ["x2"]
    assert found("x1\nright/ulm/ulm_1_left") == ["x1", "x2"]
    assert found("ulm_1_left.png") == ["ulm_1_left"]  # an id
    del items["ulm_1_left"]
    with pytest.raises(FileNotFoundError, match="1 of 1 listed images are not among"):
        found("ulm_1_left.png")  # either of two


def test_a_list_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("stra\xdfe", encoding="latin-1")
    with pytest.raises(
        ValueError, match=r"list\.txt: no UTF-8 text .*expected one image name a line: save it as UTF-8"
    ):
        select(tmp_path / "list.txt", ITEMS, "items")
