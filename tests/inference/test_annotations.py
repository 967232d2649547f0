"""Predictions that go out to each annotation tool and come back are the same masks, pixel by pixel."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from semiverse.datasets import Coco, CvatXml, Labelme, LabelStudio, VocFolder
from semiverse.files import Outputs
from semiverse.formats.label_studio import decode_brush, encode_brush
from semiverse.formats.outlines import regions_of
from semiverse.inference.annotations import FORMATS, UNLABELED
from semiverse.inference.predictor import Segmentation
from semiverse.labels import IGNORE, LabelSpace
from tests.fakes import write_photo

SPACE = LabelSpace("three", ("ground", "fence", "machine"))
SIZE = (23, 31)
NESTED = {"background": None, "mapping": {UNLABELED: None}, "classes": (*SPACE.classes, UNLABELED)}


def masks() -> dict[str, np.ndarray]:
    """Noise, single pixels, rings in rings, diagonals, and pixels without a label inside and at the border."""
    rng = np.random.default_rng(0)
    rings = np.zeros(SIZE, dtype=np.uint8)
    for i, value in enumerate((1, 2, IGNORE, 1, 0, 2)):
        rings[2 + i : 21 - i, 3 + i : 28 - i] = value
    noise = rng.choice(np.array([0, 1, 2, IGNORE], dtype=np.uint8), SIZE)
    smooth = np.kron(rng.integers(0, 3, (6, 8)), np.ones((4, 4)))[: SIZE[0], : SIZE[1]].astype(np.uint8)
    rows, columns = np.indices(SIZE)
    stripes = ((rows + columns) // 2 % 3).astype(np.uint8)
    dots = np.full(SIZE, IGNORE, dtype=np.uint8)
    dots[::3, ::3] = 1
    disc = (((rows - 11) ** 2 + (columns - 15) ** 2 < 81) * 2).astype(np.uint8)
    return {"rings": rings, "noise": noise, "smooth": smooth, "stripes": stripes, "dots": dots, "disc": disc}


def confidence() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).random(SIZE).astype(np.float32))


def come_back(kind: str, folder: Path):
    """The dataset that reads the files of a format, beside its images."""
    if kind == "labelme":
        return Labelme(folder.parent, images=Path("photos"), annotations=Path(kind), **NESTED)
    if kind == "cvat":
        return CvatXml(folder.parent, Path(kind) / "annotations.xml", images="photos", **NESTED)
    if kind == "coco":
        return Coco(folder.parent, {"all": f"{kind}/annotations.json"}, images="photos", background=None)
    if kind == "cvat-masks":
        (folder / "JPEGImages").symlink_to(folder.parent / "photos")
        return VocFolder(folder)
    tasks = json.loads((folder / "tasks.json").read_text())
    for task in tasks:  # what Label Studio does with predictions that somebody accepts
        task["annotations"] = task.pop("predictions")
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return LabelStudio(folder.parent, Path(kind) / "tasks.json", images="photos", **NESTED)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_masks_that_go_out_come_back_pixel_by_pixel(kind, tmp_path):
    folder, sure = tmp_path / kind, confidence()
    files = FORMATS[kind](Outputs(folder, "predict"), SPACE)
    for name, mask in masks().items():
        write_photo(tmp_path / "photos" / f"{name}.png", size=SIZE)
        files.add(name, tmp_path / "photos" / f"{name}.png", Segmentation(torch.from_numpy(mask), SPACE, sure))
    files.finish()
    dataset = come_back(kind, folder)
    records = {record.id: record for record in dataset.subset("default" if kind == "cvat-masks" else "all")}
    assert records.keys() == masks().keys() and dataset.labels.classes == SPACE.classes
    for name, mask in masks().items():
        assert np.array_equal(dataset.read(records[name])[1].numpy(), mask), name


@pytest.mark.parametrize("kind", ["labelme", "cvat", "coco", "label-studio", "label-studio-brush"])
def test_each_region_says_how_sure_the_model_is(kind, tmp_path):
    mask, sure = np.zeros(SIZE, dtype=np.uint8), torch.full(SIZE, 0.25)
    mask[:, 10:] = 1
    sure[:, 10:] = 0.75
    files = FORMATS[kind](Outputs(tmp_path, "predict"), SPACE)
    files.add("a", Path("a.jpg"), Segmentation(torch.from_numpy(mask), SPACE, sure))
    files.finish()
    (text,) = (path.read_text() for path in tmp_path.glob("[!.]*") if path.name != "interface.xml")
    pattern = '"confidence">([\\d.]+)<' if kind == "cvat" else '"(?:confidence|score)": ([\\d.]+)'
    assert {0.25, 0.75} <= {float(value) for value in re.findall(pattern, text)}


def test_regions_are_connected_and_cover_the_mask_once():
    mask = masks()["noise"]
    seen = np.zeros(SIZE, dtype=int)
    for region in regions_of(mask, confidence().numpy()):
        (left, top), (height, width) = region.corner, region.pixels.shape
        seen[top : top + height, left : left + width] += region.pixels
        assert (mask[top : top + height, left : left + width][region.pixels] == region.train_id).all()
    assert seen.max() == 1 and (seen[mask != IGNORE] == 1).all()


def test_polygons_of_simple_shapes_have_few_points():
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:30, 5:50] = 1
    outer = {region.train_id: len(region.polygon()) for region in regions_of(mask, np.ones(mask.shape))}
    assert outer[1] <= 8 and outer[0] <= 8


def slowly_decoded(coded: list[int]) -> list[int]:
    """Label Studio's own loop, bit by bit."""
    bits = iter("".join(f"{byte:08b}" for byte in coded))

    def take(width: int) -> int:
        return int("".join(next(bits) for _ in range(width)), 2)

    total, width = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated = take(1)
        length = take(widths[take(2)]) + 1
        values += [take(width)] * length if repeated else [take(width) for _ in range(length)]
    return values


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (150, 130)])
def test_brushed_pixels_are_coded_as_label_studio_does(size):
    pixels = np.random.default_rng(0).random(size) < 0.3
    pixels[: size[0] // 2] = True  # a run longer than 16 bits count
    coded = encode_brush(pixels)
    assert slowly_decoded(coded) == (255 * pixels).ravel().repeat(4).tolist() == decode_brush(coded, "here").tolist()
    assert all(0 <= byte <= 255 for byte in coded)
    with pytest.raises(ValueError, match=r"here .*ends too early; expected"):
        decode_brush(coded[:-2], "here")
