"""What lies in a folder is used or named."""

import json
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from semiverse.data import list_images
from semiverse.data.walking import walk
from semiverse.datasets import VocFolder
from semiverse.files import DataProblem
from semiverse.inference.images import find_images
from tests.robustness.yards import checked, folder, garden, halves, market, photo, save, yard

needs_permissions = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read anything")


def names(place) -> list[str]:
    return [name for name, _ in walk(place).files]


def test_links_to_folders_are_followed(tmp_path):
    yard(tmp_path / "yard", "abc")
    yard(tmp_path / "disk", "def")
    for kind in ("images", "masks"):
        (tmp_path / "yard" / kind / "day2").symlink_to(tmp_path / "disk" / kind)
    records = folder(tmp_path / "yard").subset("all")
    assert [record.id for record in records] == ["a", "b", "c", "day2/d", "day2/e", "day2/f"]
    assert checked(folder(tmp_path / "yard")).problems == []


def test_links_in_circles_are_entered_once(tmp_path):
    place = tmp_path / "photos"
    save(place / "a.png", photo())
    (place / "self").symlink_to(place)
    (place / "sub").mkdir()
    (place / "sub" / "up").symlink_to(place)
    save(place / "sub" / "b.png", photo())
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "two").symlink_to(tmp_path / "two")
    (tmp_path / "two" / "one").symlink_to(tmp_path / "one")
    save(tmp_path / "two" / "c.png", photo())
    assert names(place) == ["a", "sub/b"]
    assert names(tmp_path / "one") == ["two/c"]


def test_one_folder_behind_two_links_is_used_twice(tmp_path):
    save(tmp_path / "disk" / "a.png", photo())
    place = tmp_path / "photos"
    place.mkdir()
    for name in ("day1", "day2"):
        (place / name).symlink_to(tmp_path / "disk")
    assert names(place) == ["day1/a", "day2/a"]


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("target", ["nowhere/d.png", "d.png"])
def test_links_that_lead_nowhere_are_problems_of_their_own(tmp_path, kind, target):
    root = yard(tmp_path / "yard", "abcd")
    place = root / kind / "d.png"
    place.unlink()
    place.symlink_to(target)  # "d.png" is the link itself
    found = checked(folder(root))
    assert len(found.problems) == 1 and str(place) in found.problems[0] and len(found.parts["all"].records) == 4
    assert "link" in found.problems[0]


def test_a_link_of_coco_that_leads_nowhere_is_a_problem_of_its_image(tmp_path):
    dataset = market(tmp_path, [])
    (tmp_path / "images" / "0.png").unlink()
    (tmp_path / "images" / "0.png").symlink_to(tmp_path / "store" / "0.png")
    assert "0.png: a link that leads to" in checked(dataset, "train").problems[0]


@pytest.mark.parametrize("kind", [".heic", ".HEIC", ".dng", ".jxl", ".svg", ".psd", ".tga"])
def test_pictures_of_kinds_that_are_not_read_are_listed(tmp_path, kind):
    root = yard(tmp_path / "yard")
    (root / "images" / f"x{kind}").write_bytes(b"x")
    found = checked(folder(root))
    assert (
        len(found.problems) == 1 and f"x{kind}" in found.problems[0] and "1 pictures are of kinds" in found.problems[0]
    )
    left_out: dict[str, str] = {}
    assert list(find_images([root / "images"], left_out)) == ["a", "b", "c"]
    assert list(left_out) == [str(root / "images" / f"x{kind}")]


def test_pictures_of_other_kinds_among_further_images_are_listed(tmp_path):
    root = yard(tmp_path / "yard")
    save(tmp_path / "photos" / "x.png", photo())
    (tmp_path / "photos" / "y.heic").write_bytes(b"x")
    found = checked(folder(root), unlabeled_folder=tmp_path / "photos")
    assert len(found.problems) == 1 and "y.heic" in found.problems[0]


@pytest.mark.parametrize("ending", [".ppm", ".pgm", ".jp2", ".jpe", ".PNM"])
def test_what_pillow_reads_is_read(tmp_path, ending):
    pixels = photo()[..., 0] if ending == ".pgm" else photo()
    path = tmp_path / "photos" / f"a{ending}"
    path.parent.mkdir()
    Image.fromarray(pixels).save(path, {".jp2": "JPEG2000", ".jpe": "JPEG"}.get(ending, "PPM"))
    assert list(list_images(tmp_path / "photos")) == ["a"]


def test_pipes_and_sockets_are_named_and_not_waited_for(tmp_path):
    save(tmp_path / "a.png", photo())
    os.mkfifo(tmp_path / "b.png")
    assert [str(problem).partition(":")[0] for problem in walk(tmp_path).problems] == [str(tmp_path / "b.png")]
    with pytest.raises(DataProblem, match="neither file nor folder"):
        list_images(tmp_path)


@needs_permissions
def test_folders_that_may_not_be_opened_are_named(tmp_path):
    root = yard(tmp_path / "yard", ("a", "sub/b"))
    (root / "images" / "sub").chmod(0)
    try:
        assert any("chmod" in problem and "images/sub" in problem for problem in checked(folder(root)).problems)
    finally:
        (root / "images" / "sub").chmod(0o755)


def test_folders_that_cannot_be_listed_are_named(tmp_path, monkeypatch):
    root, listed = yard(tmp_path / "yard", ("a", "sub/b")), os.scandir

    def refuse(place):
        if str(place).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return listed(place)

    monkeypatch.setattr(os, "scandir", refuse)
    found = checked(folder(root))
    assert any("images/sub: it may not be read (Permission denied)" in problem for problem in found.problems)
    problems: dict[str, str] = {}
    assert list(find_images([root / "images"], problems)) == ["a"] and len(problems) == 1


