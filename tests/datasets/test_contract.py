"""What every dataset has to do, checked on every dataset that there is."""

import inspect
import os
import pkgutil
import shutil
from importlib import import_module
from pathlib import Path

import pytest
import torch

import semiverse.datasets
from semiverse.cli.call import parse
from semiverse.configuration import describe, dump_yaml
from semiverse.data import ResizeTransform, Resolution, SegmentationDataset, Split
from semiverse.datasets import BSDS500, CamVid, ClothingCoParsing, LabelMeFacade
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets
from semiverse.labels import IGNORE
from tests.fakes import WRITERS, Fake

RENDERED = {SyntheticRooms: {"size": (16, 24)}, SyntheticStreets: {"size": (16, 24), "style": "dusk"}}
"""Datasets that need no files, and arguments that make them small."""


def concrete_datasets() -> list[type[SegmentationDataset]]:
    """Every dataset of the package, whether it is exported or not; a leading underscore marks a common base."""
    for module in pkgutil.walk_packages(semiverse.datasets.__path__, "semiverse.datasets."):
        import_module(module.name)
    found, waiting = [], [SegmentationDataset]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("semiverse.datasets.") and not kind.__name__.startswith("_"):
                found.append(kind)
    return sorted(found, key=lambda kind: kind.__name__)


CASES = [(kind, case) for kind, cases in WRITERS.items() for case in cases]
IDS = [f"{kind.__name__}-{case}" for kind, case in CASES]
RENDERED_CASES = [pytest.param(kind, options, id=kind.__name__) for kind, options in RENDERED.items()]


@pytest.fixture(params=CASES, ids=IDS)
def fake(request, tmp_path) -> Fake:
    kind, case = request.param
    return WRITERS[kind][case](tmp_path / "owner")


def take(dataset: SegmentationDataset) -> None:
    """What a command line is parsed for here.

    Args:
        dataset: A dataset.
    """


def parsed(dataset: SegmentationDataset, tmp_path: Path) -> SegmentationDataset:
    """The dataset that its description builds, by way of a YAML file."""
    file = tmp_path / "config.yaml"
    file.write_text(dump_yaml({"dataset": describe(dataset)}))
    return parse("take", take, (), ["--config", str(file)])["dataset"]


@pytest.mark.parametrize("kind", concrete_datasets(), ids=lambda kind: kind.__name__)
def test_every_dataset_is_exported_and_has_a_writer_in_fakes_or_needs_none(kind):
    assert kind.__name__ in semiverse.datasets.__all__
    assert getattr(semiverse.datasets, kind.__name__) is kind
    assert kind in WRITERS or kind in RENDERED
    assert inspect.getdoc(kind)


def test_splits_hold_the_images_that_the_owner_lists_in_that_order(fake):
    for split, masks in fake.masks.items():
        assert [record.id for record in fake.dataset.subset(split)] == list(masks)


def test_the_split_all_holds_the_images_of_every_split(fake):
    everything = [record.id for split in fake.dataset.split_names() for record in fake.dataset.records(split)]
    assert [record.id for record in fake.dataset.subset("all")] == everything
    assert sorted(everything) == sorted(name for masks in fake.masks.values() for name in masks)


def test_masks_hold_the_documented_train_ids_and_fit_their_images(fake):
    for split, masks in fake.masks.items():
        for record in fake.dataset.subset(split):
            image, mask = fake.dataset.read(record)
            check_sample(fake.dataset, image, mask)
            wanted = masks[record.id]
            assert (record.mask is None) == (wanted is None)
            expected = torch.full_like(mask, IGNORE) if wanted is None else torch.from_numpy(wanted)
            assert torch.equal(mask, expected)


def check_sample(dataset, image, mask):
    assert image.dtype == mask.dtype == torch.uint8
    assert image.shape == (3, *mask.shape)
    assert bool(((mask < len(dataset.labels)) | (mask == IGNORE)).all())


def test_an_unknown_split_is_refused_with_those_that_there_are(fake):
    with pytest.raises(ValueError, match=r"no split 'nights'.*all"):
        fake.dataset.subset("nights")


def test_records_are_the_same_each_time_and_for_another_object_of_the_same_description(fake, tmp_path):
    again = parsed(fake.dataset, tmp_path)
    for split in fake.masks:
        assert fake.dataset.subset(split) == fake.dataset.subset(split) == again.subset(split)


