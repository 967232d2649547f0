"""The doctor's detectors on hand-made facts, and what is remembered of files."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.commands.check import check
from semiverse.data import Content, Contents, Record, survey
from semiverse.data.alike import difference_hash, resemble
from semiverse.data.images import Header, ImageFacts, MaskFacts, thumbnail
from semiverse.data.survey import _Cache
from semiverse.datasets import CamVid, Folder, LabelMeFacade
from semiverse.doctor.encodings import by_nearest_color, by_threshold, by_values, guess_values
from semiverse.doctor.examine import diagnose, examine_domain
from semiverse.doctor.files import scaled
from semiverse.doctor.findings import Coding, Facts, Finding, Part, list_folder, told
from semiverse.files import DataProblem, as_problem, states
from semiverse.labels import IGNORE, LabelSpace
from semiverse.mixture import Domain, DomainMixture
from tests.fakes import write_camvid, write_mask, write_photo

THREE = LabelSpace("three", ("grass", "stone", "water"))
GREEN, GREY, BLUE = (0, 128, 0), (140, 140, 140), (0, 0, 200)


def coding(kind: str = "index", count: int = 3, table: np.ndarray | None = None) -> Coding:
    classes = ("grass", "stone", "water", "sand")[:count]
    ids = {i: i for i in range(count)} | {255: IGNORE}
    identity = np.arange(256, dtype=np.uint8)
    return Coding(kind, classes, ids, {GREEN: 0, GREY: 1, BLUE: 2}, identity if table is None else table)


def content(name: str, pixels: list[int], seed: int = 0, flat: bool = False) -> Content:
    """A record in order: a thumbnail of its own, pixels of each class and at the end those without label."""
    grey = np.random.default_rng(seed).integers(0, 256, (16, 18)).astype(np.uint8)
    grey = np.full_like(grey, 90 + seed) if flat else grey
    facts = ImageFacts(Header("PNG", "RGB", (64, 64)), f"digest {name}", grey)
    return Content(name, (64, 64), np.array(pixels), image=facts, mask=MaskFacts(Header("PNG", "L", (64, 64))))


def facts(train: list[Content], val: list[Content], **options) -> Facts:
    parts, classes = {}, len(options.get("labels", THREE))
    for split, contents in (("train", train), ("val", val)):
        records = [Record(Path(split, f"{c.id}.png"), Path(split, f"{c.id}_mask.png"), c.id) for c in contents]
        parts[split] = Part(records, Contents(records, contents, classes))
    return Facts(**{"labels": THREE, "parts": parts, "train": "train", "val": "val"} | options)


GOOD = [5, 5, 5, 0]


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in found]


def test_data_in_order_gives_nothing():
    assert diagnose(facts([content("a", GOOD), content("b", GOOD, 1)], [content("c", GOOD, 2)], coding=coding())) == []


def test_equal_pixels_in_train_and_val_are_duplicates_whatever_their_names():
    twin = content("a", GOOD)
    found = diagnose(facts([twin, content("b", GOOD, 1)], [replace(twin, id="c")]))
    assert kinds(found) == [("duplicates", "val")]
    assert found[0].files == (Path("val/c.png"), Path("train/a.png"))


def test_flat_images_are_no_near_duplicates_although_their_hashes_are_equal():
    assert diagnose(facts([content("a", GOOD, 1, flat=True)], [content("b", GOOD, 2, flat=True)])) == []


def test_a_brighter_image_is_a_near_duplicate_and_another_one_is_none():
    image = content("a", GOOD, 1).image
    brighter = replace(
        image, digest="other", thumbnail=np.clip(image.thumbnail.astype(int) + 3, 0, 255).astype(np.uint8)
    )
    found = diagnose(facts([content("a", GOOD, 1)], [replace(content("b", GOOD), image=brighter)]))
    assert kinds(found) == [("near-duplicates", "val")]
    assert diagnose(facts([content("a", GOOD, 1)], [content("b", GOOD, 2)])) == []


def test_difference_hash_says_where_grey_means_grow_from_left_to_right():
    means = np.random.default_rng(3).integers(0, 256, (8, 9))
    bits = "".join("1" if means[row, i + 1] > means[row, i] else "0" for row in range(8) for i in range(8))
    assert difference_hash(np.kron(means, np.ones((2, 2))).astype(np.uint8)) == int(bits, 2)


def test_thumbnail_holds_means_of_equal_parts():
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 36)).astype(np.uint8)
    slow = [[image[:, 4 * i : 4 * i + 4, 2 * j : 2 * j + 2].mean() for j in range(18)] for i in range(16)]
    assert np.abs(thumbnail(image) - np.array(slow)).max() <= 0.5 + 1e-9


def test_thumbnail_of_an_image_smaller_than_it_repeats_pixels():
    image = np.array([[[10, 200]]] * 3, dtype=np.uint8)
    assert thumbnail(image).tolist() == [[10] * 9 + [200] * 9] * 16


def test_thumbnails_that_differ_only_in_brightness_resemble_each_other():
    one = np.random.default_rng(0).integers(0, 200, (16, 18)).astype(np.uint8)
    assert resemble(one, one + 30)
    assert not resemble(one, one[:, ::-1])


@pytest.mark.parametrize(
    ("values", "count", "kind"),
    [
        ({0, 255}, 2, "binary"),
        ({0, 1, 255}, 2, None),
        ({0, 255}, 3, None),
        ({1, 2, 3}, 3, "off-by-one"),
        ({1, 2, 3, 255}, 3, "off-by-one"),
        ({3, 255}, 3, "off-by-one"),
        ({1, 2}, 3, None),
        ({0, 1, 2, 3}, 3, "one-more"),
        ({0, 1, 2, 4}, 3, None),
        ({0, 127, 255}, 3, "stretched"),
        ({0, 85, 170, 255}, 4, "stretched"),
        ({0, 257, 514}, 3, "16-bit"),
        ({0, 1, 2}, 3, None),
        (set(), 3, None),
    ],
)
def test_values_are_explained_where_an_explanation_fits(values, count, kind):
    guess = guess_values(values, coding(count=count))
    assert (None if guess is None else guess.kind) == kind


def test_ids_that_their_owner_numbered_himself_are_not_second_guessed():
    own = replace(coding(), ids={1: 0, 2: 1, 3: 2, 9: IGNORE})
    assert guess_values({1, 2, 3, 7}, own) is None


def test_off_by_one_is_decoded_into_merged_classes_too():
    table = np.arange(256, dtype=np.uint8)
    table[[0, 1, 2]] = (0, 0, 1)  # grass and stone became one
    guess = guess_values({1, 2, 3}, coding(table=table))
    decoded, guessed = guess.decode(Image.fromarray(np.array([[1, 2, 3, 255]], dtype=np.uint8)))
    assert decoded.tolist() == [[0, 0, 1, 255]] and guessed == 0


def test_decoding_refuses_a_value_that_nothing_explains():
    with pytest.raises(ValueError, match="value 7, which nothing explains"):
        by_values({0: 0, 1: 1}, coding(), Image.fromarray(np.array([[0, 7]], dtype=np.uint8)))


def test_nearest_colour_is_taken_and_what_was_guessed_is_counted():
    pixels = [[GREEN, (3, 120, 9), BLUE], [GREY, (138, 141, 140), GREY]]
    decoded, guessed = by_nearest_color(coding("rgb"), Image.fromarray(np.array(pixels, dtype=np.uint8)))
    assert decoded.tolist() == [[0, 0, 2], [1, 1, 1]] and guessed == 2


def test_masks_far_from_every_colour_are_not_decoded():
    strange = np.full((4, 4, 3), (255, 0, 255), dtype=np.uint8)
    with pytest.raises(ValueError, match="far from every declared colour"):
        by_nearest_color(coding("rgb"), Image.fromarray(strange))


def test_two_classes_are_told_apart_by_brightness():
    decoded, guessed = by_threshold(coding("binary", 2), Image.fromarray(np.array([[0, 90, 200, 255]], dtype=np.uint8)))
    assert decoded.tolist() == [[0, 0, 1, 1]] and guessed == 2


def test_binary_masks_that_can_be_read_as_ids_are_found_by_what_they_never_show():
    found = diagnose(
        facts(
            [content("a", [9, 0, 4])],
            [content("b", [7, 0, 1], 1)],
            labels=LabelSpace("two", ("a", "b")),
            coding=coding(count=2),
        )
    )
    assert kinds(found) == [("binary", "train, val")]
    assert found[0].severity == "problem" and len(found[0].files) == 2


def test_one_class_alone_stops_training_and_in_validation_is_remarked():
    one = [8, 0, 0, 0]
    found = diagnose(facts([content("a", one), content("b", one, 1)], [content("c", one, 2), content("d", one, 3)]))
    assert [(f.kind, f.where, f.severity) for f in found if f.kind == "one-class"] == [
        ("one-class", "train", "problem"),
        ("one-class", "val", "remark"),
    ]


def test_first_class_unseen_makes_the_doctor_ask_whether_ids_start_at_one():
    found = diagnose(facts([content("a", [0, 4, 5, 0]), content("b", [0, 1, 5, 0], 1)], [content("c", GOOD, 2)]))
    assert kinds(found) == [("unseen-class", "train")]
    assert "grass" in found[0].message and found[0].remedy.startswith("do the ids of the masks start at 1?")


def test_share_of_a_rare_class_is_of_the_labelled_pixels():
    def rare(labelled: int) -> bool:
        pixels = [labelled - 1, labelled, 1, 10**9]
        return ("rare-class", "train") in kinds(diagnose(facts([content("a", pixels)], [content("b", GOOD, 1)])))

    assert rare(10_000) and not rare(4_000)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((40, 48), (80, 96), True),
        ((375, 500), (188, 250), True),
        ((40, 48), (48, 40), False),
        ((40, 48), (40, 40), False),
    ],
)
def test_sizes_of_one_shape_are_told_from_others(one, other, same):
    assert scaled(one, other) is scaled(other, one) is same


def test_a_problem_is_told_in_its_parts_and_that_of_foreign_code_as_a_whole():
    problem = DataProblem("a.png: 0 bytes (none); read: no", "an image: any", "copy it; or not: as you like")
    assert told(problem) == ("a.png: 0 bytes (none); read: no; expected an image: any", "copy it; or not: as you like")
    assert told(as_problem(ValueError("a; expected b: c"))) == ("a; expected b: c", "correct or remove the file")


def test_listing_strips_suffixes_and_keeps_others_apart(tmp_path):
    for name in ("a_img.png", "deep/b_img.jpg", "c.png", "notes.txt", ".hidden.png", "Thumbs.db"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).touch()
    files = list_folder("all", tmp_path / "images", None, image_suffix="_img")
    assert list(files.image_names) == ["a", "deep/b"]
    assert [path.name for path in files.others] == ["notes.txt"]


@pytest.fixture
def at_once(monkeypatch):
    """Files may be remembered that were written in this moment."""
    monkeypatch.setattr(states, "SETTLED", -1.0)


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "surveys").glob("*")) if (cache / "surveys").is_dir() else []


def lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def same(one: list[Content], other: list[Content]) -> bool:
    return all(
        (a.id, a.size, a.image.digest, a.image.header, a.mask.header)
        == (b.id, b.size, b.image.digest, b.image.header, b.mask.header)
        and np.array_equal(a.pixels, b.pixels)
        and np.array_equal(a.image.thumbnail, b.image.thumbnail)
        for a, b in zip(one, other, strict=True)
    )


class Counting(CamVid):
    """Counts what it reads."""

    reads = 0

    def read(self, record):
        type(self).reads += 1
        return super().read(record)


@pytest.fixture
def counting(tmp_path, at_once):
    write_camvid(tmp_path / "camvid")
    Counting.reads = 0
    return Counting(tmp_path / "camvid")


def test_files_that_did_not_change_are_not_read_again(counting, cache):
    records = counting.subset("train")
    first = survey(counting, records, "train")
    assert Counting.reads == 3 and len(entries(cache)) == 1
    assert same(first, survey(Counting(counting.root), records, "train"))
    assert Counting.reads == 3
    survey(counting, records, "train", fresh=True)
    assert Counting.reads == 6


def test_a_changed_file_is_read_again_and_its_problem_is_never_remembered(counting):
    records = counting.subset("train")
    survey(counting, records, "train")
    write_mask(records[1].mask, np.full((12, 16), 12))
    for _ in range(2):
        assert [c.problem is None for c in survey(counting, records, "train")] == [True, False, True]


def test_a_file_that_was_just_written_is_not_remembered(counting, cache, monkeypatch):
    records = counting.subset("train")
    monkeypatch.setattr(states, "SETTLED", 60.0)
    survey(counting, records, "train")
    assert entries(cache) == []


def test_a_file_of_next_year_is_not_remembered(counting):
    records = counting.subset("train")
    os.utime(records[0].image, (time.time() + 3e7,) * 2)
    survey(counting, records, "train")
    survey(counting, records, "train")
    assert Counting.reads == 4


def test_a_file_of_1970_that_another_one_of_its_size_replaces_is_read_again(counting):
    record = counting.subset("train")[0]
    for value in (0, 1):  # no file is larger for its values
        Image.fromarray(np.full((12, 16), value, dtype=np.uint8)).save(record.mask, "BMP")
        os.utime(record.mask, (0, 0))
        assert survey(counting, [record], "train")[0].classes == {value}


def test_processes_read_a_share_each_and_the_first_tells_of_all(counting, cache, monkeypatch, capsys):
    data = DomainMixture({"roads": Domain(counting)}, workers=0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_PORT", "1")
    for rank in "10":
        monkeypatch.setenv("RANK", rank)
        assert check(data) == 0
    said, images = capsys.readouterr().out, sum(len(counting.subset(split)) for split in ("train", "val"))
    assert f"{images} images in 1 domain: no problems" in said and said.count("the first process says") == 1
    assert Counting.reads == images
    assert not list((cache / "surveys" / "shares").iterdir())


def test_what_was_read_before_a_check_is_killed_is_remembered(counting, monkeypatch):
    monkeypatch.setattr(sys.modules["semiverse.data.survey"], "TOGETHER", 1)
    records, kept = counting.subset("train"), []

    def killed(self, *parts):
        if kept:
            raise KeyboardInterrupt
        kept.append(keep(self, *parts))

    keep = _Cache.keep
    monkeypatch.setattr(_Cache, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        survey(counting, records, "train")
    monkeypatch.setattr(_Cache, "keep", keep)
    Counting.reads = 0
    survey(counting, records, "train")
    assert Counting.reads == len(records) - 1


@pytest.mark.parametrize("spoilt", ["no json", "[]", "null", json.dumps({"a": 3})])
def test_an_unreadable_cache_is_as_good_as_none(spoilt, counting, cache):
    records = counting.subset("train")
    first = survey(counting, records, "train")
    entries(cache)[0].write_text(spoilt)
    assert same(first, survey(counting, records, "train"))
    assert Counting.reads == 6


def test_entries_with_wrong_values_are_read_again(counting, cache):
    records = counting.subset("train")
    first = survey(counting, records, "train")
    known = lines(entries(cache)[0])
    known[0][1]["image"] = ["nonsense"]
    entries(cache)[0].write_text("".join(json.dumps(line) + "\n" for line in known))
    assert same(first, survey(counting, records, "train"))
    assert Counting.reads == 4


def test_another_description_of_the_dataset_has_a_cache_of_its_own(tmp_path, cache, at_once):
    for name in "ab":
        write_photo(tmp_path / "images" / f"{name}.png", seed=ord(name))
        write_mask(tmp_path / "masks" / f"{name}.png", np.arange(192).reshape(12, 16) % 3)
    for classes in (["x", "y", "z"], ["x", "y", "z", "w"]):
        folder = Folder(tmp_path, classes)
        assert [len(c.pixels) for c in survey(folder, folder.subset("all"), "all")] == [len(classes) + 1] * 2
    assert len(entries(cache)) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(counting, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "file"))
    assert len(survey(counting, counting.subset("train"), "train")) == 3


def real(folder: str) -> Path:
    given = os.environ.get("SEMIVERSE_DATA")
    return (Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data") / folder


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    "domain",
    [
        pytest.param(Domain(CamVid(real("camvid"))), id="CamVid"),
        pytest.param(Domain(LabelMeFacade(real("labelmefacade")), train="train", val="val150"), id="LabelMeFacade"),
    ],
)
def test_published_data_gives_no_problem(domain):
    if not domain.dataset.root.is_dir():
        pytest.skip(f"no folder {domain.dataset.root}; set SEMIVERSE_DATA to the folder that holds the datasets")
    assert examine_domain(DomainMixture({"real": domain}), "real").problems == []


def test_images_are_examined_without_changing_what_training_reads(tmp_path):
    dataset, _ = write_camvid(tmp_path)
    record = dataset.subset("train")[0]
    before = dataset.read(record)
    survey(dataset, [record], "one")
    assert all(torch.equal(a, b) for a, b in zip(before, dataset.read(record), strict=True))
