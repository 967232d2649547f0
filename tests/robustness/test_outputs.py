"""A command replaces only what an earlier call of it wrote, never an input, and nothing that somebody changed since."""

import json
import os
import shutil

import pytest

from semiverse.cli.main import main
from semiverse.clustering import name_clusters
from semiverse.files import DataProblem, Outputs, refuse_inside
from semiverse.run import Run
from tests.robustness.yards import photo, save, yard
from tests.tiny import train_words


def written(folder, **files: str) -> Outputs:
    outputs = Outputs(folder, "predict")
    for name, content in files.items():
        outputs.write(name, content)
    return outputs


def test_own_results_are_replaced_and_known_to_the_next_call(tmp_path):
    written(tmp_path, a="1").write("a", "2")
    again = Outputs(tmp_path, "predict")
    assert again.wrote("a") and again.there(["a", "b"]) == ["a"] and again.names == ["a"]
    again.write("a", "3")
    assert (tmp_path / "a").read_text() == "3"


@pytest.mark.parametrize("spoil", ["edited", "foreign", "folder", "link", "dangling", "of-another-command"])
def test_what_is_not_the_commands_own_is_never_replaced(tmp_path, spoil):
    out = tmp_path / "out"
    written(out, a="1")
    place, target = out / "a", tmp_path / "mine"
    target.write_text("mine")
    if spoil == "edited":
        place.write_text("corrected by hand")
    elif spoil == "foreign":
        (out / ".written_by_predict").unlink()
    elif spoil == "of-another-command":
        (out / ".written_by_predict").rename(out / ".written_by_cluster")
    else:
        place.unlink()
        place.mkdir() if spoil == "folder" else place.symlink_to(target if spoil == "link" else tmp_path / "nowhere")
    outputs = Outputs(out, "predict")
    with pytest.raises(DataProblem, match="did not write, or not so; expected only its own earlier results"):
        outputs.refuse_foreign(["a"])
    with pytest.raises(DataProblem):
        outputs.write("a", "2")
    assert target.read_text() == "mine" and (spoil != "edited" or place.read_text() == "corrected by hand")


def test_a_file_that_was_made_beside_takes_its_place_only_from_an_own_one(tmp_path):
    outputs, made = written(tmp_path, a="1"), tmp_path / ".b.part"
    for content in ("1", "2"):
        made.write_text(content)
        outputs.take("b", made)
    assert not made.exists() and Outputs(tmp_path, "predict").there(["a", "b"]) == ["a", "b"]
    (tmp_path / "b").write_text("cut by hand")
    made.write_text("3")
    with pytest.raises(DataProblem, match="did not write, or not so"):
        outputs.take("b", made)
    assert (tmp_path / "b").read_text() == "cut by hand"


@pytest.mark.parametrize("way", ["itself", "by-a-link", "by-dots", "in-a-linked-folder"])
def test_inputs_are_never_replaced(tmp_path, way):
    photos = tmp_path / "photos"
    save(photos / "a.png", photo())
    out = photos
    if way == "by-a-link":
        (tmp_path / "link").symlink_to(photos)
        out = tmp_path / "link"
    elif way == "by-dots":
        out = photos / ".." / "photos"
    elif way == "in-a-linked-folder":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "sub").symlink_to(photos)
        out = tmp_path / "out"
    name = "sub/a.png" if way == "in-a-linked-folder" else "a.png"
    before = (photos / "a.png").read_bytes()
    outputs = Outputs(out, "predict", [photos / "a.png"], known=[name])  # even if an earlier call wrote it
    with pytest.raises(DataProblem, match="is one of the files that are read"):
        outputs.write(name, "x")
    assert (photos / "a.png").read_bytes() == before
    if way != "in-a-linked-folder":
        with pytest.raises(DataProblem, match="the folder that the images are read from"):
            refuse_inside(out, [photos])


def test_a_call_that_was_killed_between_note_and_file_does_not_block_the_next(tmp_path):
    written(tmp_path, a="1")
    with (tmp_path / ".written_by_predict").open("a") as file:
        file.write(json.dumps(["a", "0" * 32]) + '\n["b", "12')
    Outputs(tmp_path, "predict").write("a", "2")
    assert (tmp_path / "a").read_text() == "2"


QUICK = ["--settings.iterations", "1", "--settings.channels", "4", "--pictures", "false"]


