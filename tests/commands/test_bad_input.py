"""Wrong calls and wrong data: exit code 2, one clear message, nothing written."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from tests.tiny import config, contents, train_words

CLASSES = ["grass", "stone"]


def save(path: Path, values: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([0, 128, 0, 90, 90, 90] + [0] * 762)
    image.save(path)


@pytest.fixture
def meadow(tmp_path):
    """A folder with four good pairs of images and masks, every class in each."""
    generator = np.random.default_rng(0)
    for name in "abcd":
        save(tmp_path / "meadow" / "images" / f"{name}.png", generator.integers(0, 256, (32, 40, 3), dtype=np.uint8))
        save(tmp_path / "meadow" / "masks" / f"{name}.png", (np.indices((32, 40))[0] > 15).astype(np.uint8))
    return tmp_path / "meadow"


def on_meadow(root: Path, **options: object) -> dict[str, object]:
    """Changes that make the tiny experiment one on the folder."""
    arguments = {"root": str(root), "classes": CLASSES} | options
    dataset = {"class_path": "Folder", "init_args": arguments}
    return {"data.domains": {"meadow": {"dataset": dataset, "train": "all", "val": "all", "labeled": 3}}}


def assert_refused(words: list[str], out: Path, capsys, *parts: str) -> None:
    """Exit code 2, all parts in the message, no traceback, and not a byte in the run folder changed."""
    before = contents(out) if out.is_dir() else None
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for part in parts:
        assert part in said, said
    assert (contents(out) if out.is_dir() else None) == before


def no_images(root):
    for path in (root / "images").iterdir():
        path.unlink()


def truncate(root):
    path = root / "images" / "b.jpg"
    Image.open(root / "images" / "b.png").save(path)
    (root / "images" / "b.png").unlink()
    path.write_bytes(path.read_bytes()[:400])


def sixteen_bits(root):
    mask = np.zeros((32, 40), dtype=np.uint16)
    mask[5, 7] = 700
    save(root / "masks" / "b.png", mask)


def wrong_value(root):
    mask = np.zeros((32, 40), dtype=np.uint8)
    mask[5, 7] = 9
    save(root / "masks" / "b.png", mask)


def other_size(root):
    save(root / "masks" / "b.png", np.zeros((30, 40), dtype=np.uint8))


def other_size_of_both(root):
    other_size(root)
    save(root / "images" / "b.png", np.zeros((30, 40, 3), dtype=np.uint8))


def palette_mask(root):
    save(root / "masks" / "b.png", np.zeros((32, 40), dtype=np.uint8), mode="P")


def rgb_mask(root):
    save(root / "masks" / "b.png", np.zeros((32, 40, 3), dtype=np.uint8))


RGB = {"masks": "rgb", "palette": [[0, 128, 0], [90, 90, 90]]}


def rgb_masks(root):
    for path in (root / "masks").iterdir():
        save(path, np.full((32, 40, 3), (0, 128, 0), dtype=np.uint8))
    strange = np.full((32, 40, 3), (0, 128, 0), dtype=np.uint8)
    strange[3, 4] = (1, 2, 3)
    save(root / "masks" / "b.png", strange)


@pytest.mark.parametrize(
    ("spoil", "options", "parts"),
    [
        pytest.param(no_images, {}, ["images", "no image found", "expected files ending in"], id="no-images"),
        pytest.param(
            lambda root: (root / "masks" / "b.png").unlink(), {}, ["b.png", "no mask for 1 of 4"], id="no-mask"
        ),
        pytest.param(other_size, {}, ["b.png", "40x30", "40x32", "expected equal sizes"], id="sizes-differ"),
        pytest.param(other_size_of_both, {}, ["domain meadow", "(30, 40)", "(32, 40)", "set data.crop"], id="no-crop"),
        pytest.param(wrong_value, {}, ["b.png", "9", "x=7", "y=5", "expected", "0, 1"], id="value-outside"),
        pytest.param(rgb_masks, RGB, ["b.png", "(1, 2, 3)", "x=4", "y=3", "palette"], id="colour-outside"),
        pytest.param(palette_mask, {"masks": "index"}, ["b.png", "palette", "expected"], id="palette-for-index"),
        pytest.param(rgb_mask, {"masks": "index"}, ["b.png", "RGB", "expected"], id="rgb-for-index"),
        pytest.param(sixteen_bits, {}, ["b.png", "700", "x=7", "y=5", "0, 1"], id="sixteen-bits"),
        pytest.param(truncate, {}, ["b.jpg", "cannot be decoded", "expected", "again"], id="truncated"),
        pytest.param(
            lambda root: (root / "images" / "b.png").write_bytes(b""), {}, ["b.png", "empty", "again"], id="zero-bytes"
        ),
    ],
)
def test_bad_file_is_refused_before_anything_is_written(spoil, options, parts, meadow, tmp_path, capsys):
    spoil(meadow)
    assert_refused(train_words(tmp_path, on_meadow(meadow, **options)), tmp_path / "run", capsys, *parts)


def test_whole_images_of_several_sizes_are_refused_where_a_domain_wants_them(meadow, tmp_path, capsys):
    other_size_of_both(meadow)
    changes = on_meadow(meadow) | {"data.crop": [16, 16]}
    assert main(train_words(tmp_path, changes, "cut")) == 0
    changes["data.domains"]["meadow"]["crop"] = "whole"
    parts = ("domain meadow", "(30, 40)", "(32, 40)", "set data.domains.meadow.crop")
    assert_refused(train_words(tmp_path, changes), tmp_path / "run", capsys, *parts)


def test_good_folder_trains(meadow, tmp_path):
    assert main(train_words(tmp_path, on_meadow(meadow))) == 0


def test_missing_folder_is_refused(tmp_path, capsys):
    words = train_words(tmp_path, on_meadow(tmp_path / "nowhere"))
    assert_refused(words, tmp_path / "run", capsys, str(tmp_path / "nowhere"), "expected", "root")


def test_class_that_no_labelled_image_shows_is_a_warning(meadow, tmp_path, capsys):
    words = train_words(tmp_path, on_meadow(meadow, classes=[*CLASSES, "water"]))
    assert main(words) == 0
    assert "warning: domain meadow: no labelled image shows water" in capsys.readouterr().err


STREETS = "data.domains.streets"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({f"{STREETS}.labeled": 99}, ["streets", "99", "0 to 6", f"{STREETS}.labeled"]),
        ({f"{STREETS}.labelled": 2}, [f"{STREETS}.labelled", "no option", "did you mean 'labeled'"]),
        ({f"{STREETS}.labeled": "many"}, ["labeled is 'many'", "expected a whole number of images", "1/8"]),
        ({f"{STREETS}.train": "trian"}, ["'trian'", "expected one of train, val"]),
        (
            {f"{STREETS}.dataset.class_path": "SyntheticStreet"},
            [f"{STREETS}.dataset", "did you mean 'SyntheticStreets'"],
        ),
        ({f"{STREETS}.dataset.class_path": "my.Streets"}, [f"{STREETS}.dataset", "'my.Streets'", "expected one of"]),
        ({f"{STREETS}.dataset.init_args.imags": 2}, [f"{STREETS}.dataset.init_args.imags", "did you mean 'images'"]),
        ({f"{STREETS}.dataset.init_args.style": "dsk"}, ["style is 'dsk'", "day, dusk", "did you mean 'dusk'"]),
        ({"data.domains": {"a.b": {"dataset": "SyntheticRooms"}}}, ["'a.b'", "dot"]),
        ({"data.domains": {"a": {"labeled": 2}}}, ["data.domains.a.dataset is missing"]),
        ({"data.domains": ["a"]}, ["data.domains is ['a']", "expected mapping"]),
        ({"data.batchsize": 2}, ["data.batchsize", "did you mean 'batch_size'"]),
        ({"data.crop": 32}, ["data.crop is 32", "expected [whole number, whole number] or null"]),
        ({"method": "Universel"}, ["method", "Universel", "did you mean 'Universal'"]),
        ({"method": {"class_path": "Universal", "init_args": {"alpa": 1}}}, ["method.init_args.alpa", "'alpha'"]),
        (
            {"method": {"class_path": "Universal", "init_args": {"alpha": "high"}}},
            ["method.init_args.alpha is 'high'", "expected number"],
        ),
        ({"optimizer.lr": "high"}, ["optimizer.lr is 'high'", "expected number"]),
        ({"optimizer.lr": -1.0}, ["optimizer.lr is -1.0", "expected a positive number"]),
        ({"optimizer.rate": 0.1}, ["optimizer.rate"]),
        ({"model.decoder": "liner"}, ["model.decoder is 'liner'", "did you mean 'linear'"]),
        ({"model.encoder": "drn_d_23"}, ["drn_d_23", "drn_d_22"]),
        ({"seeed": 1}, ["seeed is no option", "did you mean 'seed'"]),
        ({"trainer.max_step": 3}, ["max_step", "did you mean 'max_steps'"]),
        ({"trainer.max_steps": 0}, ["max_steps is 0", "at least 1"]),
        ({"trainer.accelerator": "abacus"}, ["abacus", "expected"]),
        ({"trainer.val_check_interval": 3}, ["val_check_interval", "set validate_every instead"]),
        ({"trainer.devices": 3}, ["batch_size 2 cannot be shared by 3 processes"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_option_is_refused_with_the_right_one(changes, parts, tmp_path, capsys):
    assert_refused(train_words(tmp_path, changes), tmp_path / "run", capsys, *parts)


def test_all_wrong_options_are_listed_at_once(tmp_path, capsys):
    words = train_words(tmp_path, {"seeed": 1, "data.bach_size": 3, "model.width": "wide"})
    assert_refused(words, tmp_path / "run", capsys, "seeed", "data.bach_size", "model.width")


def test_two_domains_with_one_name_are_refused(tmp_path, capsys):
    file = config(tmp_path)
    file.write_text("data:\n  domains:\n    a: {dataset: SyntheticRooms}\n    a: {dataset: SyntheticStreets}\n")
    words = ["train", "--config", str(file), "--out", str(tmp_path / "run")]
    assert_refused(words, tmp_path / "run", capsys, str(file), "'a' stands twice", "line 4", "rename")


@pytest.mark.parametrize(
    ("text", "parts"),
    [("data: [1", ["not readable as YAML"]), ("- a\n", ["found list", "expected options"]), ("", ["expected options"])],
)
def test_file_that_holds_no_options_is_refused(text, parts, tmp_path, capsys):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    words = ["train", "--config", str(file), "--out", str(tmp_path / "run")]
    assert_refused(words, tmp_path / "run", capsys, str(file), *parts)


def test_missing_config_is_answered_with_a_similar_one(tmp_path, capsys):
    config(tmp_path, name="first.yaml")
    words = ["train", "--config", str(tmp_path / "frist.yaml")]
    assert_refused(
        words, tmp_path / "run", capsys, "frist.yaml", "no such file", f"did you mean {tmp_path / 'first.yaml'}"
    )


def test_run_of_another_configuration_is_refused(tmp_path, capsys):
    assert main(train_words(tmp_path)) == 0
    parts = ["another configuration", "data.batch_size: 2, now 3", "choose another --out"]
    assert_refused(train_words(tmp_path, {"data.batch_size": 3}), tmp_path / "run", capsys, *parts)


@pytest.mark.parametrize("below", ["", "runs/first"], ids=["a-file-in-its-place", "below-a-file"])
def test_run_folder_that_cannot_be_written_is_refused(below, tmp_path, capsys):
    (tmp_path / "run").write_text("in the way")
    out = os.path.join(tmp_path / "run", below)
    assert main([*train_words(tmp_path)[:-1], out]) == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said and str(tmp_path / "run") in said and "Traceback" not in said
    assert (tmp_path / "run").read_text() == "in the way"


def test_folder_with_a_foreign_model_is_refused(tmp_path, capsys):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "precious.pt").write_bytes(b"weights")
    assert_refused(train_words(tmp_path), tmp_path / "run", capsys, "no config.yaml", "choose another --out")


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(ValueError, match="budget"):
        main([*train_words(tmp_path, {f"{STREETS}.labeled": 99}), "--debug"])
