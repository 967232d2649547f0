"""Whatever a reader raises, on whatever file, is one line with the file; one bad file ends nothing that can go on."""

import io
import json
import pickle
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from semiverse.cli.main import main
from semiverse.data import SegmentationDataset, read_indices, survey
from semiverse.data.headers import orientation, read_header
from semiverse.data.images import open_image, read_image
from semiverse.files import DataProblem, MissingData, out_of_memory, read_json, reading
from semiverse.labels import LabelSpace
from tests.robustness.yards import checked, folder, halves, photo, save, yard

RAISED = [
    TypeError("bad operand type for abs(): 'str'"), struct.error("unpack requires 4 bytes"), KeyError("x"),
    AttributeError("no attribute"), OverflowError("too large"), EOFError(), RuntimeError("first line\nsecond"),
    IndexError("list index"), ZeroDivisionError("division"), AssertionError(), RecursionError("too deep"),
    MemoryError(), UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), PermissionError(13, "Permission denied"),
    OSError(5, "Input/output error"), NotImplementedError(), StopIteration(), SyntaxError("broken PNG"),
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_any_error_becomes_a_problem_that_names_the_file(tmp_path, error):
    path = tmp_path / "photo.png"
    path.write_bytes(b"x")
    with pytest.raises(DataProblem) as caught, reading(path):
        raise error
    told = str(caught.value)
    assert told.startswith(str(path)) and "; expected " in told and "\n" not in told and caught.value.remedy
    assert caught.value.__cause__ is error
    assert str(pickle.loads(pickle.dumps(caught.value))) == told  # it crosses processes


def test_problems_and_missing_packages_pass_as_they_are(tmp_path):
    for error in (DataProblem("found", "expected", "remedy"), MissingData("gone"), ImportError("no package")):
        with pytest.raises(type(error)) as caught, reading(tmp_path / "x"):
            raise error
        assert caught.value is error


class Raising(SegmentationDataset):
    """A dataset whose reader fails on one of its images."""

    labels = LabelSpace("two", ("ground", "fence"))
    error: Exception = TypeError("x")

    def records(self, split):  # noqa: ARG002  (there is only one)
        return folder(self.root).records("all")

    def read_mask(self, path):
        if path.stem == "b":
            raise self.error
        return super().read_mask(path)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_the_others_are_examined_where_a_reader_fails(tmp_path, error, monkeypatch):
    monkeypatch.setattr(Raising, "error", error)
    dataset = Raising(yard(tmp_path))
    contents = survey(dataset, dataset.subset("train"), "yard")
    assert [content.problem is None for content in contents] == [True, False, True]
    assert "b.png" in str(contents[1].problem)


def note(tag: int, kind: int, count: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")


def held(entries: list[bytes], order: str = "<", start: int = 8) -> bytes:
    """A JPEG of 12 x 16 pixels with these notes."""
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "JPEG", quality=95)
    plain = buffer.getvalue()
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    body = head + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    segment = b"Exif\0\0" + body
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


SIDEWAYS = note(0x112, 3, 1, struct.pack("<H", 6))
NOTES = {
    "resolution-as-text": [SIDEWAYS, note(0x11A, 2, 3, b"72\0")],
    "resolution-as-bytes": [SIDEWAYS, note(0x11B, 7, 4, b"\0\0\0\0")],
    "maker-as-number": [note(0x10F, 4, 1, b"\7"), SIDEWAYS],
    "kind-unknown": [SIDEWAYS, note(0x132, 99, 1, b"x")],
    "place-outside-the-file": [SIDEWAYS, note(0x10F, 2, 1000, struct.pack("<I", 2**31))],
    "billions-of-values": [SIDEWAYS, note(0x110, 5, 2**32 - 1, struct.pack("<I", 8))],
    "folder-of-notes-in-a-circle": [SIDEWAYS, note(0x8769, 4, 1, struct.pack("<I", 8))],
    "text-of-no-length": [note(0x10E, 2, 0, b""), SIDEWAYS],
}


