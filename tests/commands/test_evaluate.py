"""Scores of a trained model, and what they are scores of."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.call import parse
from semiverse.cli.main import main
from semiverse.commands.evaluate import evaluate
from semiverse.models import SegmentationModel
from tests.tiny import config, train_words


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to write into."""
    return shutil.copytree(trained, tmp_path / "copy")


def scores(run):
    return json.loads((run / "evaluation.json").read_text())


def call(run, *rest):
    return ["evaluate", str(run), *map(str, rest), "--device", "cpu"]


def counted(run, domain, folder, *options):
    """IoU of each class (None where neither masks nor predictions hold it) of the masks that `predict` writes."""
    data = parse("evaluate", evaluate, ("run",), [str(run)])["data"]
    dataset = data.domains[domain].dataset
    names, masks = [], []
    for record in dataset.subset("val"):
        image = dataset.read_image(record.image).permute(1, 2, 0).numpy()
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "images" / f"{record.id}.png")
        names.append(record.id)
        masks.append(dataset.read_mask(record.mask).numpy())
    words = ["predict", str(run), str(folder / "images"), "--domain", domain, "--out", str(folder / "masks")]
    assert main([*words, "--device", "cpu", *options]) == 0
    true = np.concatenate([mask.ravel() for mask in masks])
    found = np.concatenate([np.asarray(Image.open(folder / "masks" / f"{name}.png")).ravel() for name in names])
    found = found[true != 255]
    true = true[true != 255]
    iou = {}
    for number, title in enumerate(dataset.labels.classes):
        union = ((true == number) | (found == number)).sum()
        iou[title] = ((true == number) & (found == number)).sum() / union if union else None
    return iou, (true == found).mean()


@pytest.mark.parametrize("via", ["decoder", "embedding"])
@pytest.mark.parametrize("domain", ["streets", "rooms"])
def test_scores_are_those_of_the_masks_that_predict_writes(domain, via, run, tmp_path):
    assert main(call(run, "--domain", domain, "--via", via)) == 0
    found = scores(run)["domains"][domain]
    iou, right = counted(run, domain, tmp_path / "files", "--via", via)
    for title, value in found["iou"].items():
        assert value == (None if iou[title] is None else pytest.approx(iou[title], abs=1e-6)), title
    assert found["pixel_accuracy"] == pytest.approx(right, abs=1e-6)
    assert found["miou"] == pytest.approx(np.mean([value for value in iou.values() if value is not None]), abs=1e-6)


def test_scores_at_full_resolution_are_those_of_the_masks_that_predict_writes(tmp_path):
    words = train_words(tmp_path, {"data.domains.streets.resolution": {"scale": 0.5}})
    assert main(words) == 0
    run = tmp_path / "run"
    assert main(call(run, "--domain", "streets", "--full_resolution")) == 0
    right = counted(run, "streets", tmp_path / "files")[1]
    assert scores(run)["domains"]["streets"]["pixel_accuracy"] == pytest.approx(right, abs=1e-6)
    assert main(call(run, "--domain", "streets")) == 0
    assert scores(run)["domains"]["streets"]["pixel_accuracy"] != pytest.approx(right, abs=1e-6)


def test_file_has_the_promised_form(run, capsys):
    assert main(call(run)) == 0
    found = scores(run)
    assert found.keys() >= {"domains", "sum_miou", "model", "command", "seconds"}
    assert found["model"] == str(run / "model")
    assert list(found["domains"]) == ["streets", "rooms"]
    for name, count in (("streets", 8), ("rooms", 9)):
        domain = found["domains"][name]
        assert domain.keys() >= {"images", "miou", "pixel_accuracy", "iou", "split", "via"}
        assert (domain["images"], domain["split"], domain["via"]) == (2, "val", "decoder")
        assert len(domain["iou"]) == count
        assert all(value is None or 0 <= value <= 1 for value in domain["iou"].values())
    assert found["sum_miou"] == pytest.approx(sum(domain["miou"] for domain in found["domains"].values()))
    table = capsys.readouterr().out
    assert "streets" in table and "ceiling" in table and "sum of mIoU" in table


