"""Pseudo-labels as a dataset: what is kept, how it is written, and that it can be trained on."""

import json
import os
import re
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse import pseudolabel
from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.data.images import read_image
from semiverse.datasets import Folder, SyntheticRooms, SyntheticStreets
from semiverse.inference.committee import Committee
from semiverse.inference.predictor import Predictor
from semiverse.inference.pseudolabels import BINS, EDGES, ConfidenceHistogram, PseudoLabelFolder, given_thresholds
from semiverse.labels import IGNORE, LabelSpace
from semiverse.mixture import Balance, Domain, DomainMixture
from semiverse.models import SegmentationModel
from tests.fakes.basic import draw, write_mask, write_photo
from tests.tiny import TINY, WORLD, config, contents, train_words

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLASSES = ("sky", "road", "car")


@pytest.fixture
def photos(tmp_path):
    """Images of different sizes and kinds, two of one name in different folders, one that has to be turned upright."""
    generator = np.random.default_rng(0)
    for name, size in (("a.png", (33, 47)), ("b.jpg", (20, 70)), ("more/a.bmp", (64, 64)), ("more/t.jpg", (24, 40))):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8))
        tags = Image.Exif()
        if name == "more/t.jpg":
            tags[274] = 6
        picture.save(path, exif=tags) if path.suffix == ".jpg" else picture.save(path)
    return tmp_path / "photos"


def words(run, *rest):
    return ["pseudolabel", str(run), *map(str, rest), "--device", "cpu"]


def dataset(out) -> Folder:
    values = load_yaml((out / "dataset.yaml").read_text(encoding="utf-8"))
    (domain,) = values["data"]["domains"].values()
    return Folder(**{**domain["dataset"]["init_args"], "root": Path(domain["dataset"]["init_args"]["root"])})


def predictions(run, photos, domain="rooms"):
    """Masks and confidences of every image, by its name in the dataset."""
    predictor = Predictor(SegmentationModel.load(run), device="cpu")
    files = [path for path in sorted(photos.rglob("*")) if path.is_file()]
    return {
        path.relative_to(photos).with_suffix("").as_posix(): predictor(read_image(path), domain)[::2] for path in files
    }


def kept_by_loop(mask, confidence, thresholds):
    """Pixel by pixel: the class if the model is sure enough of it."""
    kept = np.full(mask.shape, IGNORE, dtype=np.uint8)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            threshold = thresholds[mask[y, x]]
            if threshold is not None and float(confidence[y, x]) >= threshold:
                kept[y, x] = mask[y, x]
    return kept


def middle(run, photos, domain="rooms"):
    """A confidence that about half of the pixels reach."""
    return float(torch.cat([sure.flatten() for _, sure in predictions(run, photos, domain).values()]).median())


def test_masks_are_predictions_where_the_model_is_sure_enough(trained, photos, tmp_path):
    out, threshold = tmp_path / "out", middle(trained, photos)
    assert main(words(trained, photos, "--domain", "rooms", "--out", out, "--threshold", threshold)) == 0
    found = dataset(out)
    records = found.records("all")
    assert [record.id for record in records] == ["a", "b", "more/a", "more/t"]
    for record in records:
        mask, confidence = predictions(trained, photos)[record.id]
        image, label = found.read(record)
        assert torch.equal(image, read_image(photos / record.image.relative_to((out / "images").resolve())))
        expected = kept_by_loop(mask.numpy(), confidence.numpy(), [np.float32(threshold)] * 9)
        assert np.array_equal(label.numpy(), expected)
        assert 0 < (expected != IGNORE).mean() < 1
    assert found.labels == SegmentationModel.load(trained).label_spaces["rooms"]


def test_what_is_kept_is_what_predict_says(trained, photos, tmp_path):
    (photos / "more" / "a.bmp").unlink()
    assert main(["predict", str(trained), str(photos), "--domain", "rooms", "--out", str(tmp_path / "masks")]) == 0
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5")) == 0
    for name in ("a", "b", "more/t"):
        predicted = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png"))
        file = Image.open(tmp_path / "out" / "masks" / f"{name}.png")
        label, kept = np.asarray(file), np.asarray(file) != IGNORE
        assert file.mode == "P" and kept.any() and not kept.all()
        assert np.array_equal(label[kept], predicted[kept])
        assert set(np.unique(label)) <= {*range(9), IGNORE}


