"""Masks for files and folders of images."""

import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.inference.domains import recognize
from semiverse.inference.folder import FolderPrediction
from semiverse.inference.images import find_images
from semiverse.inference.predictor import Predictor
from semiverse.inference.sources import as_image
from semiverse.inference.video import VideoWriter
from semiverse.inference.video import frames as read_frames
from semiverse.labels import IGNORE
from semiverse.models import SegmentationModel
from tests.tiny import contents


@pytest.fixture
def photos(tmp_path):
    """Three images of different sizes and kinds, one in a sub-folder."""
    generator = np.random.default_rng(0)
    for name, size in (("a.png", (33, 47)), ("b.jpg", (20, 70)), ("more/c.bmp", (64, 64))):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def words(run, *rest):
    return ["predict", str(run), *map(str, rest), "--device", "cpu"]


def test_folder_gives_masks_overlays_and_a_list(trained, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(trained, photos, "--domain", "rooms", "--out", out, "--confidence")) == 0
    kinds = [f"{stem}{end}" for stem in ("a", "b", "more/c") for end in (".png", "_confidence.png", "_overlay.jpg")]
    assert sorted(contents(out)) == sorted([*kinds, "predictions.json"])
    assert Image.open(out / "b.png").size == Image.open(out / "b_overlay.jpg").size == (70, 20)
    facts = json.loads((out / "predictions.json").read_text())
    assert facts["images"].keys() == {"a", "b", "more/c"} and facts["problems"] == {}
    assert (facts["domain"], facts["labels"], facts["via"]) == ("rooms", "rooms", "decoder")
    assert len(facts["classes"]) == 9
    assert capsys.readouterr().out.startswith("3 of 3 masks written to ")


def test_mask_is_a_palette_image_whose_indices_are_the_predicted_ids(trained, photos, tmp_path):
    assert main(words(trained, photos / "a.png", "--domain", "rooms", "--out", tmp_path / "out")) == 0
    model = SegmentationModel.load(trained)
    image = torch.from_numpy(np.asarray(Image.open(photos / "a.png")).copy()).permute(2, 0, 1)
    expected = Predictor(model, device="cpu")(image, "rooms").mask.numpy()
    mask = Image.open(tmp_path / "out" / "a.png")
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), expected)
    palette = np.array(mask.getpalette()).reshape(-1, 3)
    assert palette[: len(model.label_spaces["rooms"])].tolist() == [
        list(c) for c in model.label_spaces["rooms"].palette
    ]
    assert palette[IGNORE].tolist() == [0, 0, 0]