@pytest.mark.parametrize("entries", NOTES.values(), ids=NOTES.keys())
def test_orientation_is_read_whatever_the_other_notes_are(tmp_path, entries):
    path = tmp_path / "photo.jpg"
    path.write_bytes(held(entries))
    with Image.open(path) as stored:
        expected = np.asarray(stored.convert("RGB")).transpose(1, 0, 2)[:, ::-1]  # a quarter to the right
    assert np.array_equal(read_image(path).permute(1, 2, 0), expected)


@pytest.mark.parametrize("value", [*range(10), 65535])
def test_every_orientation_is_undone_as_pillow_does(tmp_path, value):
    from PIL import ImageOps

    path = tmp_path / "photo.jpg"
    path.write_bytes(held([note(0x112, 3, 1, struct.pack(">H", value), ">")], ">"))
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(read_image(path).permute(1, 2, 0), expected)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG"])
def test_headers_know_how_an_image_will_lie(tmp_path, kind):
    notes, path = Image.Exif(), tmp_path / "photo"
    notes[0x112] = 6
    Image.fromarray(photo()).save(path, kind, exif=notes)
    header = read_header(path)
    assert header.lying and header.size == (12, 16) and read_image(path).shape == (3, 16, 12)


def test_notes_that_are_noise_leave_the_picture_upright(tmp_path):
    generator, path = np.random.default_rng(0), tmp_path / "photo.jpg"
    for _ in range(100):
        noise = [generator.bytes(12) for _ in range(int(generator.integers(1, 4)))]
        path.write_bytes(held(noise, "<>"[int(generator.integers(2))], int(generator.integers(0, 60))))
        with Image.open(path) as image:
            assert orientation(image) in range(1, 9)
        assert read_image(path).shape[0] == 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_damaged_pictures_are_told_and_nothing_else(tmp_path, kind):
    generator, buffer, path = np.random.default_rng(1), io.BytesIO(), tmp_path / "m"
    Image.fromarray(photo()).save(buffer, kind)
    whole = buffer.getvalue()
    for _ in range(60):
        content = bytearray(whole[: int(generator.integers(1, len(whole) + 1))])
        for place in generator.integers(0, len(content), 4):
            content[place] = int(generator.integers(256))
        path.write_bytes(content)
        for read in (read_image, open_image, lambda one: read_indices(one, {0: 0})):
            try:
                read(path)
            except DataProblem as problem:
                assert str(problem).startswith(str(path)) and problem.expected and problem.remedy


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0", "nul", '{"a": 1e99999', "\xff\xfe{"])
def test_json_that_is_none_is_told(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataProblem, match=r"a\.json"):
        read_json(path, "an object")


def test_a_check_goes_on_after_bad_files_of_every_kind(tmp_path, capsys):
    root = yard(tmp_path / "yard", "abcdefgh")
    (root / "images" / "b.png").write_bytes(b"")
    (root / "images" / "c.png").write_bytes(b"no image")
    (root / "images" / "d.png").write_bytes((root / "images" / "d.png").read_bytes()[:200])
    (root / "masks" / "e.png").unlink()
    (root / "masks" / "e.png").mkdir()
    (root / "masks" / "e.png" / ".keep").touch()
    save(root / "masks" / "f.png", halves((0, 7)))
    (root / "masks" / "g.png").write_bytes(held(NOTES["maker-as-number"]))
    (root / "masks" / "e.png" / ".keep").unlink()
    (root / "masks" / "e.png").rmdir()
    (root / "masks" / "e.png").symlink_to(root / "nowhere.png")
    found = checked(folder(root))
    told = "\n".join(found.problems)
    assert all(f"{name}.png" in told for name in "bcdefg")
    assert len(found.parts["all"].contents) == 8


@pytest.mark.parametrize(
    "error, expected",
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (np.core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype("f8")), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory, says a file"), False),
    ],
)
def test_memory_is_told_from_other_errors(error, expected):
    assert out_of_memory(error) is expected


def test_a_run_of_main_without_memory_says_what_to_do(tmp_path, monkeypatch, capsys):
    from semiverse.commands import check

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(check, "examine_domain", fail)
    config = {"data": {"domains": {"d": {"dataset": {"class_path": "SyntheticStreets"}}}}}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 2
    assert "not enough memory" in capsys.readouterr().err