def test_every_class_has_its_own_threshold(trained, photos, tmp_path):
    classes = SegmentationModel.load(trained).label_spaces["rooms"].classes
    thresholds = {title: 0.05 * i for i, title in enumerate(classes)}
    out, given = tmp_path / "out", f"{{{', '.join(f'{title}: {value}' for title, value in thresholds.items())}}}"
    assert main(words(trained, photos, "--domain", "rooms", "--out", out, "--threshold", given)) == 0
    shares = []
    for name, (mask, confidence) in predictions(trained, photos).items():
        expected = kept_by_loop(mask.numpy(), confidence.numpy(), [np.float32(value) for value in thresholds.values()])
        file = out / "masks" / f"{name}.png"
        assert file.exists() == (expected != IGNORE).any()
        assert not file.exists() or np.array_equal(np.asarray(Image.open(file)), expected)
        shares.append((expected != IGNORE).mean())
    assert any(0 < share < 1 for share in shares)


def test_share_of_each_class_is_kept_within_one_bin(trained, photos, tmp_path):
    out, keep = tmp_path / "out", 0.3
    assert main(words(trained, photos, "--domain", "rooms", "--out", out, "--keep", keep)) == 0
    facts = json.loads((out / "pseudolabels.json").read_text())["classes"]
    found = predictions(trained, photos).values()
    for i, (title, values) in enumerate(facts.items()):
        sure = sorted((value for mask, confidence in found for value in confidence[mask == i].tolist()), reverse=True)
        assert values["predicted"] == len(sure)
        if not sure:
            assert values == {"threshold": None, "predicted": 0, "kept_share": None, "pixels": 0}, title
            continue
        rank = max(1, round(keep * len(sure)))
        edge = max(float(edge) for edge in EDGES if float(edge) <= sure[rank - 1])
        above = min([float(edge) for edge in EDGES if float(edge) > edge], default=2.0)
        kept, bin_size = sum(value >= edge for value in sure), sum(edge <= value < above for value in sure)
        assert values["threshold"] == edge
        assert values["kept_share"] == pytest.approx(kept / len(sure), abs=1e-6)
        assert rank <= kept < rank + bin_size


@pytest.mark.parametrize("keep", [0.01, 0.5, 1.0])
def test_histogram_finds_shares_also_among_confidences_close_to_one(keep):
    generator = torch.Generator().manual_seed(0)
    confidence = 1 - torch.rand(200, 300, generator=generator) * 10 ** -(6 * torch.rand(200, 300, generator=generator))
    mask = torch.randint(0, 2, (200, 300), generator=generator).to(torch.uint8)
    mask[0] = IGNORE
    histogram = ConfidenceHistogram(3)
    histogram.add(mask[:90], confidence[:90])
    histogram.add(mask[90:], confidence[90:])
    *thresholds, never = histogram.thresholds(keep)
    assert never is None
    for i, threshold in enumerate(thresholds):
        share = float((confidence[mask == i] >= threshold).double().mean())
        assert keep - 1e-4 <= share <= keep + 0.01


def test_bins_are_a_thousand_and_finest_where_a_trained_network_is():
    assert len(EDGES) == BINS == 1000
    assert EDGES[0] == 0 and EDGES[-1] <= 1 and (EDGES.diff() >= 0).all()
    assert EDGES.diff().max() < 0.004 and EDGES.diff()[EDGES[1:] > 0.999].max() < 0.00003
    assert (EDGES > 0.999).sum() > 150


def test_shares_and_left_out_images_are_written_down(trained, photos, tmp_path, capsys):
    out, threshold = tmp_path / "out", middle(trained, photos)
    shares = {
        name: float((confidence >= threshold).double().mean())
        for name, (_, confidence) in predictions(trained, photos).items()
    }
    least = sorted(shares.values())[1] + 1e-9  # two images keep less
    options = ["--domain", "rooms", "--out", out, "--threshold", threshold, "--least", least]
    assert main(words(trained, photos, *options)) == 0
    facts = json.loads((out / "pseudolabels.json").read_text())
    assert facts["images"].keys() == {name for name, share in shares.items() if share >= least}
    assert facts["left_out"].keys() == {name for name, share in shares.items() if share < least}
    for name, values in (facts["images"] | facts["left_out"]).items():
        assert values["kept_share"] == pytest.approx(shares[name], abs=1e-6)
    assert facts["images"].keys() == {record.id for record in dataset(out).records("all")}
    written = np.concatenate([np.asarray(Image.open(file)).ravel() for file in (out / "masks").rglob("*.png")])
    assert [values["pixels"] for values in facts["classes"].values()] == [int((written == i).sum()) for i in range(9)]
    assert (facts["model"], facts["domain"], facts["labels"]) == (str(trained / "model"), "rooms", "rooms")
    said = capsys.readouterr().out
    assert said.count("left out: ") == 2 and "2 of 4 images written to" in said
    assert (out / "dataset.yaml").read_text() in said