def test_bad_file_is_left_out_and_the_others_are_done(trained, photos, tmp_path, capsys):
    (photos / "aa.png").write_bytes(b"")
    (photos / "more" / "d.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    assert main(words(trained, photos, "--domain", "streets", "--out", out)) == 1
    assert {"a.png", "b.png", "more/c.png"} <= contents(out).keys()
    problems = json.loads((out / "predictions.json").read_text())["problems"]
    assert list(problems) == [str(photos / "aa.png"), str(photos / "more" / "d.jpg")]
    said = capsys.readouterr().out
    assert "3 of 5 masks" in said and said.count("left out: ") == 2 and "aa.png" in said


def test_results_are_replaced_only_if_asked(trained, photos, tmp_path, capsys):
    call = words(trained, photos, "--domain", "streets", "--out", tmp_path / "out")
    assert main(call) == 0
    before = contents(tmp_path / "out")
    assert main(call) == 2
    assert "already holds 3 results" in (said := capsys.readouterr().err) and "--overwrite true" in said
    assert contents(tmp_path / "out") == before
    assert main([*call, "--overwrite", "true", "--via", "embedding"]) == 0
    assert contents(tmp_path / "out") != before


def test_embedding_answers_in_another_label_space(trained, photos, tmp_path):
    options = ["--domain", "streets", "--labels", "rooms", "--via", "embedding", "--overlay", "false"]
    assert main(words(trained, photos / "a.png", "--out", tmp_path / "out", *options)) == 0
    facts = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert (facts["domain"], facts["labels"]) == ("streets", "rooms")
    assert facts["classes"][0] == "wall"


def test_classes_of_interest_are_shown_alone(trained, photos, tmp_path):
    call = words(trained, photos / "a.png", "--domain", "rooms")
    assert main([*call, "--out", str(tmp_path / "all")]) == 0
    whole = np.asarray(Image.open(tmp_path / "all" / "a.png"))
    space = SegmentationModel.load(trained).label_spaces["rooms"]
    kept, left_out = (int(number) for number in np.unique(whole)[:2])
    named = f"[{space.classes[kept]}, lamp]"
    assert space.classes[left_out] != "lamp"
    assert main([*call, "--out", str(tmp_path / "few"), "--classes", named]) == 0
    mask = Image.open(tmp_path / "few" / "a.png")
    lamp = space.id_of("lamp")
    expected = np.where((whole == kept) | (whole == lamp), whole, IGNORE)
    assert np.array_equal(np.asarray(mask), expected) and (expected == IGNORE).any()
    assert mask.getpalette() == Image.open(tmp_path / "all" / "a.png").getpalette()
    one, other = (np.asarray(Image.open(tmp_path / name / "a_overlay.jpg"), dtype=int) for name in ("all", "few"))
    photo = np.asarray(Image.open(photos / "a.png"), dtype=int)
    hidden = expected == IGNORE
    assert abs(other - photo)[hidden].mean() < abs(one - photo)[hidden].mean()
    assert json.loads((tmp_path / "few" / "predictions.json").read_text())["shown"] == [space.classes[kept], "lamp"]


def test_every_label_space_at_once_has_a_folder_each(trained, photos, tmp_path):
    assert main(words(trained, photos, "--domain", "all", "--out", tmp_path / "all")) == 0
    assert main(words(trained, photos, "--domain", "rooms", "--out", tmp_path / "one")) == 0
    names = {path.name for path in (tmp_path / "all").glob("[!.]*")}
    assert names == {"streets", "rooms", "predictions.json"}
    one, each = contents(tmp_path / "one"), contents(tmp_path / "all" / "rooms")
    assert {name: each[name] for name in each} == {name: one[name] for name in one if name != "predictions.json"}
    call = words(trained, photos / "a.png", "--domain", "rooms", "--labels", "all", "--via", "embedding")
    assert main([*call, "--out", str(tmp_path / "labels")]) == 0
    assert (tmp_path / "labels" / "streets" / "a.png").is_file()


def test_domain_is_found_by_its_looks(trained, photos, tmp_path, capsys):
    assert main(words(trained, photos, "--domain", "auto", "--out", tmp_path / "out")) == 0
    facts = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert facts["domains"].keys() == facts["images"].keys() and facts["domain"] == "auto"
    assert capsys.readouterr().out.count(": like ") == 3
    model = SegmentationModel.load(trained)
    for stem, path in facts["images"].items():
        domain, likeness = recognize(model, as_image(path))
        assert facts["domains"][stem] == {"domain": domain, "confidence": round(likeness, 4)}
        expected = Predictor(model, device="cpu")(path, domain).mask.numpy()
        assert (np.asarray(Image.open(tmp_path / "out" / f"{stem}.png")) == expected).mean() > 0.999


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 3}, {"workers": 1, "batch": 2}], ids=str)
def test_batches_and_threads_change_nothing(options, trained, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number, size in enumerate([(24, 32), (24, 32), (32, 24), (24, 32), (24, 32), (24, 32)]):
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    named = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main(words(trained, folder, "--domain", "rooms", "--out", tmp_path / "out", *named)) == 0
    predictor = Predictor(SegmentationModel.load(trained), device="cpu")
    for number in range(6):
        mask = np.asarray(Image.open(tmp_path / "out" / f"{number}.png"))
        assert (mask == predictor(folder / f"{number}.png", "rooms").mask.numpy()).mean() > 0.999


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_processes_do_a_share_each_and_the_last_writes_one_list(order, trained, photos, tmp_path, monkeypatch):
    (photos / "z.png").write_bytes(b"no image")
    call = words(trained, photos, "--domain", "auto")
    assert main([*call, "--out", str(tmp_path / "one")]) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in order:
        assert not (tmp_path / "out" / "predictions.json").exists()
        monkeypatch.setenv("RANK", str(rank))
        assert main([*call, "--out", str(tmp_path / "out")]) == rank  # the file that cannot be read is the second one's
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
    assert main([*call, "--out", str(tmp_path / "out")]) == 2


def test_a_call_that_was_killed_goes_on_where_it_was(trained, photos, tmp_path, monkeypatch, capsys):
    call, out = words(trained, photos, "--domain", "rooms", "--batch", "1"), tmp_path / "out"
    assert main([*call, "--out", str(tmp_path / "whole")]) == 0
    call = [*call, "--out", str(out)]
    write, seen, segment = FolderPrediction._write, [], Predictor.segment

    def killed(self, name, *rest):
        write(self, name, *rest)
        if name.name != "a":
            raise KeyboardInterrupt

    monkeypatch.setattr(FolderPrediction, "_write", killed)
    assert main(call) == 130
    assert (out / "a.png").exists() and not (out / "predictions.json").exists()
    monkeypatch.setattr(FolderPrediction, "_write", write)
    monkeypatch.setattr(
        Predictor, "segment", lambda self, images, *rest: seen.extend(images) or segment(self, images, *rest)
    )
    assert main([*call, "--scales", "[1, 2]"]) == 2 and not seen  # another call
    assert "already holds" in capsys.readouterr().err
    assert main(call) == 0
    assert len(seen) == 2 and "2 of 2 masks" in (said := capsys.readouterr().out) and ", 1 before" in said
    assert contents(out) == contents(tmp_path / "whole")
    assert main(call) == 2  # it is finished now
    seen.clear()
    assert main([*call, "--overwrite", "true"]) == 0 and len(seen) == 3


@pytest.mark.parametrize("options", [[], ["--window", "[64, 64]"]], ids=str)
def test_smallest_images_have_masks_of_their_size(options, trained, tmp_path):
    sizes = [(1, 1), (1, 9), (130, 1), (65, 2)]
    for number, size in enumerate(sizes):
        Image.new("RGB", size[::-1], (200, 100, number)).save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(len(sizes))]
    assert main(words(trained, *files, "--domain", "streets", "--out", tmp_path / "out", *options)) == 0
    assert [Image.open(tmp_path / "out" / file.name).size[::-1] for file in files] == sizes


