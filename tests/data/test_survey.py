"""What the files of a split hold, and what is wrong with them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from semiverse.data import Content, Contents, Record, survey
from semiverse.data.images import Header, ImageFacts, MaskFacts
from semiverse.files import DataProblem
from semiverse.labels import IGNORE
from tests.fakes import THREE, Numbered, write_camvid, write_image_folder, write_mask, write_photo


def test_pixels_are_counted_class_by_class_and_ignore_at_the_end(tmp_path):
    dataset, masks = write_camvid(tmp_path)
    contents = survey(dataset, dataset.subset("train"), "camvid train")
    assert [content.id for content in contents] == list(masks["train"])
    for content in contents:
        mask = masks["train"][content.id]
        assert content.problem is None
        assert content.size == mask.shape
        assert content.pixels.tolist() == [(mask == value).sum() for value in (*range(11), IGNORE)]
        assert content.classes == frozenset(np.unique(mask[mask != IGNORE]).tolist())


def test_an_image_without_mask_has_a_size_and_no_classes(tmp_path):
    dataset, _ = write_image_folder(tmp_path)
    content = survey(dataset, dataset.subset("all"), "images")[0]
    assert (content.size, content.pixels, content.classes, content.problem) == ((12, 16), None, frozenset(), None)


def problems(tmp_path, break_it):
    """Problems of CamVid's training split after one of its records was broken."""
    dataset, _ = write_camvid(tmp_path)
    records = dataset.subset("train")
    break_it(records[1])
    contents = survey(dataset, records, "camvid train")
    assert contents[0].problem is contents[2].problem is None
    assert contents[1].classes == frozenset()
    return str(contents[1].problem)


def test_a_photograph_that_cannot_be_read_is_a_problem(tmp_path):
    assert "0 bytes" in problems(tmp_path, lambda record: record.image.write_bytes(b""))


def test_a_mask_of_another_size_is_a_problem(tmp_path):
    problem = problems(tmp_path, lambda record: write_photo(record.image, size=(6, 8)))
    assert "16x12 pixels" in problem
    assert "8x6" in problem
    assert "expected equal sizes" in problem


def test_a_value_outside_the_label_space_is_a_problem(tmp_path):
    problem = problems(tmp_path, lambda record: write_mask(record.mask, np.full((12, 16), 12)))
    assert "mask value 12 at pixel (x=0, y=0)" in problem


class OffByOne(Numbered):
    """Counts train ids from 1."""

    def read_mask(self, path):
        return super().read_mask(path) + 1


def test_a_dataset_that_reads_ids_beyond_its_label_space_is_a_problem():
    dataset = OffByOne(3)
    contents = survey(dataset, dataset.subset("train"), "numbered")
    assert [content.problem is None for content in contents] == [True, True, False]
    assert "OffByOne reads the train id 3" in str(contents[2].problem)
    assert f"0 to {len(THREE) - 1} or 255" in str(contents[2].problem)
    assert torch.equal(dataset.read_mask(dataset.subset("train")[2].mask), torch.full((4, 6), 3, dtype=torch.uint8))


def made(number: int, masked: bool = True) -> Content:
    """What a record in order holds."""
    grey = np.random.default_rng(number).integers(0, 256, (16, 18)).astype(np.uint8)
    image = ImageFacts(Header("JPEG", "RGB", (48, 64), 1 + number % 8), f"{number:032x}", grey, number % 256)
    pixels = np.array([number, 3, 48 * 64 - 3 - number])
    if not masked:
        return Content(f"{number:07d}", (48, 64), None, image=image)
    return Content(f"{number:07d}", (48, 64), pixels, image=image, mask=MaskFacts(Header("PNG", "P", (48, 64))))


MASK = MaskFacts(Header("PNG"))
WRONG = {
    "image": Content("0000003", None, None, DataProblem("a: cut off", "b", "c"), "image"),
    "mask and image": Content("0000003", None, None, DataProblem("a: cut off", "b", "c"), "image", None, MASK),
    "mask": Content(
        "0000003",
        (4, 6),
        None,
        DataProblem("a: 9", "b"),
        "mask",
        made(7).image,
        MaskFacts(Header("PNG"), {9: 24}, {}, 24),
    ),
    "size": Content("0000003", (4, 6), None, DataProblem("a: size", "b", "c"), "size", made(7).image, MASK),
    "reader": Content("0000003", (4, 6), np.array([20, 0, 4]), DataProblem("a: 3", "b"), "reader", made(7).image, MASK),
    "no mask": made(3, masked=False),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_contents_in_columns_are_what_was_found(wrong):
    found = [made(0), made(1), made(2, masked=False), wrong, made(4)]
    records = [Record(Path(f"{number}.jpg"), None, f"{number:07d}") for number in range(5)]
    contents = Contents(records, found, 2)
    assert len(contents) == 5 and contents[-1].id == contents[4].id and len(contents[1:3]) == 2
    for one, other in zip(contents, found, strict=True):
        for name in ("id", "size", "problem", "at", "mask", "classes"):
            assert getattr(one, name) == getattr(other, name)
        assert (one.pixels is None) == (other.pixels is None) and (one.image is None) == (other.image is None)
        if one.image is not None:
            for name in ("header", "digest", "brightest"):
                assert getattr(one.image, name) == getattr(other.image, name)
            assert (one.image.thumbnail == other.image.thumbnail).all()
    assert set(contents.problems) == ({3} if wrong.problem else set())


def test_what_an_image_holds_takes_few_bytes():
    count = 2000
    records = [Record(Path("a.jpg"), None, "a")] * count
    tracemalloc.start()
    contents = Contents(records, (made(number) for number in range(count)), 2)
    taken = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert taken < 450 and contents[1999].pixels.tolist() == [1999, 3, 1070]