def test_nothing_kept_is_refused_and_nothing_written(trained, photos, tmp_path, capsys):
    options = ["--domain", "rooms", "--out", tmp_path / "out", "--threshold", "1"]
    assert main(words(trained, photos, *options)) == 2
    assert "no image is left: 4 keep too little" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(trained, photos, tmp_path, capsys):
    call = words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5")
    assert main(call) == 0
    before = contents(tmp_path)
    assert main(call) == 2
    assert "is not empty" in capsys.readouterr().err
    assert contents(tmp_path) == before


def facts_of(out):
    facts = json.loads((out / "pseudolabels.json").read_text())
    return {name: value for name, value in facts.items() if name not in ("seconds", "command")}


@pytest.mark.parametrize("how", [("--keep", "0.5"), ("--threshold", "0.2", "--link")], ids=["keep", "threshold"])
def test_two_processes_label_as_one_does(how, trained, photos, tmp_path):
    (photos / "aa.png").write_bytes(b"")
    call = words(trained, photos, "--domain", "rooms", *how)
    assert main([*call, "--out", str(tmp_path / "one")]) == 1
    environment = os.environ | {"WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    code = "import sys; from semiverse.cli.main import main; sys.exit(main(sys.argv[1:]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *call, "--out", str(tmp_path / "two")], env=environment | {"RANK": rank}
        )
        for rank in "01"
    ]
    assert sorted(process.wait() for process in started) in ([0, 1], [1, 1])  # who merges, tells all
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys() and facts_of(tmp_path / "one") == facts_of(tmp_path / "two")
    assert all(two[name] == one[name] for name in one if name.endswith((".png", ".jpg", ".bmp")))


def test_a_call_that_was_killed_labels_the_rest(trained, photos, tmp_path, monkeypatch, capsys):
    call, out = words(trained, photos, "--domain", "rooms", "--keep", "0.5"), tmp_path / "out"
    assert main([*call, "--out", str(tmp_path / "whole")]) == 0
    add, added = PseudoLabelFolder.add, []

    def killed(self, source, *rest):
        if source.name == "more/a":
            raise KeyboardInterrupt
        return add(self, source, *rest)

    monkeypatch.setattr(PseudoLabelFolder, "add", killed)
    assert main([*call, "--out", str(out)]) == 130 and not (out / "pseudolabels.json").exists()
    monkeypatch.setattr(
        PseudoLabelFolder, "add", lambda self, one, *rest: added.append(one.name) or add(self, one, *rest)
    )
    assert main([*call[:-3], "0.6", *call[-2:], "--out", str(out)]) == 2 and "is not empty" in capsys.readouterr().err
    assert main([*call, "--out", str(out)]) == 0
    assert added == ["more/a", "more/t"] and facts_of(out) == facts_of(tmp_path / "whole")
    assert contents(out).keys() == contents(tmp_path / "whole").keys()


def test_bad_files_are_left_out_and_the_others_are_done(trained, photos, tmp_path, capsys):
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "good", "--keep", "0.5")) == 0
    (photos / "aa.png").write_bytes(b"")
    (photos / "more" / "d.jpg").write_bytes(b"no image")
    capsys.readouterr()
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5")) == 1
    problems = json.loads((tmp_path / "out" / "pseudolabels.json").read_text())["problems"]
    assert list(problems) == [str(photos / "aa.png"), str(photos / "more" / "d.jpg")]
    said = capsys.readouterr().out
    assert "4 of 6 images" in said and said.count("left out: ") == 2 and "aa.png" in said
    for kind in ("images", "masks"):
        assert contents(tmp_path / "out" / kind) == contents(tmp_path / "good" / kind)


