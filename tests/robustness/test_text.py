"""Text, names and terminals in any encoding; no value is guessed where a label depends on it."""

import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.configuration import load_yaml, read_config
from semiverse.configuration.build import arguments
from semiverse.data import list_images
from semiverse.data.cache import code_of
from semiverse.data.images import read_image
from semiverse.data.lists import write_lists
from semiverse.data.pairing import Record
from semiverse.datasets import Coco, Folder
from semiverse.files import DataProblem, read_text, write_atomically
from semiverse.labels import LabelSpace
from semiverse.reporting.figures import STYLE
from tests.robustness.yards import checked, folder, garden, halves, market, photo, save, yard

GBK = os.fsdecode(b"\xc4\xe3\xba\xc3")


def config(root, classes=("a", "b")):
    dataset = {"class_path": "Folder", "init_args": {"root": str(root), "classes": list(classes)}}
    return {"data": {"domains": {"d": {"dataset": dataset, "train": "all", "val": "all"}}}}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "gbk", "cp437", "shift_jis"])
def test_terminals_of_any_encoding_are_written_to(tmp_path, monkeypatch, encoding):
    root = yard(tmp_path / "yard")
    (tmp_path / "c.yaml").write_text(json.dumps(config(root, ("道路 é", "Ωß"))))
    raw, told = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(told, encoding=encoding, errors="strict"))
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 0
    sys.stdout.flush()
    assert "no problems" in raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252", "gbk", "utf-32", "latin-1"])
def test_files_in_other_encodings_are_told_with_the_remedy(tmp_path, encoding):
    path = tmp_path / "c.yaml"
    path.write_text("classes: [Gebäude]\n" if encoding != "gbk" else "classes: [道路]\n", encoding=encoding)
    for read in (read_config, read_text):
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error) and "expected" in str(error)
        else:
            pytest.fail("it was read")


@pytest.mark.parametrize("text", ["﻿a: ä\n", "a: ä\r\n"])
def test_marks_and_ends_of_windows_are_no_matter(tmp_path, text):
    (tmp_path / "c.yaml").write_bytes(text.encode())
    assert read_config(tmp_path / "c.yaml") == {"a": "ä"}


def test_names_that_are_no_utf8_are_problems_with_a_remedy(tmp_path, capsys):
    root = yard(tmp_path / "yard")
    for kind in ("images", "masks"):
        (root / kind / "c.png").rename(root / kind / f"{GBK}.png")
    with pytest.raises(DataProblem, match=r"no UTF-8.*convmv"):
        list_images(root / "images")
    (tmp_path / "c.yaml").write_text(json.dumps(config(root)))
    assert main(["check", "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "checked")]) == 1
    for command in (["split", "--val", "1"], ["train"]):
        assert main([*command, "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_text_that_names_such_a_file_is_not_half_written(tmp_path):
    with pytest.raises(DataProblem, match="convmv"):
        write_atomically(tmp_path / "list.txt", f"a\n{GBK}\nb\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x ", " x", "a\tb", "x\ny", "a\rb", "x\u2028y", "x\x0b", GBK])
def test_names_that_lists_cannot_hold_are_refused_when_they_are_written(tmp_path, name):
    record = Record(tmp_path / f"{name}.png", None, name)
    with pytest.raises(DataProblem):
        write_lists(tmp_path / "lists", {"train.txt": [record]}, {}, tmp_path)
    assert not (tmp_path / "lists").exists()


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "\x00", "a\u2028b"])
def test_classes_that_no_table_shows_are_refused(name):
    with pytest.raises(ValueError, match="expected text without line breaks"):
        LabelSpace("x", ("road", name))
    assert LabelSpace("x", ("$a_b$", "<b>", "道路", "a\u00a0b", "🌲")).classes[2] == "道路"


def test_figures_have_a_font_in_any_case():
    assert STYLE["font.family"][0] == "DejaVu Sans"


WORDS = {
    "no": "classes: [no, yes]", "null": "classes: [null, road]", "number": "classes: [1.0, road]",
    "day": "classes: [2021-05-01, road]", "on": "classes: [off, on]", "key": "mapping: {no: road}",
}  # fmt: skip


def wanted(classes: list[str] | None = None, mapping: dict[str, str | None] | None = None, root: str = "", n: int = 0):
    """What options of text look like."""


@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS.keys())
def test_words_that_yaml_reads_otherwise_need_quotes(text):
    with pytest.raises(ValueError, match="put quotes around it"):
        arguments(wanted, load_yaml(text))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("classes: [1, 2]", {"classes": ["1", "2"]}),
        ("classes: [010, 12:30]", {"classes": ["010", "12:30"]}),
        ("root: 2021", {"root": "2021"}),
        ("root: '#1'", {"root": "#1"}),
        ("mapping: {1: road, b: null}", {"mapping": {"1": "road", "b": None}}),
        ("n: 12", {"n": 12}),
    ],
)
def test_whole_numbers_are_text_where_text_is_wanted(text, expected):
    found = arguments(wanted, load_yaml(text))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("word", ["#1", "&a", "# a", "!x", "*a"])