def test_video_becomes_masks_and_a_video(trained, tmp_path, capsys):
    av = pytest.importorskip("av", reason="the extra video is not installed")
    frames = [(np.indices((34, 49)).sum(axis=0)[..., None] + 20 * i + np.arange(3)) % 256 for i in range(5)]
    with VideoWriter(tmp_path / "film.mp4", Fraction(10)) as writer:
        for frame in frames:
            writer.add(torch.from_numpy(frame.astype(np.uint8)).permute(2, 0, 1))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    films = [tmp_path / "film.mp4", tmp_path / "broken.mp4"]
    assert main(words(trained, *films, "--domain", "rooms", "--out", tmp_path / "out")) == 1
    assert "broken.mp4: not readable as a video" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out" / "film").iterdir()) == [f"{i:06d}.png" for i in range(5)]
    with av.open(str(tmp_path / "out" / "film_overlay.mp4")) as laid:
        assert [frame.to_ndarray(format="rgb24").shape for frame in laid.decode(video=0)] == [(34, 48, 3)] * 5
        assert laid.streams.video[0].average_rate == 10
    first = next(read_frames(tmp_path / "film.mp4"))
    expected = Predictor(SegmentationModel.load(trained), device="cpu")(first, "rooms").mask.numpy()
    assert (np.asarray(Image.open(tmp_path / "out" / "film" / "000000.png")) == expected).mean() > 0.999
    assert main(words(trained, films[0], "--domain", "rooms", "--out", tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"domain": None}, ["streets, rooms", "--domain"]),
        ({"domain": "sea"}, ["'sea'", "streets, rooms"]),
        ({"labels": "sea"}, ["'sea'", "streets, rooms"]),
        ({"classes": "[wall, sea]"}, ["no class 'sea'", "wall, "]),
        ({"window": "[100, 100]"}, ["multiples of 64"]),
        ({"images": "nowhere.png"}, ["nowhere.png", "no such file or folder"]),
        ({"run": "nowhere"}, ["no saved model", "nowhere"]),
        ({"via": "embeding"}, ["via is 'embeding'", "did you mean 'embedding'"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_call_is_refused_before_anything_is_written(change, parts, trained, photos, tmp_path, capsys):
    options = {"run": trained, "images": photos, "domain": "rooms", "out": tmp_path / "out"} | change
    run, images = options.pop("run"), options.pop("images")
    named = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    assert main(["predict", str(run), str(images), *named]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts) and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()


def test_two_images_with_one_stem_are_refused(trained, photos, tmp_path, capsys):
    (photos / "more" / "a.jpg").write_bytes((photos / "b.jpg").read_bytes())
    assert main(words(trained, photos, photos / "more", "--domain", "rooms", "--out", tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert str(photos / "a.png") in said and str(photos / "more" / "a.jpg") in said and "one name" in said
    assert not (tmp_path / "out").exists()


def test_places_are_searched_in_order(photos):
    assert list(find_images([photos / "more", photos / "a.png"])) == ["c", "a"]
    with pytest.raises(FileNotFoundError, match="no image found"):
        (photos / "empty").mkdir()
        find_images([photos / "empty"])


@pytest.mark.slow
def test_lightning_is_never_imported(trained, photos, tmp_path):
    code = f"""
import sys
from semiverse.cli.main import main
code = main({words(trained, photos, "--domain", "rooms", "--out", tmp_path / "out")!r})
unwanted = ("pytorch_lightning", "lightning_fabric", "matplotlib", "tensorboard", "sklearn")
found = [name for name in sys.modules if name.split(".")[0] in unwanted]
sys.exit(f"imported {{found[:5]}}" if found or code else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_prediction_from_python_needs_neither_engine_nor_parser(trained, photos, tmp_path):
    code = f"""
import sys
from pathlib import Path
from semiverse import predict
code = predict(Path({str(trained)!r}), [Path({str(photos)!r})], "rooms", out=Path({str(tmp_path / "out")!r}))
unwanted = ("lightning_fabric", "jsonargparse", "docstring_parser", "av", "onnx")
unwanted += ("timm", "torchvision", "scipy", "skimage")  # seconds of imports
found = [name for name in sys.modules if name.split(".")[0] in unwanted]
sys.exit(f"imported {{found[:5]}}" if found else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