def test_links_lead_to_the_files_themselves(trained, photos, tmp_path):
    options = ["--domain", "rooms", "--keep", "0.5"]
    assert main(words(trained, photos, *options, "--out", tmp_path / "links", "--link")) == 0
    assert main(words(trained, photos, *options, "--out", tmp_path / "copies")) == 0
    assert (tmp_path / "links" / "images" / "more" / "a.bmp").resolve() == (photos / "more" / "a.bmp").resolve()
    assert not (tmp_path / "copies" / "images" / "a.png").is_symlink()
    assert contents(tmp_path / "links" / "images") == contents(tmp_path / "copies" / "images") == contents(photos)


def test_file_that_a_folder_would_not_find_becomes_a_png(trained, photos, tmp_path):
    (photos / "a.png").rename(tmp_path / ".camera")
    assert main(words(trained, tmp_path / ".camera", "--domain", "rooms", "--out", tmp_path / "out", "--keep", 1)) == 0
    (record,) = dataset(tmp_path / "out").records("all")
    assert record.id == "camera"
    assert torch.equal(read_image(record.image), read_image(tmp_path / ".camera"))


def test_keeping_everything_keeps_every_prediction(trained, photos, tmp_path):
    assert main(words(trained, photos / "a.png", "--domain", "rooms", "--out", tmp_path / "out", "--keep", "1")) == 0
    mask, _ = predictions(trained, photos)["a"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / "a.png")), mask.numpy())


def test_labels_are_those_of_averaged_scales_mirrored_images_and_runs(trained, photos, tmp_path):
    assert main(train_words(tmp_path, {"data.seed": 1})) == 0
    options = ["--scales", "[0.75, 1.5]", "--flip", "true", "--also", f"[{tmp_path / 'run'}]", "--keep", "1"]
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out", *options)) == 0
    models = [SegmentationModel.load(run) for run in (trained, tmp_path / "run")]
    average = Committee([Predictor(one, device="cpu", scales=(0.75, 1.5), flip=True) for one in models], "rooms")
    for record in (found := dataset(tmp_path / "out")).records("all"):
        image, label = found.read(record)
        assert torch.equal(label, average(image).mask)
    facts = json.loads((tmp_path / "out" / "pseudolabels.json").read_text())
    assert (facts["scales"], facts["flip"], facts["also"]) == ([0.75, 1.5], True, [str(tmp_path / "run" / "model")])
    assert any(
        not torch.equal(average(image).mask, Predictor(models[0], device="cpu")(image, "rooms").mask)
        for image in map(read_image, photos.glob("*.*"))
    )


def test_without_images_the_unlabelled_ones_of_the_run_are_used(trained, tmp_path):
    assert main(words(trained, "--domain", "streets", "--out", tmp_path / "out", "--keep", "0.5")) == 0
    labeled = json.loads((trained / "labeled.json").read_text())["streets"]["ids"]
    everything = {f"train_{i:05d}" for i in range(6)}
    found = dataset(tmp_path / "out")
    assert {record.id for record in found.records("all")} == everything - set(labeled) and len(labeled) == 4
    world = load_yaml((trained / "config.yaml").read_text())["data"]["domains"]["streets"]["dataset"]["init_args"]
    rendered = SyntheticStreets(**world)
    for record in found.records("all"):
        assert torch.equal(read_image(record.image), rendered.read_image(Path("streets-day/train", record.id)))


def test_further_images_of_the_domain_are_used_even_if_its_training_leaves_them_out(trained, photos, tmp_path):
    for i in range(3):
        write_photo(tmp_path / "images" / f"{i}.png", seed=i)
        write_mask(tmp_path / "masks" / f"{i}.png", draw(i, (0, 1)))
    folder = {"class_path": "Folder", "init_args": {"root": str(tmp_path), "classes": ["x", "y"]}}
    rooms = {"dataset": folder, "train": "all", "val": "all", "labeled": 2, "unlabeled": False}
    values = {"domains": {"rooms": rooms | {"unlabeled_folder": str(photos)}}}
    options = ["--domain", "rooms", "--keep", "0.5", "--data", json.dumps(values)]
    assert main(words(trained, "--out", tmp_path / "out", *options)) == 0
    without, *further = [record.id for record in dataset(tmp_path / "out").records("all")]
    assert without in "012" and further == ["a", "b", "more/a", "more/t"]