def test_its_description_builds_an_equal_dataset_through_the_command_line(fake, tmp_path):
    again = parsed(fake.dataset, tmp_path)
    assert type(again) is type(fake.dataset)
    assert describe(again) == describe(fake.dataset)
    assert again.labels == fake.dataset.labels
    record = fake.dataset.subset(next(iter(fake.masks)))[0]
    for mine, theirs in zip(fake.dataset.read(record), again.read(record), strict=True):
        assert torch.equal(mine, theirs)


def test_a_missing_file_is_named(fake, tmp_path):
    split = next(iter(fake.masks))
    record = fake.dataset.subset(split)[0]
    if record.mask is None:
        folder = next(place for place in record.image.parents if "!" not in place.name)
        shutil.rmtree(folder)
        with pytest.raises(FileNotFoundError, match=folder.name):
            fake.dataset.subset(split)
    elif not record.mask.is_file():  # an entry of a file of many
        file = next(place for place in record.mask.parents if place.exists())
        file.unlink()
        with pytest.raises(FileNotFoundError, match=file.name):
            parsed(fake.dataset, tmp_path).subset(split)
    else:
        record.mask.unlink()
        with pytest.raises(FileNotFoundError, match=rf"(?s)no mask for 1 of.*{record.id}.*expected"):
            fake.dataset.subset(split)


@pytest.mark.parametrize("kind", [CamVid, LabelMeFacade], ids=lambda kind: kind.__name__)
def test_a_listed_photograph_that_is_missing_is_named(kind, tmp_path):
    dataset, masks = next(iter(WRITERS[kind].values()))(tmp_path)
    dataset.subset("train")[0].image.unlink()
    with pytest.raises(FileNotFoundError, match=rf"1 of \d listed images.*{next(iter(masks['train']))}"):
        dataset.subset("train")


def test_a_missing_root_names_the_places_that_were_tried(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_DATA", str(tmp_path / "datasets"))
    shutil.rmtree(tmp_path / "owner")
    with pytest.raises(FileNotFoundError, match=r"owner.*SEMIVERSE_DATA"):
        fake.dataset.subset(next(iter(fake.masks)))


@pytest.mark.parametrize("kind, options", RENDERED_CASES)
def test_rendered_datasets_need_no_files(kind, options, tmp_path):
    dataset = kind(images=2, val_images=1, **options)
    again = parsed(dataset, tmp_path)
    assert describe(again) == describe(dataset)
    assert [len(dataset.subset(split)) for split in dataset.split_names()] == [2, 1, 1]
    for record in dataset.subset("all"):
        image, mask = dataset.read(record)
        check_sample(dataset, image, mask)
        assert torch.equal(image, again.read_image(record.image))


def data_folder() -> Path:
    given = os.environ.get("SEMIVERSE_DATA")
    return Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"


REAL = [
    pytest.param(CamVid, "camvid", {"train": 367, "val": 101, "train_drives": 242, "val_drives": 110}, 12, id="CamVid"),
    pytest.param(
        LabelMeFacade,
        "labelmefacade",
        {"train": 100, "test": 500, "train450": 450, "val150": 150},
        9,
        id="LabelMeFacade",
    ),
    pytest.param(
        ClothingCoParsing,
        "clothing-co-parsing",
        {"annotated": 500, "unlabeled": 200, "train400": 400, "val100": 100},
        47,
        id="ClothingCoParsing",
    ),
    pytest.param(BSDS500, "bsds500", {"val": 100}, 1, id="BSDS500"),
]
"""Datasets, their folders, the images of each split, how many values (classes, ``IGNORE``) every 20th mask has."""


@pytest.mark.data
@pytest.mark.parametrize("kind, folder, sizes, values", REAL)
def test_real_files_are_what_the_class_says(kind, folder, sizes, values, tmp_path):
    if not (data_folder() / folder).is_dir():
        pytest.skip(f"no folder {data_folder() / folder}; set SEMIVERSE_DATA to the folder that holds the datasets")
    dataset = kind(data_folder() / folder)
    seen: set[int] = set()
    for split, size in sizes.items():
        records = dataset.subset(split)
        assert len(records) == size
        assert len({record.image for record in records}) == size
        samples = Split(dataset, records, ResizeTransform(Resolution()))
        for index in range(0, size, 20):
            sample = samples[index]
            check_sample(dataset, sample.image, sample.mask)
            seen |= set(sample.mask.unique().tolist())
    assert len(seen) == values
    first = next(iter(sizes))
    assert parsed(dataset, tmp_path).subset(first) == dataset.subset(first)
