"""Lists that are drawn, written, read back and verified, through the real command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from semiverse.cli.main import main
from semiverse.configuration import dump_yaml
from semiverse.data import digest, select
from semiverse.data.division import group_names
from semiverse.datasets import Folder
from semiverse.mixture import Domain, DomainMixture
from tests.fakes import write_mask, write_photo
from tests.tiny import contents

CLASSES = ["grass", "stone", "lamp"]
DRIVE = "^[^/]+"


@pytest.fixture(scope="module")
def meadow(tmp_path_factory):
    """An undivided folder with 24 images of four drives; two have blanks in their names, three show a lamp."""
    root = tmp_path_factory.mktemp("data") / "meadow"
    for i in range(24):
        name = f"drive{i % 4}/{'my ' if i < 2 else ''}{i:03d}"
        write_photo(root / "images" / f"{name}.jpg", seed=i)
        write_mask(root / "masks" / f"{name}.png", np.indices((12, 16))[0] % (3 if i % 8 == 5 else 2))
    return root


def words(meadow: Path, out: Path, *more: str, **domain: object) -> list[str]:
    dataset = {"class_path": "Folder", "init_args": {"root": str(meadow), "classes": CLASSES}}
    domains = {"meadow": {"dataset": dataset, **domain}}
    config = out.with_suffix(".yaml")
    config.write_text(dump_yaml({"data": {"domains": domains}, "trainer": {"max_steps": 2}}))
    return ["split", "--config", str(config), "--out", str(out), *more]


def read(folder: Path) -> dict:
    return json.loads((folder / "split.json").read_text())


def listed(out: Path, name: str) -> list[str]:
    return (out / name).read_text().splitlines()


def test_an_undivided_folder_becomes_training_and_validation_with_label_budgets(meadow, tmp_path, capsys):
    out = tmp_path / "lists"
    assert main(words(meadow, out, "--val", "0.25", "--labeled", "[1/8, 0.5, 5]")) == 0
    assert set(contents(out)) == {
        "split.json", "train.txt", "val.txt",
        "labeled_1_8.txt", "unlabeled_1_8.txt", "labeled_1_2.txt", "unlabeled_1_2.txt",
        "labeled_5.txt", "unlabeled_5.txt",
    }  # fmt: skip
    train, val = listed(out, "train.txt"), listed(out, "val.txt")
    everything = sorted(record.id for record in Folder(meadow, CLASSES).subset("all"))
    assert (len(train), len(val)) == (18, 6)
    assert sorted(train + val) == everything
    lamps = {"drive1/005", "drive1/013", "drive1/021"}
    assert lamps & set(train) and lamps & set(val)
    assert [len(listed(out, f"labeled_{title}.txt")) for title in ("1_8", "1_2", "5")] == [2, 9, 5]
    assert listed(out, "labeled_5.txt") == listed(out, "labeled_1_2.txt")[:5]
    few, rest = listed(out, "labeled_1_2.txt"), listed(out, "unlabeled_1_2.txt")
    image, mask = few[0].split(".jpg ")
    assert mask == f"{image.replace('images', 'masks')}.png" and (meadow / f"{image}.jpg").is_file()
    assert len(few) + len(rest) == 18 and not set(few) & set(rest)
    said = capsys.readouterr().out
    assert said.startswith("meadow: 24 images of all, seed 0\n")
    assert f"{out / 'labeled_1_8.txt'}: 2 images" in said


def test_every_list_reads_back_as_what_its_facts_say(meadow, tmp_path):
    out, dataset = tmp_path / "lists", Folder(meadow, CLASSES)
    assert main(words(meadow, out, "--val", "1/4", "--labeled", "1/4", "--groups", DRIVE, "--seed", "3")) == 0
    facts = read(out)
    assert (facts["seed"], facts["groups"], facts["images"], facts["dataset"]) == (3, DRIVE, 24, "Folder")
    assert "1/4 of the images" in facts["rule"] and "group by group" in facts["rule"]
    for name, described in facts["lists"].items():
        records = dataset.subset(str(out / name))
        ids = [record.id for record in records]
        assert (described["images"], described["sha256"]) == (len(ids), digest(ids))
        assert described["groups"] == sorted(set(group_names(ids, DRIVE)))
        shown = [set(dataset.read_mask(record.mask).unique().tolist()) for record in records]
        assert list(described["classes"].values()) == [sum(i in s for s in shown) for i in range(3)]
    train, val = (facts["lists"][f"{part}.txt"]["groups"] for part in ("train", "val"))
    assert not set(train) & set(val) and len(val) == 1 and len(train) == 3


@pytest.mark.parametrize("groups", [None, DRIVE])
@pytest.mark.parametrize("covering", [False, True])
def test_training_draws_exactly_the_labelled_list(meadow, tmp_path, groups, covering):
    out = tmp_path / "lists"
    more = ["--groups", groups] if groups else []
    assert main(words(meadow, out, "--val", "0.25", "--labeled", "1/4", *more, cover_classes=covering)) == 0
    dataset, train = Folder(meadow, CLASSES), str(out / "train.txt")
    drawn = Domain(dataset, labeled="1/4", train=train, groups=groups, cover_classes=covering)
    named = Domain(dataset, train=train, labeled_list=out / "labeled_1_4.txt")
    data = DomainMixture({"drawn": drawn, "named": named}, workers=0)
    assert data.labeled["drawn"] == data.labeled["named"]
    unlabeled = dataset.subset(str(out / "unlabeled_1_4.txt"))
    assert len(unlabeled) + len(data.labeled["named"]) == len(dataset.subset(train))


def test_without_val_the_training_split_of_the_domain_is_labelled(meadow, tmp_path):
    out = tmp_path / "few"
    assert main(words(meadow, out, "--labeled", "6", train="all", groups=DRIVE)) == 0
    assert set(contents(out)) == {"labeled_6.txt", "unlabeled_6.txt", "split.json"}
    assert (read(out)["val"], read(out)["divided"]) == (None, "all")
    assert len(read(out)["lists"]["labeled_6.txt"]["groups"]) == 1  # six images are a drive


def test_the_same_call_writes_the_same_bytes_and_another_seed_others(meadow, tmp_path):
    options = ("--val", "0.25", "--labeled", "1/4")
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main(words(meadow, tmp_path / name, *options, "--seed", seed)) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert (tmp_path / "a" / "train.txt").read_bytes() != (tmp_path / "c" / "train.txt").read_bytes()


def test_a_list_that_was_edited_is_refused(meadow, tmp_path):
    out = tmp_path / "lists"
    assert main(words(meadow, out, "--val", "0.25", "--labeled", "1/4")) == 0
    for name in ("train.txt", "labeled_1_4.txt"):
        (out / name).write_text("\n".join(listed(out, name)[1:]))
        with pytest.raises(ValueError, match=rf"{re.escape(name)}: its \d+ images are not those .*split\.json"):
            Folder(meadow, CLASSES).subset(str(out / name))


def test_no_list_is_overwritten(meadow, tmp_path, capsys):
    out = tmp_path / "lists"
    out.mkdir()
    (out / "val.txt").write_text("mine")
    assert main(words(meadow, out, "--val", "0.25")) == 2
    assert "holds val.txt; expected none of train.txt, val.txt, split.json" in capsys.readouterr().err
    assert contents(out) == {"val.txt": b"mine"}


def test_lists_of_the_same_call_are_left_as_they_are(meadow, tmp_path, capsys):
    out = tmp_path / "lists"
    assert main(words(meadow, out, "--val", "0.25")) == 0
    before = contents(out)
    assert main(words(meadow, out, "--val", "0.25")) == 0 and contents(out) == before
    assert main(words(meadow, out, "--val", "0.5")) == 2
    assert "lists are never overwritten" in capsys.readouterr().err and contents(out) == before


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ([], ["neither val nor labeled is given", "add --val or --labeled"]),
        (["--val", "1.5"], ["val is 1.5; expected a whole number of images", "1/8"]),
        (["--val", "half"], ["val is 'half'"]),
        (["--val", "24"], ["val is 24 of 24 images with masks; expected some for validation and some for training"]),
        (["--labeled", "[1/8, many]"], ["labeled is 'many'"]),
        (["--labeled", "[1/8, 0.125]", "--images", "all"], ["labeled holds 1/8 twice"]),
        (["--labeled", "25", "--images", "all"], ["a budget of 25 labelled images, but there are 24 with masks"]),
        (["--val", "0.2", "--groups", "("], ["groups is '('", "no regular expression"]),
        (["--val", "0.2", "--groups", "^x"], ["finds no group in 24 of 24 ids, first: 'drive0/"]),
        (["--val", "0.2", "--domain", "meado"], ["there is no domain 'meado'; expected one of meadow"]),
        (["--val", "0.2", "--seed", "-1"], ["seed is -1; expected 0 or more"]),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_written(meadow, tmp_path, capsys, more, parts):
    assert main(words(meadow, tmp_path / "lists", *more)) == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said, said
    assert not (tmp_path / "lists").exists()


def test_one_of_several_domains_has_to_be_named(tmp_path, capsys):
    world = {"class_path": "SyntheticStreets", "init_args": {"images": 4, "val_images": 2, "size": [32, 48]}}
    config = tmp_path / "two.yaml"
    config.write_text(dump_yaml({"data": {"domains": {"a": {"dataset": world}, "b": {"dataset": world}}}}))
    call = ["split", "--config", str(config), "--labeled", "2", "--out", str(tmp_path / "lists")]
    assert main(call) == 2
    assert "no domain is named; expected one of a, b: name it by --domain" in capsys.readouterr().err
    assert main([*call, "--domain", "b"]) == 0
    assert len(select(tmp_path / "lists" / "labeled_2.txt", {f"train_{i:05d}": i for i in range(4)}, "images")) == 2


def test_an_id_of_two_images_and_a_file_that_cannot_be_read_are_refused(tmp_path, capsys):
    root = tmp_path / "own"
    for part in ("train", "val"):
        write_photo(root / part / "images" / "a.jpg")
        write_mask(root / part / "masks" / "a.png", np.indices((12, 16))[0] % 2)
    assert main(words(root, tmp_path / "lists", "--val", "0.5")) == 2
    assert "1 ids mean several images each, first: 'a'" in capsys.readouterr().err
    write_mask(root / "train" / "masks" / "a.png", np.full((12, 16), 77))
    assert main(words(root, tmp_path / "lists", "--labeled", "1")) == 2
    said = capsys.readouterr().err
    assert "1 of 1 images cannot be used" in said and "77" in said and "semiverse check" in said
