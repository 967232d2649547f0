"""IDD: the table, drawing masks, keeping them, and joining the parts."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from platformdirs import user_cache_path

from semiverse.datasets import IDD
from semiverse.files import cache_folder
from semiverse.formats.regions import drawn_once
from semiverse.labels import IGNORE
from tests.fakes.basic import draw, write_mask
from tests.fakes.driving import rectangle, write_idd, write_idd_part, write_polygons

OWNER = """
0 | road | 128,64,128
1 | parking; drivable fallback | 81,0,81
2 | sidewalk | 244,35,232
3 | rail track; non-drivable fallback | 152,251,152
4 | person; animal | 220,20,60
5 | rider | 255,0,0
6 | motorcycle | 0,0,230
7 | bicycle | 119,11,32
8 | autorickshaw | 255,204,54
9 | car | 0,0,142
10 | truck | 0,0,70
11 | bus | 0,60,100
12 | caravan; trailer; train; vehicle fallback | 136,143,153
13 | curb | 220,190,40
14 | wall | 102,102,156
15 | fence | 190,153,153
16 | guard rail | 180,165,180
17 | billboard | 174,64,67
18 | traffic sign | 220,220,0
19 | traffic light | 250,170,30
20 | pole; polegroup | 153,153,153
21 | obs-str-bar-fallback | 169,187,214
22 | building | 70,70,70
23 | bridge; tunnel | 150,100,100
24 | vegetation | 107,142,35
25 | sky; fallback background | 70,130,180
255 | unlabeled; ego vehicle; rectification border; out of roi; license plate | 0,0,0
"""
"""level3Id, names that are painted with it, colour: as in anue_labels.py of the owner's package."""
TABLE = [
    (int(i), names.split("; "), color) for i, names, color in (row.split(" | ") for row in OWNER.split("\n")[1:-1])
]
IDS = {name: i for i, names, _ in TABLE for name in names}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder of this test."""
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    """Everything that was left in the cache."""
    return [path for path in cache.rglob("*") if path.is_file()]


def test_every_name_of_the_owner_is_painted_with_its_level_three_id(tmp_path):
    assert len(IDS) == 40
    for name, level3 in IDS.items():
        path = write_polygons(tmp_path / "a.json", [{"label": name, "polygon": rectangle(0, 0, 15, 11)}])
        assert IDD(tmp_path).read_mask(path).unique().tolist() == [level3], name


def test_classes_and_colours_are_the_owners():
    assert len(IDD.labels) == 26
    for level3, names, color in TABLE[:-1]:
        assert IDD.labels.classes[level3] in names
        assert IDD.labels.palette[level3] == tuple(int(part) for part in color.split(","))


def owners_mask(objects: list[dict], size: tuple[int, int]) -> np.ndarray:
    """The owner's drawing, step by step."""
    image = Image.new("L", size[::-1], IDS["unlabeled"])
    for thing in objects:
        name = thing["label"]
        if thing.get("deleted") or len(thing["polygon"]) < 3:
            continue
        if name not in IDS and name.endswith("group"):
            name = name[: -len("group")]
        if name in IDS:
            ImageDraw.Draw(image).polygon([tuple(point) for point in thing["polygon"]], fill=IDS[name])
    return np.array(image)


def test_polygons_cover_the_pixels_that_the_owner_paints(tmp_path):
    rng = np.random.default_rng(0)
    names = [*IDS, "cargroup", "persongroup", "zebra", "zebragroup", "group"]
    for _ in range(20):
        objects = [
            {
                "label": str(rng.choice(names)),
                "polygon": rng.uniform(-10, 110, (int(rng.integers(0, 9)), 2)).tolist(),
                "deleted": int(rng.random() < 0.2),
            }
            for _ in range(40)
        ]
        path = write_polygons(tmp_path / "a.json", objects, size=(70, 100))
        np.testing.assert_array_equal(IDD(tmp_path).read_mask(path).numpy(), owners_mask(objects, (70, 100)))


def test_a_number_plate_hides_the_car_below(tmp_path):
    objects = [{"label": name, "polygon": rectangle(0, 0, 15, 11)} for name in ("car", "license plate")]
    assert IDD(tmp_path).read_mask(write_polygons(tmp_path / "a.json", objects)).unique().tolist() == [IGNORE]


def test_a_mask_is_drawn_once_and_again_after_its_polygons_changed(tmp_path, cache):
    dataset, masks = write_idd(tmp_path / "idd", ("I",))
    record = dataset.records("train")[0]
    first = dataset.read_mask(record.mask)
    (file,) = kept(cache)
    np.testing.assert_array_equal(np.load(file)["mask"], masks["train"][record.id])
    np.savez(file, mask=np.full(first.shape, 5, dtype=np.uint8))  # a mark, by which to see where the mask comes from
    assert dataset.read_mask(record.mask).unique().tolist() == [5]
    write_polygons(record.mask, [{"label": "sky", "polygon": rectangle(0, 0, 15, 11)}])
    assert dataset.read_mask(record.mask).unique().tolist() == [25]