def test_files_of_the_domain_are_copied_as_they_are(trained, photos, tmp_path):
    """As ``Remapped`` sees them, too: it changes masks, not images."""
    photos.rename(tmp_path / "images")
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "c.png")
    folder = {"class_path": "Folder", "init_args": {"root": str(tmp_path), "classes": ["x", "y"], "masks": "none"}}
    inner = {"class_path": "Remapped", "init_args": {"dataset": folder, "mapping": {"x": "y"}}}
    rooms = {"dataset": inner, "train": "all", "val": "all", "labeled": 0}
    options = ["--data", json.dumps({"domains": {"rooms": rooms}})]
    assert main(words(trained, "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5", *options)) == 0
    assert contents(tmp_path / "out" / "images") == contents(tmp_path / "images")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--domain", "rooms", "--data.domains.rooms.labeled", "6"], ["domain rooms", "all its training images"]),
        (["--domain", "rooms", "--data", '{"domains": {"sea": {"dataset": "SyntheticRooms"}}}'], ["'rooms'", "sea"]),
    ],
    ids=["all-labelled", "another-domain"],
)
def test_data_without_such_images_is_refused(options, parts, trained, tmp_path, capsys):
    assert main(words(trained, "--out", tmp_path / "out", "--keep", "0.5", *options)) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said


@pytest.mark.slow
def test_written_dataset_is_checked_and_trained_on(trained, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(trained, photos, "--domain", "streets", "--out", out, "--keep", "0.5")) == 0
    assert main(["check", "--config", str(out / "dataset.yaml")]) == 0, capsys.readouterr().out
    assert "no problems" in capsys.readouterr().out
    options = ["--model.encoder", "drn_d_22", "--model.width", "0.0625"]
    options += ["--trainer.max_steps", "2", "--trainer.accelerator", "cpu"]
    options += ["--data.workers", "0", "--data.batch_size", "2", "--data.crop", "[32, 32]"]
    assert main(["train", "--config", str(out / "dataset.yaml"), "--out", str(tmp_path / "again"), *options]) == 0
    assert list(SegmentationModel.load(tmp_path / "again").label_spaces) == ["streets_pseudo"]


@pytest.mark.slow
def test_written_dataset_joins_the_data_of_the_run_and_shares_its_head(trained, tmp_path):
    out = tmp_path / "out"
    assert main(words(trained, "--domain", "streets", "--out", out, "--keep", "0.5")) == 0
    files = ["--config", str(config(tmp_path)), "--config", str(out / "dataset.yaml")]
    assert main(["train", *files, "--out", str(tmp_path / "again")]) == 0
    model = SegmentationModel.load(tmp_path / "again")
    assert list(model.label_spaces) == [*TINY["data"]["domains"], "streets_pseudo"]
    assert model.space_key("streets_pseudo") == model.space_key("streets") != model.space_key("rooms")


@pytest.mark.slow
def test_working_size_goes_with_the_dataset(photos, tmp_path):
    assert main(train_words(tmp_path, {"data.domains.rooms.resolution": {"size": [24, 32]}})) == 0
    out = tmp_path / "out"
    assert main(words(tmp_path / "run", photos, "--domain", "rooms", "--out", out, "--keep", "0.5")) == 0
    values = load_yaml((out / "dataset.yaml").read_text())["data"]["domains"]["rooms_pseudo"]
    assert values["resolution"] == {"scale": 1.0, "size": [24, 32]}
    assert main(["check", "--config", str(out / "dataset.yaml")]) == 0


def test_other_classes_are_asked_for_by_embedding(trained, photos, tmp_path):
    options = ["--domain", "streets", "--labels", "rooms", "--via", "embedding", "--keep", "0.5"]
    assert main(words(trained, photos, *options, "--out", tmp_path / "out")) == 0
    assert dataset(tmp_path / "out").labels.classes[0] == "wall"
    facts = json.loads((tmp_path / "out" / "pseudolabels.json").read_text())
    assert (facts["domain"], facts["labels"], facts["via"]) == ("streets", "rooms", "embedding")


