"""`semiverse init`: what each kind of folder is taken for, that it passes the check, and that it trains."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.discovery.configuration import look_at
from tests.datasets.test_contract import data_folder
from tests.discovery.folders import KINDS, pairs, photo

SMALL = ["--model.encoder", "drn_d_22", "--model.width", "0.0625"]
SMALL += ["--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--data.workers", "0"]


def written(folder: Path, out: Path, *further: Path) -> dict:
    assert main(["init", *map(str, (folder, *further)), "--out", str(out), "--device", "cpu"]) == 0
    return load_yaml(out.read_text())


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_folder_is_understood_and_passes_the_check(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kind = KINDS[name]
    kind.write(tmp_path / "yard")
    values = written(Path("yard"), Path("mine.yaml"))
    said = capsys.readouterr().out
    assert "no problems" in said and "written: mine.yaml" in said
    domain = values["data"]["domains"]["yard"]
    assert domain["dataset"]["class_path"] == kind.dataset
    assert domain["dataset"]["init_args"] == {"root": "yard"} | kind.arguments
    expected = {key: f"yard/{value}" if key == "unlabeled_folder" else value for key, value in kind.domain.items()}
    assert {key: value for key, value in domain.items() if key not in ("dataset", "resolution")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_trains(name, tmp_path):
    KINDS[name].write(tmp_path / "yard")
    values = written(tmp_path / "yard", tmp_path / "mine.yaml")
    assert values["method"]["class_path"] in ("Supervised", "Consistency")
    words = ["train", "--config", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "run")]
    assert main([*words, *SMALL]) == 0
    assert (tmp_path / "run" / "finished.json").is_file()


def test_images_without_masks_call_for_consistency_and_others_do_not(tmp_path):
    for name, method in (("partly-labeled", "Consistency"), ("index", "Supervised")):
        KINDS[name].write(tmp_path / name)
        assert written(tmp_path / name, tmp_path / f"{name}.yaml")["method"]["class_path"] == method


def test_two_folders_are_two_domains_and_one_without_masks_has_the_classes_of_the_other(tmp_path):
    KINDS["index"].write(tmp_path / "a" / "yard")
    for i in range(4):
        photo(tmp_path / "b" / "yard" / f"{i}.jpg", i)
    values = written(tmp_path / "a" / "yard", tmp_path / "mine.yaml", tmp_path / "b" / "yard")
    first, second = values["data"]["domains"].values()
    assert list(values["data"]["domains"]) == ["yard", "yard_2"] and values["method"]["class_path"] == "Consistency"
    assert second["dataset"]["init_args"]["classes"] == first["dataset"]["init_args"]["classes"]
    assert second["labeled"] == 0 and second["val"] is None


def test_nothing_is_overwritten(tmp_path, capsys):
    KINDS["index"].write(tmp_path / "yard")
    out = tmp_path / "mine.yaml"
    out.write_text("my own\n")
    assert main(["init", str(tmp_path / "yard"), "--out", str(out)]) == 2
    assert out.read_text() == "my own\n"
    assert "mine.yaml, which semiverse init did not write" in capsys.readouterr().err


def test_comments_say_what_was_guessed_and_how_sure_it_is(tmp_path):
    KINDS["mmseg"].write(tmp_path / "yard")
    written(tmp_path / "yard", tmp_path / "mine.yaml")
    text = (tmp_path / "mine.yaml").read_text()
    for line in (
        "# sure: 6 images, 6 with labels, 64 x 48 pixels",
        "# sure: images in img_dir/{split}, masks in ann_dir/{split}",
        "# unsure: no file names the classes: rename class_0 and so on",
        "crop: [32, 64]",
    ):
        assert line in text


@pytest.mark.parametrize(
    "kind, found", [("nothing", "no image"), ("photos", "images and no mask"), ("none", "no such folder")]
)
def test_folders_that_nobody_can_train_on_are_refused_with_what_is_missing(kind, found, tmp_path, capsys):
    if kind != "none":
        (tmp_path / kind).mkdir()
    if kind == "photos":
        photo(tmp_path / kind / "a.jpg", 0)
    assert main(["init", str(tmp_path / kind), "--out", str(tmp_path / "mine.yaml")]) == 2
    message = capsys.readouterr().err
    assert found in message and "expected" in message and not (tmp_path / "mine.yaml").exists()


def test_masks_that_hold_no_classes_are_refused(tmp_path, capsys):
    pairs(tmp_path / "yard", "images/{name}.jpg", "masks/{name}.png", range(500))
    mask = tmp_path / "yard" / "masks" / "a.png"
    Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)).save(mask)
    assert main(["init", str(tmp_path / "yard"), "--out", str(tmp_path / "mine.yaml")]) == 2
    assert "are they masks of instances" in capsys.readouterr().err


REAL = {"camvid": "CamVid", "clothing-co-parsing": "ClothingCoParsing"}
"""Classes of published folders."""


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_published_folders_need_no_names_of_classes(name, tmp_path):
    if not (data_folder() / name).is_dir():
        pytest.skip(f"no folder {data_folder() / name}; set SEMIVERSE_DATA to the folder that holds the datasets")
    values = written(data_folder() / name, tmp_path / "mine.yaml")
    (domain,) = values["data"]["domains"].values()
    assert domain["dataset"]["class_path"] == REAL[name]
    words = [
        "train",
        "--config",
        str(tmp_path / "mine.yaml"),
        "--out",
        str(tmp_path / "run"),
        "--data.crop",
        "[64, 64]",
    ]
    assert main([*words, *SMALL]) == 0


@pytest.mark.data
def test_camvid_without_its_name_is_two_folders_of_class_numbers(tmp_path):
    if not (data_folder() / "camvid").is_dir():
        pytest.skip(f"no folder {data_folder() / 'camvid'}; set SEMIVERSE_DATA to the folder that holds the datasets")
    for name in ("train", "val", "trainannot", "valannot"):
        (tmp_path / "streets" / name).mkdir(parents=True)
        for path in sorted((data_folder() / "camvid" / "CamVid" / name).iterdir())[:12]:
            (tmp_path / "streets" / name / path.name).symlink_to(path)
    found = look_at(tmp_path / "streets")
    assert found.kind == "Folder" and found.labeled == 24
    assert (found.arguments["image_folder"], found.arguments["mask_folder"]) == ("{split}", "{split}annot")
    assert found.arguments["classes"][0] == "class_0" and len(found.arguments["classes"]) in (11, 12)