def without_mask(whole: bytes) -> bytes:
    """A file of the right kind that holds something else."""
    stream = io.BytesIO()
    np.savez_compressed(stream, other=np.zeros(3))
    return stream.getvalue()


DAMAGES = {
    "empty": lambda _: b"",
    "other": lambda _: b"no mask",
    "truncated": lambda whole: whole[:60],
    "flipped": lambda whole: whole.replace(whole[60:90], bytes(30)),
    "keyless": without_mask,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_in_the_cache_is_replaced(tmp_path, cache, damage):
    dataset, _ = write_idd(tmp_path / "idd", ("I",))
    record = dataset.records("train")[0]
    first = dataset.read_mask(record.mask)
    (file,) = kept(cache)
    file.write_bytes(damage(file.read_bytes()))
    assert torch.equal(dataset.read_mask(record.mask), first)
    np.testing.assert_array_equal(np.load(file)["mask"], first.numpy())


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, cache):
    dataset, masks = write_idd(tmp_path / "idd", ("I",))
    cache.write_text("a file where the folder should be")
    for record in dataset.records("train"):
        np.testing.assert_array_equal(dataset.read_mask(record.mask).numpy(), masks["train"][record.id])


def test_readers_at_the_same_time_leave_one_complete_file(tmp_path):
    mask = torch.from_numpy(draw(0, range(26), size=(200, 300)))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: drawn_once(tmp_path / "a" / "b.npz", lambda: mask), range(40)))
    assert all(torch.equal(one, mask) for one in found)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.npz"]


def test_a_failed_move_leaves_nothing_behind(tmp_path):
    (tmp_path / "b.npz").mkdir()
    mask = torch.zeros(2, 3, dtype=torch.uint8)
    assert torch.equal(drawn_once(tmp_path / "b.npz", lambda: mask), mask)
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


def test_the_cache_is_where_the_environment_or_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setenv("SEMIVERSE_CACHE", "$HERE/kept")
    assert cache_folder() == tmp_path / "kept"
    monkeypatch.delenv("SEMIVERSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == user_cache_path("semiverse")


def test_made_masks_come_before_polygons(tmp_path):
    dataset, _ = write_idd(tmp_path, ("I",))
    record = dataset.records("val")[0]
    made = record.mask.with_name(record.mask.name.replace("polygons.json", "labellevel3Ids.png"))
    write_mask(made, draw(0, [*range(26), 255]))
    assert dataset.records("val")[0].mask == made


def test_the_parts_that_are_wanted_are_joined_in_their_order(tmp_path):
    dataset, masks = write_idd(tmp_path, ("I", "II"))
    assert list(masks["train"]) == ["0/000111", "1/000111", "1/000222", "200/000111", "201/000111", "201/000222"]
    assert [record.id for record in dataset.records("train")] == list(masks["train"])
    assert [record.id for record in IDD(tmp_path, parts=("II", "I")).records("train")] == list(masks["train"])
    assert [record.id for record in IDD(tmp_path, parts=("I",)).records("val")] == ["2/000333"]
    assert [record.image.suffix for record in IDD(tmp_path, parts=("II",)).records("val")] == [".jpg"]


def test_a_root_that_is_a_part_itself_is_known_by_its_name(tmp_path):
    write_idd(tmp_path, ("I", "II"))
    assert len(IDD(tmp_path / "idd20kII", parts=("II",)).records("train")) == 3
    assert len(IDD(tmp_path / "IDD_Segmentation", parts=("I",)).records("train")) == 3
    with pytest.raises(FileNotFoundError, match=r"found part II at .*idd20kII; expected part I as IDD_Segmentation"):
        IDD(tmp_path / "idd20kII", parts=("I",)).records("train")


def test_a_root_without_any_part_says_what_is_expected(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"found no part at .*elsewhere; expected a part as IDD_Segmentation or"
    ):
        IDD(tmp_path / "elsewhere").records("train")


def test_images_of_drives_with_equal_file_names_are_told_apart(tmp_path):
    write_idd_part(tmp_path, "png")
    dataset = IDD(tmp_path)
    (tmp_path / "few.txt").write_text("train/1/000111_leftImg8bit.png\n0/000111\n")
    records = dataset.subset("few.txt")
    assert [record.id for record in records] == ["1/000111", "0/000111"]
    assert [record.image.parent.name for record in records] == ["1", "0"]


def test_files_in_the_cache_can_be_read_by_others(tmp_path):
    previous = os.umask(0o022)
    try:
        drawn_once(tmp_path / "b.npz", lambda: torch.zeros(2, 3, dtype=torch.uint8))
    finally:
        os.umask(previous)
    assert (tmp_path / "b.npz").stat().st_mode & 0o777 == 0o644
