"""Folders of images: what memory does not suffice for, and files that are not the command's own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.datasets import Labelme
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE
from semiverse.models import SegmentationModel
from tests.tiny import contents


@pytest.fixture
def photos(tmp_path):
    """Four images of one size, the last in a sub-folder."""
    generator = np.random.default_rng(0)
    for name in ("a", "b", "c", "more/d"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def words(run, *rest):
    return ["predict", str(run), *map(str, rest), "--device", "cpu", "--domain", "rooms"]


@pytest.mark.parametrize("short", ["batches", "one-image"])
def test_what_memory_does_not_suffice_for_is_seen_alone_or_listed(short, trained, photos, tmp_path, monkeypatch):
    assert main(words(trained, photos, "--out", tmp_path / "whole")) == 0
    segment, third = Predictor.segment, torch.from_numpy(np.array(Image.open(photos / "c.png"))).permute(2, 0, 1)

    def scarce(self, images, *rest):
        if len(images) > 1 or (short == "one-image" and torch.equal(images[0], third)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return segment(self, images, *rest)

    monkeypatch.setattr(Predictor, "segment", scarce)
    code = main(words(trained, photos, "--out", tmp_path / "out"))
    facts = json.loads((tmp_path / "out" / "predictions.json").read_text())
    lost = ["c"] if short == "one-image" else []
    assert code == len(lost) and list(facts["images"]) == [n for n in ("a", "b", "c", "more/d") if n not in lost]
    assert [message for message in facts["problems"].values() if "not enough memory for 32x24" not in message] == []
    for name in facts["images"]:
        one, other = (np.asarray(Image.open(tmp_path / out / f"{name}.png")) for out in ("whole", "out"))
        assert (one == other).mean() > 0.999


def test_other_errors_of_a_batch_are_not_taken_for_it(trained, photos, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Predictor, "segment", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        main([*words(trained, photos, "--out", tmp_path / "out"), "--debug"])


@pytest.mark.parametrize("kind", ["labelme", "cvat"])
def test_annotations_that_somebody_corrected_are_never_replaced(kind, trained, photos, tmp_path, capsys):
    call = words(trained, photos, "--out", tmp_path / "out", "--overlay", "false", "--annotations", kind)
    assert main(call) == 0 and main(call) == 2
    assert f"already holds {8 if kind == 'labelme' else 5} results" in capsys.readouterr().err
    assert main([*call, "--overwrite"]) == 0
    file = tmp_path / "out" / kind / ("more/d.json" if kind == "labelme" else "annotations.xml")
    file.write_text(corrected := file.read_text() + "\n")
    before = contents(tmp_path / "out")
    assert main([*call, "--overwrite"]) == 2
    said = capsys.readouterr().err
    assert file.name in said and "did not write, or not so" in said
    assert contents(tmp_path / "out") == before and file.read_text() == corrected


def test_annotations_of_images_in_sub_folders_name_them_by_their_path(trained, photos, tmp_path):
    assert main(words(trained, photos, "--out", tmp_path / "out", "--annotations", "labelme")) == 0
    space = SegmentationModel.load(trained).label_spaces["rooms"]
    places = {"images": Path("photos"), "annotations": Path("out/labelme")}
    dataset = Labelme(tmp_path, space.classes, **places, background=None)
    records = {record.id: record for record in dataset.subset("all")}
    assert list(records) == ["a", "b", "c", "more/d"]
    for name, record in records.items():
        named = json.loads(record.mask.read_text())["imagePath"]
        assert (record.mask.parent / named).resolve() == record.image.resolve()
        expected = np.array(Image.open(tmp_path / "out" / f"{name}.png"))
        found = dataset.read(record)[1].numpy()
        assert found.shape == expected.shape and ((found == expected) | (found == IGNORE)).mean() > 0.99


def test_several_processes_write_no_file_of_annotations_together(trained, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    call = words(trained, photos, "--out", tmp_path / "out")
    assert main([*call, "--annotations", "coco"]) == 2
    assert "one file of annotations; expected one process" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*call, "--annotations", "labelme"]) == 0