def test_classes_of_interest_are_printed_alone(run, capsys):
    assert main(call(run, "--domain", "streets")) == 0
    whole, everything = capsys.readouterr().out, scores(run)["domains"]
    assert main(call(run, "--domain", "streets", "--classes", "[person, car]")) == 0
    rows = capsys.readouterr().out.splitlines()
    hidden = [f"  {title} " for title in everything["streets"]["iou"] if title not in ("person", "car")]
    assert rows == [row for row in whole.splitlines() if not row.startswith(tuple(hidden))]
    assert len(rows) == len(whole.splitlines()) - 6
    assert scores(run)["domains"] == everything
    assert main(call(run, "--domain", "streets", "--classes", "[person, sofa]")) == 2
    assert "no class sofa; expected some of building, car" in capsys.readouterr().err


def test_class_that_occurs_nowhere_is_null_and_counts_only_if_asked(run):
    model = SegmentationModel.load(run)
    for head in model.heads.values():
        head.weight.data.zero_()
        head.bias.data.zero_()
        head.bias.data[0] = 1.0  # everything is the first class
    shutil.rmtree(run / "model")
    model.save(run / "model")
    small = ["--data.domains.rooms.dataset.init_args.val_images", "1", "--domain", "rooms"]
    assert main(call(run, *small)) == 0
    default = scores(run)["domains"]["rooms"]
    absent = [title for title, value in default["iou"].items() if value is None]
    assert absent and "wall" not in absent
    assert main(call(run, *small, "--variant", "zero-absent")) == 0
    zero = scores(run)["domains"]["rooms"]
    assert zero["miou"] == pytest.approx(default["miou"] * (9 - len(absent)) / 9, abs=1e-5)


def test_domain_split_data_and_file_can_be_chosen(run, tmp_path):
    out = tmp_path / "elsewhere.json"
    options = [
        "--domain",
        "rooms",
        "--split",
        "train",
        "--data.domains.rooms.dataset.init_args.images",
        3,
        "--out",
        out,
    ]
    assert main(call(run, *options)) == 0
    found = json.loads(out.read_text())["domains"]
    assert list(found) == ["rooms"]
    assert (found["rooms"]["split"], found["rooms"]["images"]) == ("train", 3)
    assert not (run / "evaluation.json").exists()


def test_model_folder_of_a_run_is_the_run(run):
    assert main(call(run / "model", "--domain", "rooms")) == 0
    assert scores(run)["model"] == str(run / "model")
    names = {"config.json", "labels.json", "model.safetensors", "domains.safetensors"}
    assert {path.name for path in (run / "model").iterdir()} == names


def test_model_by_itself_needs_data(run, tmp_path, capsys):
    model = shutil.copytree(run / "model", tmp_path / "model-alone")
    assert main(call(model)) == 2
    said = capsys.readouterr().err
    assert "no config.yaml" in said and "add --config FILE" in said
    assert main(call(model, "--config", config(tmp_path), "--domain", "rooms")) == 0
    assert scores(model)["domains"].keys() == {"rooms"}


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--domain", "sea"], ["'sea'", "streets, rooms"]),
        (["--split", "tset"], ["'tset'", "test"]),
        (["--data.domains.streets.dataset.class_path", "SyntheticRooms"], ["domain streets", "expected the same"]),
        (["--data.domains.streets.dataset.init_args.stile", "day"], ["stile", "did you mean 'style'"]),
        (["--variant", "zero"], ["variant is 'zero'", "zero-absent"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("--") else None,
)
def test_wrong_call_is_refused_and_nothing_is_written(options, parts, run, capsys):
    assert main(call(run, *options)) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts) and "Traceback" not in said, said
    assert not (run / "evaluation.json").exists()


def test_images_without_masks_cannot_be_scored(run, tmp_path, capsys):
    for name in "ab":
        path = tmp_path / "photos" / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((32, 48, 3), dtype=np.uint8)).save(path)
    classes = list(SegmentationModel.load(run).label_spaces["rooms"].classes)
    palette = [list(color) for color in SegmentationModel.load(run).label_spaces["rooms"].palette]
    arguments = {
        "root": str(tmp_path / "photos"),
        "classes": classes,
        "palette": palette,
        "masks": "none",
        "name": "rooms",
    }
    data = {"data.domains": {"rooms": {"dataset": {"class_path": "Folder", "init_args": arguments}, "val": "all"}}}
    assert main(call(run / "model", "--config", config(tmp_path, data), "--domain", "rooms")) == 2
    assert "no image of split 'all' has a labelled pixel" in capsys.readouterr().err
