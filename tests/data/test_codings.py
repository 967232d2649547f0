"""Which raw values of a mask are which class, as the owner of the files says it."""

import numpy as np
import pytest
from PIL import Image

from semiverse.datasets import Folder
from semiverse.labels import IGNORE
from tests.fakes import COLORS, THREE, write_mask


def read_index(tmp_path, values, dtype=np.uint8, name="m.png", **options):
    Image.fromarray(np.array(values, dtype=dtype)).save(tmp_path / name)
    return Folder(tmp_path, THREE, **options).read_mask(tmp_path / name).tolist()


IDS = {"road": [7, 300], "car": 26, "sky": 65535}


def test_ids_say_what_each_class_is_stored_as_in_8_and_in_16_bits(tmp_path):
    assert read_index(tmp_path, [[7, 26, 255]], ids=IDS) == [[0, 1, IGNORE]]
    assert read_index(tmp_path, [[7, 300, 26, 65535, 255]], np.uint16, ids=IDS) == [[0, 0, 1, 2, IGNORE]]


def test_without_ids_a_16_bit_mask_holds_positions_of_classes(tmp_path):
    assert read_index(tmp_path, [[0, 1, 2, 65535]], np.uint16, ignore=65535) == [[0, 1, 2, IGNORE]]


def test_ids_of_a_palette_image_are_its_indices(tmp_path):
    file = write_mask(tmp_path / "m.png", [[7, 26, 9]], "P")
    dataset = Folder(tmp_path, THREE, masks="palette", ids={"road": 7, "car": 26, "sky": 9})
    assert dataset.read_mask(file).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_that_nobody_named_are_refused_unless_they_are_to_be_ignored(tmp_path, dtype):
    with pytest.raises(ValueError, match=r"m\.png: mask value 8 at pixel \(x=1, y=0\)"):
        read_index(tmp_path, [[7, 8]], dtype, ids=IDS)
    assert read_index(tmp_path, [[7, 8]], dtype, ids=IDS, others="ignore") == [[0, IGNORE]]


def test_where_no_id_means_no_label_255_is_a_value_like_any_other(tmp_path):
    ids = {"road": 0, "car": 100, "sky": 255}
    assert read_index(tmp_path, [[0, 100, 255]], ids=ids, ignore=None) == [[0, 1, 2]]
    with pytest.raises(ValueError, match="mask value 255"):
        read_index(tmp_path, [[0, 255]], ignore=None)


def test_zero_can_mean_no_label(tmp_path):
    ids = {"road": 1, "car": 2, "sky": 3}
    assert read_index(tmp_path, [[0, 1, 2, 3]], ids=ids, ignore=0) == [[IGNORE, 0, 1, 2]]


def test_ids_and_mapping_go_together(tmp_path):
    options = {"ids": IDS, "mapping": {"car": "road", "sky": None}}
    assert read_index(tmp_path, [[7, 26, 65535]], np.uint16, **options) == [[0, 0, IGNORE]]


def test_other_colours_can_be_ignored(tmp_path):
    file = write_mask(tmp_path / "m.png", [[COLORS[2], (9, 9, 9), COLORS[0]]])
    dataset = Folder(tmp_path, THREE, masks="rgb", palette=COLORS, others="ignore")
    assert dataset.read_mask(file).tolist() == [[2, IGNORE, 0]]
