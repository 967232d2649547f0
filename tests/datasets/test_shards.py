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


LONG = "a" * 90 + "/" + "b" * 60 + ".jpg"
KINDS = {
    "files": [("a.jpg", b"0"), ("b.jpg", bytes(512)), ("c.jpg", bytes(513)), ("d.jpg", b"")],
    "long": [("a.jpg", b"1"), (LONG, b"22"), ("x" * 120 + ".jpg", b"333"), ("c.jpg", b"4")],
    "accents": [("ä.jpg", b"1"), ("道.jpg", b"22"), ("c\udcff.jpg", b"3")],
    "none": [],
}
LINKS = [
    (tarfile.DIRTYPE, "a"), (tarfile.SYMTYPE, "s.jpg"), (tarfile.LNKTYPE, "h.jpg"), (tarfile.FIFOTYPE, "p.jpg"),
    (tarfile.CHRTYPE, "d.jpg"), (tarfile.CONTTYPE, "k.jpg"), (tarfile.AREGTYPE, "o.jpg"), (b"Z", "z.jpg"),
]  # fmt: skip


def listed(content):
    """Files of a tar file as the quick way finds them, or None, and as ``tarfile`` does."""
    quick = shards._plain(io.BytesIO(content))
    return quick, list(shards._any(io.BytesIO(content), "a.tar"))


@pytest.mark.parametrize("time", [0, 1.5], ids=["seconds", "parts of seconds"])
@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_way_finds_what_tarfile_does(kind, style, time):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as archive:
        for name, content in KINDS[kind]:
            facts = tarfile.TarInfo(name)
            facts.size, facts.mtime = len(content), time
            if style != tarfile.USTAR_FORMAT or len(name) < 100 or name == LONG:  # it has no place for others
                archive.addfile(facts, io.BytesIO(content))
    quick, expected = listed(buffer.getvalue())
    needed = (kind == "long" and style != tarfile.USTAR_FORMAT) or (kind == "accents" and style == tarfile.PAX_FORMAT)
    assert quick == (None if needed else expected)


@pytest.mark.parametrize(("kind", "name"), LINKS, ids=[name for _, name in LINKS])
def test_what_is_no_file_is_passed_over_as_tarfile_does(kind, name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        members = [(tarfile.REGTYPE, "1.jpg"), (kind, name), (tarfile.REGTYPE, "2.jpg")]
        for number, (one, title) in enumerate(members):
            facts = tarfile.TarInfo(title)
            facts.type, facts.size = one, 600 if number else 0
            archive.addfile(facts, io.BytesIO(bytes(600)) if one not in b"12" else None)
    quick, expected = listed(buffer.getvalue())
    assert quick in (None, expected) and "1.jpg" in [row[0] for row in expected]


def test_a_file_that_is_changed_anywhere_is_found_to_be_what_tarfile_finds():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a.jpg", "b/c.jpg"):
            facts = tarfile.TarInfo(name)
            facts.size, facts.mtime = 300, 2.5
            archive.addfile(facts, io.BytesIO(bytes(300)))
    whole, generator, seen = buffer.getvalue(), np.random.default_rng(0), 0
    for number in range(600):
        content = bytearray(whole)
        if number % 3:
            content[int(generator.integers(0, 3000))] = int(generator.integers(0, 256))
        else:
            content = content[: int(generator.integers(1, 3500))]
        quick = shards._plain(io.BytesIO(bytes(content)))
        if quick is not None:
            seen += 1
            assert quick == list(shards._any(io.BytesIO(bytes(content)), "a.tar"))
    assert seen > 100


@pytest.mark.parametrize("place", [0, 156, 124, 148, 345], ids=["name", "kind", "size", "sum", "folder"])
def test_a_damaged_header_is_no_end(tmp_path, place):
    members = [(f"{number}.png", encoded(number)) for number in range(3)]
    pack(str(tmp_path / "a.tar"), members)
    content = bytearray((tmp_path / "a.tar").read_bytes())
    second = 512 + -(-len(members[0][1]) // 512) * 512
    content[second + place] ^= 3
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.tar: no header of a member stands at byte {second}; .*pack it again"):
        Images(str(tmp_path / "a.tar"), LABELS).subset("all")


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
