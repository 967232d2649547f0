"""What the files of a split hold, and what is wrong with them."""

import numpy as np
import torch

from semiverse.data import survey
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