def test_folders_may_be_called_what_yaml_takes_for_nothing(word):
    from pathlib import Path

    def command(out: Path | None = None) -> None:
        """A command."""

    assert arguments(command, {"out": word})["out"] == Path(word)
    assert arguments(command, {"out": "null"})["out"] is None


BOX = [[4, 4, 12, 4, 12, 9, 4, 9]]


@pytest.mark.parametrize("names", [("cat", "dog"), ("cat", "Cat"), ("cat", "cat ")])
def test_an_id_with_two_names_is_refused(tmp_path, names):
    categories = [{"id": 1, "name": name} for name in names]
    with pytest.raises(DataProblem, match=f"category id 1 is called {names[0]!r} and {names[1]!r}; expected one name"):
        market(tmp_path, [{"segmentation": BOX}], categories)


def test_ids_that_disagree_between_files_keep_their_own_names(tmp_path):
    for name, title in (("a", "cat"), ("b", "dog")):
        market(tmp_path, [{"segmentation": BOX}], [{"id": 1, "name": title}, {"id": 2, "name": "horse"}])
        (tmp_path / "a.json").rename(tmp_path / f"{name}_.json")
    from pathlib import Path

    dataset = Coco(tmp_path, {"train": Path("a_.json"), "val": Path("b_.json")})
    assert dataset.labels.classes == ("background", "cat", "dog", "horse")
    for split, title in (("train", "cat"), ("val", "dog")):
        _, mask = dataset.read(dataset.subset(split)[0])
        assert set(mask.unique().tolist()) == {0, dataset.labels.id_of(title)}


@pytest.mark.parametrize("number", [1.0, "1", " 1"])
def test_ids_in_other_spellings_are_numbers(tmp_path, number):
    dataset = market(tmp_path, [{"category_id": number, "segmentation": BOX}], [{"id": number, "name": "crate"}])
    assert checked(dataset, "train").problems == []


@pytest.mark.parametrize("coded", [[], [[5, 5, 6, 6]], [[]], None, [[5, 5]]])
def test_parts_without_area_are_skipped_if_asked_and_counted(tmp_path, coded):
    assert len(checked(market(tmp_path, [{"segmentation": coded}]), "train").problems) == 1
    skipping = market(tmp_path, [{"segmentation": coded}, {"segmentation": BOX}], empty="skip")
    found = checked(skipping, "train")
    assert found.problems == [] and any("1 annotations, or parts of them" in remark for remark in found.remarks)


@pytest.mark.parametrize("name", ["./0.png", ".\\0.png", ".//0.png", "x/../0.png"])
def test_one_file_has_many_names(tmp_path, name):
    assert market(tmp_path, [], image={"file_name": name}).subset("train")[0].image == tmp_path / "images" / "0.png"


@pytest.mark.parametrize("name", ["/etc/passwd", "../0.png", "x/../../0.png", "", "."])
def test_files_outside_the_folder_are_refused(tmp_path, name):
    with pytest.raises(DataProblem):
        market(tmp_path, [], image={"file_name": name}).subset("train")


@pytest.mark.parametrize("colours", ["black", "white", "two"])
@pytest.mark.parametrize("masks", ["index", "binary", "rgb"])
def test_a_drawing_in_the_transparency_is_said(tmp_path, colours, masks):
    root = tmp_path / "cut"
    for number in range(3):
        drawn = np.full((12, 16, 3), 0 if colours != "white" else 255, dtype=np.uint8)
        drawn[:4] = 255 if colours == "two" else drawn[:4]
        save(root / "images" / f"{number}.png", photo(number))
        save(root / "masks" / f"{number}.png", np.dstack([drawn, halves((0, 255))]))
    options = {"masks": masks} | ({"palette": ((0, 0, 0), (255, 255, 255))} if masks == "rgb" else {})
    found = checked(Folder(root, ("ground", "fence"), **options))
    assert found.problems and all("transparency" in problem for problem in found.problems)