def test_model_by_itself_is_enough_for_given_images(trained, photos, tmp_path, capsys):
    model = tmp_path / "model"
    model.mkdir()
    for name, content in contents(trained / "model").items():
        (model / name).write_bytes(content)
    assert main(words(model, "--domain", "rooms", "--keep", "0.5", "--out", tmp_path / "out")) == 2
    assert "no images are given" in capsys.readouterr().err
    assert main(words(model, photos, "--domain", "rooms", "--keep", "0.5", "--out", tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "pseudolabels.json").read_text())["model"] == str(model)
    capsys.readouterr()
    assert main(words(model, photos, "--print_config", "--keep", "0.5")) == 0
    shown = load_yaml(capsys.readouterr().out)
    assert (shown["keep"], shown["images"], shown["data"]) == (0.5, [str(photos)], None)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"keep": None}, ["neither threshold nor keep", "--keep 0.5"]),
        ({"threshold": "0.9"}, ["threshold and keep are both given"]),
        ({"keep": "0"}, ["keep is 0", "more than 0"]),
        ({"keep": "1.5"}, ["keep is 1.5"]),
        ({"least": "2"}, ["least is 2", "[0, 1]"]),
        ({"keep": None, "threshold": "-0.1"}, ["threshold is -0.1", "[0, 1]"]),
        ({"keep": None, "threshold": "{wall: 0.9, sea: 0.5}"}, ["lacks floor", "names sea"]),
        ({"keep": None, "threshold": "high"}, ["threshold is 'high'", "number or mapping"]),
        ({"domain": None}, ["streets, rooms", "--domain"]),
        ({"domain": "sea"}, ["'sea'", "streets, rooms"]),
        ({"images": "nowhere.png"}, ["nowhere.png", "no such file or folder"]),
        ({"run": "nowhere"}, ["nowhere", "no such folder"]),
        ({"window": "[100, 100]"}, ["multiples of 64"]),
        ({"scales": "[1.0, -1.0]"}, ["[1.0, -1.0]", "above 0"]),
        ({"also": "[nowhere]"}, ["nowhere", "does not exist"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_call_is_refused_before_anything_is_written(change, parts, trained, photos, tmp_path, capsys):
    options = {"run": trained, "images": photos, "domain": "rooms", "keep": "0.5", "out": tmp_path / "out"} | change
    run, images = options.pop("run"), options.pop("images")
    named = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    assert main(["pseudolabel", str(run), str(images), *named]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts) and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()


def test_two_images_of_one_name_are_refused(trained, photos, tmp_path, capsys):
    call = words(trained, photos, photos / "more", "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5")
    assert main(call) == 2
    said = capsys.readouterr().err
    assert str(photos / "a.png") in said and str(photos / "more" / "a.bmp") in said and "one name" in said


def test_python_function_takes_the_same_values(trained, photos, tmp_path):
    common = {"domain": "rooms", "device": "cpu"}
    assert pseudolabel(trained, [photos], out=tmp_path / "one", threshold=0.0, **common) == 0
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "two", "--threshold", "0")) == 0
    assert contents(tmp_path / "one" / "masks") == contents(tmp_path / "two" / "masks")


def test_thresholds_are_in_the_order_of_the_classes():
    labels = LabelSpace("tiny", CLASSES)
    assert given_thresholds(labels, 0.5) == [0.5, 0.5, 0.5]
    assert given_thresholds(labels, {"car": 0.1, "sky": 0.3, "road": 0.2}) == [0.3, 0.2, 0.1]
    with pytest.raises(ValueError, match="lacks road"):
        given_thresholds(labels, {"car": 0.1, "sky": 0.3})