def test_cluster_spares_photographs_and_masks_drawn_by_hand(tmp_path, capsys):
    root = yard(tmp_path / "yard", "ab")
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    for out in ("images", "masks"):
        assert main(["cluster", str(root / "images"), "--out", str(root / out), *QUICK]) == 2
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before
    assert main(["cluster", str(root / "images"), "--out", str(tmp_path / "out"), *QUICK]) == 0
    assert main(["cluster", str(root / "images"), "--out", str(tmp_path / "out"), *QUICK, "--overwrite"]) == 0
    save(tmp_path / "out" / "a.png", photo())
    assert main(["cluster", str(root / "images"), "--out", str(tmp_path / "out"), *QUICK, "--overwrite"]) == 2
    assert "a.png" in capsys.readouterr().err


def test_naming_clusters_spares_a_dataset_of_the_users(tmp_path):
    root = yard(tmp_path / "yard", "ab")
    assert main(["cluster", str(root / "images"), "--out", str(tmp_path / "out"), *QUICK]) == 0
    (root / "dataset.yaml").write_text("mine: true\n")
    before = {path: path.read_bytes() for path in sorted(root.rglob("*.*"))}
    with pytest.raises(ValueError, match="holds other files"):
        name_clusters(tmp_path / "out", {"a": {0: "sky"}}, root)
    assert {path: path.read_bytes() for path in sorted(root.rglob("*.*"))} == before


def test_check_spares_a_page_of_the_users(tmp_path, capsys):
    root, out = yard(tmp_path / "yard"), tmp_path / "site"
    config = {"class_path": "Folder", "init_args": {"root": str(root), "classes": ["a", "b"]}}
    values = {"data": {"domains": {"d": {"dataset": config, "train": "all", "val": "all"}}}}
    (tmp_path / "c.yaml").write_text(json.dumps(values))
    call = ["check", "--config", str(tmp_path / "c.yaml"), "--out", str(out)]
    out.mkdir()
    (out / "index.html").write_text("mine")
    assert main(call) == 2 and (out / "index.html").read_text() == "mine"
    assert sorted(os.listdir(out)) == ["index.html"]
    shutil.rmtree(out)
    assert main(call) == 0 and main(call) == 0


@pytest.mark.parametrize(
    "file", ["config.yaml", "notes.txt", "images/a.png", ".git/config", "model.py", "train.yaml", "metrics.csv"]
)
def test_train_refuses_a_folder_that_holds_anything_else(tmp_path, capsys, file):
    place = tmp_path / "run" / file
    place.parent.mkdir(parents=True)
    place.write_text("# my notes: lr 0.01 diverged\n")
    assert main(train_words(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "choose another --out" in said and "Traceback" not in said
    assert place.read_text() == "# my notes: lr 0.01 diverged\n"
    assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == [place]


def test_a_run_that_has_not_begun_may_be_configured_anew(tmp_path):
    run = Run(tmp_path / "run")
    run.claim({"seed": 0})
    run.claim({"seed": 1})
    assert run.read_config()["seed"] == 1
    run.config.write_text(run.config.read_text() + "# mine\n")
    with pytest.raises(DataProblem, match=r"config\.yaml"):
        run.claim({"seed": 2})


def test_evaluate_spares_a_file_that_is_no_evaluation(tmp_path, trained, capsys):
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    assert main(["evaluate", str(trained), "--device", "cpu", "--out", str(tmp_path / "notes.json")]) == 2
    assert "notes.json" in capsys.readouterr().err
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def test_predict_spares_photographs_even_if_told_to_overwrite(tmp_path, trained, capsys):
    photos = tmp_path / "photos"
    for number, ending in enumerate((".png", ".jpg")):
        save(photos / f"{number}{ending}", photo(number))
    before = {path: path.read_bytes() for path in photos.iterdir()}
    words = ["predict", str(trained), str(photos), "--device", "cpu", "--domain", "rooms", "--overwrite", "--out"]
    for out in (photos, photos / ".." / "photos"):
        assert main([*words, str(out)]) == 2
        assert {path: path.read_bytes() for path in photos.iterdir()} == before
    inside = photos / "results"
    assert main([*words, str(inside)]) == 0 and main([*words, str(inside)]) == 0  # which are no images to be read
    assert sorted(json.loads((inside / "predictions.json").read_text())["images"]) == ["0", "1"]
    (inside / "0.png").write_bytes(before[photos / "0.png"])  # a mask that was corrected by hand
    assert main([*words, str(inside)]) == 2
    said = capsys.readouterr().err
    assert "0.png" in said and "--overwrite true" not in said