def test_transparency_that_colours_say_too_is_no_matter(tmp_path):
    root = yard(tmp_path / "yard")
    for path in (root / "masks").iterdir():
        grey = np.repeat(255 * np.asarray(Image.open(path))[..., None], 3, axis=2)
        save(path, np.dstack([grey, grey[..., :1]]))
    assert checked(folder(root, masks="binary")).problems == []


@pytest.mark.parametrize("top", [1, 2, 4, 15, 254])
def test_greys_that_are_stretched_on_reading_are_no_ids(tmp_path, top):
    root = yard(tmp_path / "yard")
    (root / "masks" / "a.png").unlink()
    (root / "masks" / "a.pgm").write_bytes(b"P5 16 12 %d\n" % top + bytes(halves()))
    assert any(f"{top if top > 1 else 0} is white" in problem for problem in checked(folder(root)).problems)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_few_bits_in_sixteen_are_said(tmp_path, bits):
    root = yard(tmp_path / "yard")
    dark = (halves((0, 1)).astype(np.uint16) * (2**bits - 1)).astype(np.uint16)
    Image.fromarray(dark).save(root / "images" / "a.png")
    assert any("nearly black" in remark for remark in checked(folder(root)).remarks)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_brightest_value_of_few_bits_in_sixteen_can_be_said(tmp_path, monkeypatch, bits):
    root, top = yard(tmp_path / "yard"), 2**bits - 1
    values = np.tile(np.array([[0, top // 3, top, top]], dtype=np.uint16), (12, 4))
    Image.fromarray(values).save(root / "images" / "a.png")
    dataset = folder(root)
    plain = code_of(dataset)
    monkeypatch.setenv("SEMIVERSE_BRIGHTEST", str(top))
    assert read_image(root / "images" / "a.png")[:, 0, :3].tolist() == [[0, 85, 255]] * 3
    assert code_of(dataset) != plain  # what the cache holds was read otherwise
    assert not any("nearly black" in remark for remark in checked(dataset).remarks)


@pytest.mark.parametrize("given", ["0", "65536", "-1", "12 bits", "4095.0"])
def test_a_brightest_value_that_is_none_is_told(tmp_path, monkeypatch, given):
    Image.fromarray(np.full((4, 4), 100, dtype=np.uint16)).save(tmp_path / "a.png")
    monkeypatch.setenv("SEMIVERSE_BRIGHTEST", given)
    with pytest.raises(DataProblem, match=r"SEMIVERSE_BRIGHTEST is .* such as 4095"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("turned", [0, 30, 90])
def test_a_turned_box_is_its_four_corners(tmp_path, turned):
    corners = [[2, 2], [12, 2], [12, 8], [2, 8]]
    shape = {"shape_type": "rotation", "direction": turned, "points": corners}
    dataset = garden(tmp_path, [shape])
    plain = garden(tmp_path / "plain", [{"shape_type": "polygon", "points": corners}])
    masks = [one.read(one.subset("all")[0])[1] for one in (dataset, plain)]
    assert (masks[0] == masks[1]).all() and len(masks[0].unique()) == 2


STORED = [
    (np.uint16, ".png", {}), (np.uint16, ".tif", {}), (">u2", ".tif", {}), (np.int32, ".tif", {}),
    (np.float32, ".tif", {}), (np.float32, ".tif", {"compression": "tiff_lzw"}), (bool, ".png", {}), (bool, ".tif", {}),
]  # fmt: skip


@pytest.mark.parametrize("kind, ending, options", STORED, ids=[f"{ending} {kind}" for kind, ending, _ in STORED])
def test_whole_numbers_of_any_width_are_ids(tmp_path, kind, ending, options):
    root = yard(tmp_path / "yard", "a")
    (root / "masks" / "a.png").unlink()
    Image.fromarray(halves().astype(kind)).save(root / "masks" / f"a{ending}", **options)
    dataset = folder(root)
    assert checked(dataset).problems == []
    assert (dataset.read(dataset.subset("all")[0])[1].numpy() == halves()).all()


@pytest.mark.parametrize("size", [{}, {"imageHeight": "absent", "imageWidth": "absent"}, {"imageHeight": 12.0}])
def test_the_image_knows_its_size(tmp_path, size):
    shape = {"points": [[2, 2], [12, 2], [12, 8]]}
    assert checked(garden(tmp_path, [shape], **size)).problems == []
    assert checked(garden(tmp_path, [shape], imageHeight=None, imageWidth=None)).problems == []