def drawn(name: str) -> str:
    shapes = [{"label": "tree", "points": [[1, 1], [9, 1], [9, 9]]}]
    return json.dumps({"shapes": shapes, "imagePath": name, "imageHeight": 12, "imageWidth": 16})


@pytest.mark.parametrize(
    "image, file, named",
    [
        ("IMG_2.jpg", "img_2.json", "IMG_2.jpg"),
        ("b_cropped.jpg", "b.json", "b_cropped.jpg"),
        ("c.JPG", "C.json", "c.JPG"),
        ("d_new.png", "d.json", "..\\photos\\d_new.png"),
    ],
)
def test_annotations_under_another_name_stop_training(tmp_path, image, file, named):
    dataset = garden(tmp_path, [])
    save(tmp_path / image, photo())
    (tmp_path / file).write_text(drawn(named))
    found = checked(dataset)
    assert len(found.problems) == 1 and file in found.problems[0] and image in found.problems[0]


def test_annotations_of_no_image_are_named(tmp_path):
    dataset = garden(tmp_path, [])
    for name in "bc":
        (tmp_path / f"{name}.json").write_text(drawn(f"{name}.jpg"))
    (tmp_path / "notes.json").write_text("{}")
    remarks = [remark for remark in checked(dataset).remarks if "no image for 2 annotation files" in remark]
    assert len(remarks) == 1 and "b.json" in remarks[0]


@pytest.mark.parametrize("ending", [".JSON", ".Json"])
def test_annotations_with_another_spelling_of_json_are_used(tmp_path, ending):
    dataset = garden(tmp_path, [])
    save(tmp_path / "b.jpg", photo())
    (tmp_path / f"b{ending}").write_text(drawn("b.jpg"))
    assert [record.mask is not None for record in dataset.subset("all")] == [True, True]


def test_images_that_no_annotation_file_lists_are_named(tmp_path):
    dataset = market(tmp_path, [])
    save(tmp_path / "images" / "more" / "9.png", photo())
    assert any(
        "1 pictures are in no split" in remark and "9.png" in remark for remark in checked(dataset, "train").remarks
    )


def stack(path, count: int, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.fromarray(halves((0, number % 2))) for number in range(count)]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)


@pytest.mark.parametrize("ending", [".tif", ".gif", ".png"])
def test_files_of_several_pictures_are_named(tmp_path, ending):
    root = yard(tmp_path / "yard")
    (root / "images" / "a.png").unlink()
    stack(root / "images" / f"a{ending}", 5)
    found = checked(folder(root))
    assert any("hold several pictures" in remark and "with 5" in remark for remark in found.remarks)
    (root / "masks" / "b.png").unlink()
    stack(root / "masks" / f"b{ending}", 3)
    assert any("holds 3 pictures" in problem for problem in checked(folder(root)).problems)


def test_smaller_copies_of_one_picture_are_none(tmp_path):
    root = yard(tmp_path / "yard")
    whole = Image.fromarray(halves())
    (root / "masks" / "a.png").unlink()
    whole.save(root / "masks" / "a.tif", save_all=True, append_images=[whole.resize((8, 6)), whole.resize((4, 3))])
    assert checked(folder(root)).problems == []


@pytest.mark.parametrize("name", ["Müller_1", "Ångström", "ガレージ", "é/è", "한국"])
def test_names_belong_together_however_accents_are_stored(tmp_path, name):
    root = tmp_path / "yard"
    save(root / "images" / f"{unicodedata.normalize('NFD', name)}.png", photo())
    save(root / "masks" / f"{unicodedata.normalize('NFC', name)}.png", halves())
    assert [record.id for record in folder(root).subset("all")] == [unicodedata.normalize("NFC", name)]
    (root / "list.txt").write_text(unicodedata.normalize("NFD", name))
    assert len(folder(root).subset(str(root / "list.txt"))) == 1


def test_frames_without_mask_are_unlabelled_if_asked(tmp_path):
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("a\nb\n")
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nsign: stop:1,2,3::\n")
    with pytest.raises(FileNotFoundError, match="Save images"):
        VocFolder(tmp_path).subset("default")
    for number, name in enumerate("ab"):
        save(tmp_path / "JPEGImages" / f"{name}.jpg", photo(number))
    save(tmp_path / "SegmentationClass" / "a.png", np.zeros((12, 16, 3), dtype=np.uint8))
    with pytest.raises(FileNotFoundError, match="unmasked: unlabeled"):
        VocFolder(tmp_path).subset("default")
    dataset = VocFolder(tmp_path, unmasked="unlabeled")
    assert [record.mask is None for record in dataset.subset("default")] == [False, True]
    assert dataset.labels.classes == ("background", "sign: stop")


def test_images_and_masks_side_by_side_are_looked_through_once(tmp_path):
    for number, name in enumerate("ab"):
        save(tmp_path / f"{name}.png", photo(number))
        save(tmp_path / f"{name}_mask.png", halves())
    for name in ("c.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    dataset = folder(tmp_path, image_folder=".", mask_folder=".", mask_suffix="_mask")
    found = {finding.kind: finding for finding in checked(dataset).found}
    assert [path.name for path in found["not-read"].files] == ["c.heic"]
    assert [path.name for path in found["no-image-file"].files] == ["notes.txt"]
    assert [record.id for record in dataset.subset("all")] == ["a", "b"] and "no-mask" not in found