@pytest.mark.slow
def test_lightning_is_never_imported(trained, photos, tmp_path):
    code = f"""
import sys
from semiverse.cli.main import main
code = main({words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out", "--keep", "0.5")!r})
unwanted = ("pytorch_lightning", "lightning_fabric", "matplotlib", "tensorboard", "sklearn")
found = [name for name in sys.modules if name.split(".")[0] in unwanted]
sys.exit(f"imported {{found[:5]}}" if found or code else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def guide(language: str) -> list[str]:
    text = (ROOT / "docs" / "guides" / "pseudo_labels.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in blocks if name == language]


@pytest.mark.slow
def test_commands_of_the_guide_work_one_after_the_other(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        write_photo(Path("photos", f"{i}.png"), seed=i, size=(32, 48))
    Path("runs").mkdir()
    Path("runs/first").symlink_to(trained)
    (options,) = [text for text in guide("yaml") if text.startswith("# thresholds.yaml")]
    # A model that was trained for a step is not sure of anything.
    Path("thresholds.yaml").write_text(re.sub(r"0\.\d+", "0.1", options))
    lines = [line for text in guide("") for line in text.splitlines() if line.startswith("semiverse ")]
    assert len(lines) >= 6
    for line in lines:
        command = re.sub(r"--threshold 0\.\d+", "--threshold 0.1", line.partition("#")[0])
        command += " --pseudolabels.threshold 0.1" * ("selftrain" in command)
        done = main(shlex.split(command)[1:])
        assert done == 0, (line, capsys.readouterr())


def test_files_in_the_guide_have_the_parts_of_those_that_are_written(trained, photos, tmp_path):
    out = tmp_path / "pseudo"
    assert main(words(trained, photos, "--domain", "streets", "--keep", "0.5", "--out", out)) == 0
    (shown,) = [load_yaml(text) for text in guide("yaml") if text.startswith("# pseudo/dataset.yaml")]
    written = load_yaml((out / "dataset.yaml").read_text())
    for values in (shown, written):
        values["data"]["domains"]["streets_pseudo"]["dataset"]["init_args"].pop("root")
    assert shown == written
    (shown,), written = map(json.loads, guide("json")), json.loads((out / "pseudolabels.json").read_text())
    assert list(shown) == list(written)
    assert shown["classes"]["sky"].keys() == written["classes"]["sky"].keys()
    assert next(iter(shown["images"].values())).keys() == next(iter(written["images"].values())).keys()


def test_soft_labels_are_masks_drawn_from_the_probabilities(trained, photos, tmp_path):
    out = tmp_path / "out"
    assert main(words(trained, photos, "--domain", "rooms", "--threshold", "0.3", "--draws", "2", "--out", out)) == 0
    committee = Committee([Predictor(SegmentationModel.load(trained), device="cpu")], "rooms")
    found = dataset(out)
    for record in found.records("all"):
        image, mask = found.read(record)
        expected, drawn = committee.drawn(image, 2, zlib.crc32(record.id.encode()))
        assert torch.equal(mask, torch.where(expected.confidence >= 0.3, expected.mask, IGNORE))
        for number in range(2):
            kept = np.asarray(Image.open(out / "drawn" / str(number) / f"{record.id}.png"))
            assert np.array_equal(kept, torch.where(mask == IGNORE, IGNORE, drawn[number]).numpy())
        assert not torch.equal(drawn[0], drawn[1])
    assert json.loads((out / "pseudolabels.json").read_text())["draws"] == 2
    data = DomainMixture({"rooms": Domain(SyntheticRooms(**WORLD), labeled=3, pseudolabels=out)})
    assert len(data.pseudolabeled["rooms"]) == 2 * len(found.records("all"))


def test_soft_labels_are_drawn_no_less_than_never(trained, photos, tmp_path, capsys):
    asked = words(
        trained, photos, "--domain", "rooms", "--threshold", "0.3", "--draws", "-1", "--out", tmp_path / "out"
    )
    assert main(asked) == 2
    assert "draws is -1; expected 0 (hard labels) or more" in capsys.readouterr().err


def test_weights_of_the_classes_are_taken_off_and_have_to_be_known(trained, photos, tmp_path, capsys):
    asked = words(trained, photos, "--domain", "rooms", "--threshold", 0, "--adjust", 0.5)
    assert main([*asked, "--out", str(tmp_path / "none")]) == 2
    assert "adjust is 0.5, but its data has no weights for domain rooms" in capsys.readouterr().err
    assert main([*asked, "--out", str(tmp_path / "out"), "--data.balance", "{exponent: 1.0, limit: 100.0}"]) == 0
    data = DomainMixture({"rooms": Domain(SyntheticRooms(**WORLD), labeled=3)}, balance=Balance(1.0, 100.0))
    less = 0.5 * data.class_weights["rooms"].log()
    expected = Committee([Predictor(SegmentationModel.load(trained), device="cpu")], "rooms", less=less)
    found = dataset(tmp_path / "out")
    for record in found.records("all"):
        image, mask = found.read(record)
        assert torch.equal(mask, expected(image).mask)
    assert json.loads((tmp_path / "out" / "pseudolabels.json").read_text())["adjust"] == 0.5
