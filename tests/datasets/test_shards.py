"""Images in tar files and on other file systems."""

import io
import tarfile

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.data import records
from semiverse.datasets import Images, SyntheticRooms, shards
from semiverse.mixture import Domain, DomainMixture
from semiverse.mixture.batches import Draws
from tests.fakes.basic import write_photo

LABELS = SyntheticRooms(images=1, val_images=1).labels


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["local", "memory"])
def place(request, tmp_path):
    if request.param == "local":
        yield str(tmp_path / "photos")
    else:
        files = fsspec.filesystem("memory")
        yield f"memory://{tmp_path.name}/photos"
        files.rm("/", recursive=True)


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def encoded(seed):
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def pack(url, members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members:
            facts = tarfile.TarInfo(name)
            facts.size = len(content)
            archive.addfile(facts, io.BytesIO(content))
    with fsspec.open(url, "wb", auto_mkdir=True) as file:
        file.write(buffer.getvalue())


def test_members_are_read_where_they_lie_and_named_by_their_file(place):
    pack(f"{place}/b.tar", [("./x.png", encoded(1)), ("deep/y.PNG", encoded(2)), ("notes.txt", b"no"), (".z.png", b"")])
    pack(f"{place}/a.tar", [("x.png", encoded(9)), ("x.png", encoded(3))])
    dataset = Images(f"{place}/*.tar", LABELS)
    found = dataset.subset("all")
    assert [record.id for record in found] == ["a/x", "b/deep/y", "b/x"]
    for record, seed in zip(found, (3, 2, 1), strict=True):
        assert torch.equal(dataset.read(record)[0], torch.from_numpy(pixels(seed)).permute(2, 0, 1))
    assert str(found[1].image).endswith("photos/b.tar!deep/y.PNG")


def test_where_members_lie_is_read_once_and_again_when_a_file_changes(place, monkeypatch):
    pack(f"{place}/a.tar", [("x.png", encoded(1))])
    looked, inside = [], shards._inside
    monkeypatch.setattr(shards, "_inside", lambda *given: looked.append(given[1]) or inside(*given))
    for _ in range(2):
        assert len(Images(f"{place}/a.tar", LABELS).subset("all")) == 1
    assert len(looked) == 1
    pack(f"{place}/a.tar", [("x.png", encoded(1)), ("y.png", encoded(2))])
    assert len(Images(f"{place}/a.tar", LABELS).subset("all")) == 2 and len(looked) == 2


def test_a_damaged_index_is_made_anew(tmp_path):
    pack(str(tmp_path / "a.tar"), [("x.png", encoded(1))])
    dataset = Images(str(tmp_path / "a.tar"), LABELS)
    expected = dataset.subset("all")
    (kept,) = (tmp_path / "cache" / "shards").iterdir()
    for content in (b"", b"nonsense", kept.read_bytes()[:-40]):
        kept.write_bytes(content)
        assert dataset.subset("all") == expected


def test_images_on_another_file_system_are_read_from_there():
    with fsspec.open("memory://bucket/deep/a.png", "wb") as file:
        file.write(encoded(4))
    dataset = Images("memory://bucket", LABELS)
    (record,) = dataset.subset("all")
    assert record.id == "deep/a"
    assert torch.equal(dataset.read(record)[0], torch.from_numpy(pixels(4)).permute(2, 0, 1))
    fsspec.filesystem("memory").rm("/bucket", recursive=True)
    with pytest.raises(ValueError, match=r"memory:///bucket/deep/a\.png"):
        dataset.read(record)
    with pytest.raises(FileNotFoundError, match="memory://bucket: no image found"):
        dataset.subset("all")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no image", r"a\.tar!x\.png: found no image in this file"), (b"", r"a\.tar!x\.png")],
    ids=["text", "empty"],
)
def test_a_member_that_is_no_image_is_named(content, said, place):
    pack(f"{place}/a.tar", [("x.png", content)])
    dataset = Images(f"{place}/a.tar", LABELS)
    with pytest.raises(ValueError, match=said):
        dataset.read(dataset.subset("all")[0])


def test_compressed_and_damaged_files_are_refused(tmp_path):
    pack(str(tmp_path / "a.tar"), [("x.png", encoded(1))], "w:gz")
    with pytest.raises(ValueError, match=r"a\.tar: cannot be read .*without compression"):
        Images(str(tmp_path / "a.tar"), LABELS).subset("all")


@pytest.mark.parametrize(
    ("root", "said"),
    [("s9://bucket/a.tar", "s9://bucket/a.tar: .*install its package"), ("gone/*.tar", r"gone/\*\.tar: no such file")],
)
def test_what_cannot_be_opened_is_named(root, said):
    with pytest.raises(ValueError, match=said):
        Images(root, LABELS).subset("all")


def test_a_domain_learns_from_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LARGE", 3)
    monkeypatch.setattr("semiverse.mixture.batches.LARGE", 3)
    pack(str(tmp_path / "a.tar"), [(f"{number}.png", encoded(number)) for number in range(9)])
    rooms = Domain(SyntheticRooms(images=4, val_images=2, size=(16, 24)), labeled=2)
    many = Domain(Images(str(tmp_path / "a.tar"), LABELS), labeled=0, train="all", val=None)
    data = DomainMixture({"rooms": rooms, "many": many}, batch_size=3, crop=(8, 8), workers=0)
    steps = data.training(lambda: 0, Draws(unlabeled_from=0)).dataset
    seen = [name for step in range(3) for name in steps[step].unlabeled["many"].id]
    assert sorted(seen) == [str(number) for number in range(9)]
    write_photo(tmp_path / "more" / "x.png")
    data.domains["many"] = Domain(many.dataset, labeled=0, train="all", val=None, unlabeled_folder=tmp_path / "more")
    vars(data).pop("unlabeled")
    assert len(data.unlabeled["many"]) == 10
