"""Clusters of files and folders of images."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.clustering import Settings, segment
from semiverse.datasets import Folder, SyntheticStreets
from tests.tiny import contents

QUICK = ["--settings.iterations", "3", "--settings.channels", "6", "--settings.segments", "40", "--device", "cpu"]

STEMS = ("a", "b", "more/c")


@pytest.fixture
def photos(tmp_path):
    """Three street scenes, one in a sub-folder."""
    streets = SyntheticStreets(images=3, val_images=1, size=(32, 40))
    for name, record in zip(("a.png", "b.png", "more/c.bmp"), streets.records("train"), strict=True):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(streets.read_image(record.image).permute(1, 2, 0).numpy()).save(path)
    return tmp_path / "photos"


def words(photos, out, *rest):
    return ["cluster", str(photos), "--out", str(out), *QUICK, *map(str, rest)]


def test_folder_gives_masks_pictures_and_a_list(photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(photos, out)) == 0
    ends = (".png", "_borders.png", "_overlay.jpg", "_sheet.png")
    assert sorted(contents(out)) == sorted([*(f"{stem}{end}" for stem in STEMS for end in ends), "clusters.json"])
    assert capsys.readouterr().out == f"3 of 3 images clustered in {out}\n"
    index = json.loads((out / "clusters.json").read_text())
    assert index["settings"]["iterations"] == 3 and index["problems"] == {}
    facts = index["images"]["a"]
    assert (facts["file"], facts["size"], facts["iterations"]) == (str(photos / "a.png"), [32, 40], 3)
    mask = np.asarray(Image.open(out / "a.png"))
    shares = [cluster["share"] for cluster in facts["clusters"]]
    assert shares == pytest.approx((np.bincount(mask.ravel()) / mask.size).tolist()) and sum(shares) == pytest.approx(1)
    image = np.asarray(Image.open(photos / "a.png"))
    color = image[mask == 0].mean(axis=0)
    assert facts["clusters"][0]["color"] == pytest.approx(color.tolist(), abs=0.51)


def test_mask_holds_what_the_function_finds_with_these_settings(photos, tmp_path):
    options = ["--settings.superpixels", "grid", "--settings.max_size", "20", "--seed", "3", "--pictures", "false"]
    assert main(words(photos / "a.png", tmp_path / "out", *options)) == 0
    assert sorted(contents(tmp_path / "out")) == ["a.png", "clusters.json"]
    settings = Settings(iterations=3, channels=6, segments=40, superpixels="grid", max_size=20)
    image = torch.from_numpy(np.array(Image.open(photos / "a.png"))).permute(2, 0, 1)
    mask = Image.open(tmp_path / "out" / "a.png")
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), segment(image, settings, seed=3, device="cpu").mask.numpy())


def test_bad_file_is_left_out_and_the_others_are_done(photos, tmp_path, capsys):
    (photos / "aa.png").write_bytes(b"")
    (photos / "more" / "d.jpg").write_bytes(b"no image")
    assert main(words(photos, tmp_path / "out")) == 1
    index = json.loads((tmp_path / "out" / "clusters.json").read_text())
    assert list(index["images"]) == list(STEMS)
    assert list(index["problems"]) == [str(photos / "aa.png"), str(photos / "more" / "d.jpg")]
    said = capsys.readouterr().out
    assert "3 of 5 images" in said and said.count("left out: ") == 2 and "aa.png" in said


def test_same_call_goes_on_with_what_is_left(photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(photos / "a.png", out)) == 0
    before = (out / "a.png").stat().st_mtime_ns
    assert main(words(photos, out)) == 0
    assert (out / "a.png").stat().st_mtime_ns == before
    assert list(json.loads((out / "clusters.json").read_text())["images"]) == list(STEMS)
    capsys.readouterr()
    assert main(words(photos, out, "--seed", 1)) == 2
    assert "clusters of other settings" in (said := capsys.readouterr().err) and "--overwrite true" in said
    assert main(words(photos / "b.png", out, "--seed", 1, "--overwrite")) == 0
    assert list(json.loads((out / "clusters.json").read_text())["images"]) == ["b"]


def test_groups_number_all_images_alike(photos, tmp_path):
    out = tmp_path / "out"
    assert main(words(photos, out, "--groups", 3)) == 0
    index = json.loads((out / "groups" / "clusters.json").read_text())
    assert index["groups"] == 3
    masks = {stem: np.asarray(Image.open(out / "groups" / f"{stem}.png")) for stem in STEMS}
    single = {stem: np.asarray(Image.open(out / f"{stem}.png")) for stem in STEMS}
    assert {value for mask in masks.values() for value in np.unique(mask)} == {0, 1, 2}
    for stem in STEMS:
        assert all(len(np.unique(masks[stem][single[stem] == i])) == 1 for i in np.unique(single[stem]))
        assert [cluster["id"] for cluster in index["images"][stem]["clusters"]] == np.unique(masks[stem]).tolist()


def test_named_clusters_are_a_dataset_to_train_from(photos, tmp_path, capsys):
    out, names = tmp_path / "out", tmp_path / "names.yaml"
    assert main(words(photos, out, "--groups", 3)) == 0
    names.write_text("0: road\n2: sky\n")
    capsys.readouterr()
    assert main(["cluster", "--out", str(out / "groups"), "--names", str(names)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# 3 images with named clusters; to train from:\ndata:\n")
    (tmp_path / "named.yaml").write_text(printed)
    assert main(["check", "--config", str(tmp_path / "named.yaml")]) == 0, capsys.readouterr()
    dataset = Folder(out / "groups" / "named", ("road", "sky"))
    record = dataset.subset("all")[0]
    groups = np.asarray(Image.open(out / "groups" / "a.png"))
    assert np.array_equal(dataset.read_mask(record.mask).numpy(), np.array([0, 255, 1])[groups])


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (["--settings.channels", "256"], ["at most 255"]),
        (["--settings.superpixels", "slick"], ["slick", "slic"]),
        (["--settings.iteration", "3"], ["iteration", "did you mean"]),
        (["--device", "toaster"], ["'toaster' cannot be used"]),
        (["--groups", "0"], ["groups is 0; expected 1 to 255"]),
        (["--names", "names.yaml"], ["expected no images beside it"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("--") else None,
)
def test_wrong_call_is_refused_before_anything_is_written(change, parts, photos, tmp_path, capsys):
    assert main(words(photos, tmp_path / "out", *change)) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts) and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ([], ["no image is given", "--names"]),
        (["nowhere.png"], ["nowhere.png", "no such file or folder"]),
        (["--names", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
    ],
    ids=["nothing", "missing-image", "missing-names"],
)
def test_nothing_to_do_says_what_is_expected(given, parts, tmp_path, capsys):
    assert main(["cluster", *given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said


def test_two_images_with_one_stem_are_refused(photos, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(photos / "more" / "a.jpg")
    assert main(["cluster", str(photos / "more"), *words(photos, tmp_path / "out")[1:]]) == 2
    assert "one name" in capsys.readouterr().err


@pytest.mark.slow
def test_lightning_is_never_imported(photos, tmp_path):
    code = f"""
import sys
from semiverse.cli.main import main
code = main({words(photos, tmp_path / "out")!r})
unwanted = ("pytorch_lightning", "lightning_fabric", "matplotlib", "tensorboard", "timm")
found = [name for name in sys.modules if name.split(".")[0] in unwanted]
sys.exit(f"imported {{found[:5]}}" if found or code else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
