"""The cache gives what the files give, or is as if it were not there."""

import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from semiverse.data import Augmentation, CachedReader, CropTransform, Record, ResizeTransform, Resolution, Split
from semiverse.data.samples import resize
from semiverse.datasets import CamVid, Folder, SyntheticRooms
from semiverse.files.writing import _sweep
from semiverse.labels import IGNORE
from semiverse.mixture import Domain, DomainMixture
from semiverse.mixture.batches import loading_processes
from tests.fakes import THREE, draw, write_mask, write_photo

HALF = Resolution(0.5)


def write_scenes(root: Path, count: int = 4, size=(24, 32)) -> Folder:
    for i in range(count):
        for split in ("train", "val"):
            write_photo(root / split / "images" / f"{split}_{i}.png", seed=i, size=size)
            write_mask(root / split / "masks" / f"{split}_{i}.png", draw(i, [0, 1, 2, 255], size))
    return Folder(root, THREE)


@pytest.fixture
def scenes(tmp_path):
    return write_scenes(tmp_path / "scenes")


@pytest.fixture
def reader(scenes, tmp_path):
    """A filled cache of the training images at half their size."""
    cached = CachedReader(scenes, HALF, tmp_path / "cache")
    cached.build(scenes.records("train"), "train")
    return cached


def from_files(reader: CachedReader, record: Record):
    image, mask = reader.dataset.read(record)
    return resize(image, mask, reader.resolution.of(*mask.shape))


def same(first, second) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def entries(reader: CachedReader) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in reader.folder.iterdir()} if reader.folder.exists() else {}


def is_kept(reader: CachedReader, record: Record) -> bool:
    """Whether the pixels of a record come from the cache: they are changed there, where nobody else would see it."""
    for path in reader.folder.iterdir():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    return not same(reader.read(record), from_files(reader, record))


# What is read.


def test_entries_hold_what_resizing_the_files_gives(reader):
    for record in reader.dataset.records("train"):
        image, mask = reader.read(record)
        assert image.shape == (3, 12, 16)
        assert same((image, mask), from_files(reader, record))
    assert is_kept(reader, reader.dataset.records("train")[0])


def test_an_image_without_mask_shares_its_entry_with_the_labelled_one(reader):
    record = reader.dataset.records("train")[1]._replace(mask=None)
    before = entries(reader)
    reader.build([record], "train")
    assert entries(reader) == before
    image, mask = reader.read(record)
    assert torch.equal(image, from_files(reader, record)[0])
    assert bool((mask == IGNORE).all())


def test_what_is_not_kept_is_read_from_its_files(reader):
    record = reader.dataset.records("val")[0]
    before = entries(reader)
    assert same(reader.read(record), from_files(reader, record))
    assert entries(reader) == before  # reading never makes the cache larger


def test_changing_a_tensor_does_not_change_the_entry(reader):
    record = reader.dataset.records("train")[0]
    reader.read(record)[0].zero_()
    assert same(reader.read(record), from_files(reader, record))


def test_resolutions_and_datasets_do_not_mix(reader, scenes, tmp_path):
    record = scenes.records("train")[0]
    for other in (
        CachedReader(scenes, Resolution(0.25), tmp_path / "cache"),
        CachedReader(scenes, Resolution(size=(12, 16)), tmp_path / "cache"),
        CachedReader(Folder(scenes.root, THREE, mapping={"car": None}), HALF, tmp_path / "cache"),
    ):
        other.build([record], "train")
        assert same(other.read(record), from_files(other, record))
    assert same(reader.read(record), from_files(reader, record))
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_rendered_images_are_brought_to_their_size_but_not_kept(tmp_path):
    rooms = SyntheticRooms(images=2, val_images=1, size=(32, 48))
    reader = CachedReader(rooms, HALF, tmp_path)
    reader.build(rooms.records("train"), "train")
    assert entries(reader) == {}
    assert reader.read(rooms.records("train")[0])[0].shape == (3, 16, 24)


# When entries count.


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_source_of_another_time_is_read_again(reader, which):
    record = reader.dataset.records("train")[0]
    path = getattr(record, which)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert not is_kept(reader, record)
    reader.build([record], "train")
    assert is_kept(reader, record)


def test_a_source_of_another_size_but_the_same_time_is_read_again(reader):
    record = reader.dataset.records("train")[0]
    found = record.image.stat()
    write_photo(record.image, seed=99, size=(24, 32))
    with record.image.open("ab") as file:
        file.write(bytes(max(1, found.st_size + 1 - record.image.stat().st_size)))
    os.utime(record.image, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert same(reader.read(record), from_files(reader, record))


def test_a_source_of_1970_that_another_one_of_its_size_replaces_is_read_again(reader):
    record = reader.dataset.records("train")[0]
    os.utime(record.mask, (0, 0))
    reader.build([record], "train")
    content = record.mask.read_bytes()
    record.mask.write_bytes(content[:-1] + b"?")  # the end of a PNG, which nobody looks at
    os.utime(record.mask, (0, 0))
    assert not is_kept(reader, record)


def test_a_new_entry_takes_the_place_of_the_outdated_one(reader):
    record = reader.dataset.records("train")[0]
    before = entries(reader)
    write_photo(record.image, seed=99, size=(24, 32))
    os.utime(record.image, ns=(0, 0))
    reader.build([record], "train")
    assert same(reader.read(record), from_files(reader, record))
    assert entries(reader).keys() == before.keys()


def test_another_version_of_the_library_reads_again(reader, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("semiverse.data.cache.__version__", "999")
    assert not is_kept(CachedReader(scenes, HALF, tmp_path / "cache"), scenes.records("train")[0])


CODE = """
from semiverse.datasets import Folder
class Mine(Folder):
    def read_mask(self, path):
        return super().read_mask(path){change}
"""


def test_another_code_of_a_dataset_reads_again(scenes, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (record, *_), classes = scenes.records("train"), []
    for change in ("", ".clamp(max=1)"):
        (tmp_path / "own_dataset.py").write_text(CODE.format(change=change))
        sys.modules.pop("own_dataset", None)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        from own_dataset import Mine

        reader = CachedReader(Mine(scenes.root, THREE), HALF, tmp_path / "cache")
        reader.build([record], "train")
        classes.append(reader.read(record)[1].unique().tolist())
        sys.modules.pop("own_dataset")
    assert classes == [[0, 1, 2, 255], [0, 1]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: content[:7],
        lambda content: content[:-1],
        lambda content: content + b"0",
        lambda content: b"\x93NUMPY" + content[6:],
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "half a header", "cut", "longer", "another format", "zeros"],
)
def test_a_damaged_entry_is_as_good_as_none_and_is_replaced(reader, damage):
    whole = entries(reader)
    for path in reader.folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    for record in reader.dataset.records("train"):
        assert same(reader.read(record), from_files(reader, record))
    reader.build(reader.dataset.records("train"), "train")
    assert entries(reader) == whole


# How they are written.


def build(scenes: Folder, cache: Path, start) -> None:
    torch.set_num_threads(1)  # as loading processes do: threads of the parent are not there
    start.wait()
    CachedReader(scenes, HALF, cache).build(scenes.records("train"), "train")


def start_builds(scenes: Folder, cache: Path, count: int) -> list:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs processes that start quickly")
    context = multiprocessing.get_context("fork")
    start = context.Event()
    processes = [context.Process(target=build, args=(scenes, cache, start)) for _ in range(count)]
    for process in processes:
        process.start()
    start.set()
    return processes


def test_two_processes_build_one_whole_cache_at_once(tmp_path):
    scenes = write_scenes(tmp_path / "scenes", count=30)
    for process in start_builds(scenes, tmp_path / "cache", 2):
        process.join(60)
        assert process.exitcode == 0
    reader = CachedReader(scenes, HALF, tmp_path / "cache")
    found = entries(reader)
    assert len(found) == 60
    assert not [name for name in found if name.endswith(".part")]
    assert all(same(reader.read(record), from_files(reader, record)) for record in scenes.records("train"))
    assert is_kept(reader, scenes.records("train")[29])


@pytest.mark.slow
def test_a_build_that_is_killed_leaves_only_whole_entries(tmp_path):
    scenes = write_scenes(tmp_path / "scenes", count=40, size=(240, 320))
    reader = CachedReader(scenes, HALF, tmp_path / "cache")
    (process,) = start_builds(scenes, tmp_path / "cache", 1)
    while len(list(reader.folder.glob("*"))) < 10 and process.is_alive():
        time.sleep(0.001)
    process.kill()
    process.join()
    assert 0 < len(list(reader.folder.glob("*.image"))) < 40
    assert all(same(reader.read(record), from_files(reader, record)) for record in scenes.records("train"))
    reader.build(scenes.records("train"), "train")
    assert len(list(reader.folder.glob("*.image"))) == len(list(reader.folder.glob("*.mask"))) == 40


def test_half_written_files_of_yesterday_are_removed(reader):
    old, young = reader.folder / ".old.part", reader.folder / ".young.part"
    for path, age in ((old, 90_000), (young, 60)):
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
    _sweep.cache_clear()  # which is done once in a process
    reader.build(reader.dataset.records("val"), "val")
    assert (old.exists(), young.exists()) == (False, True)


def test_images_size_and_place_are_said_before(scenes, tmp_path, capsys):
    large = write_scenes(tmp_path / "large", count=2, size=(1024, 1024))
    reader = CachedReader(large, HALF, tmp_path / "cache")
    reader.build(large.records("train"), "streets, labeled")
    line = f"cache: adding 2 images of streets, labeled, about 2 MiB, in {reader.folder}\n"
    assert capsys.readouterr().out == line
    reader.build(large.records("train"), "streets, labeled")
    assert capsys.readouterr().out == ""


def test_without_write_access_it_warns_and_files_are_read(scenes, tmp_path):
    (tmp_path / "cache").write_text("no folder can be made here, not even by root")
    reader = CachedReader(scenes, HALF, tmp_path / "cache")
    with pytest.warns(UserWarning, match=r"not complete \(.*\); expected about . MiB of free space .*SEMIVERSE_CACHE"):
        reader.build(scenes.records("train"), "train")
    record = scenes.records("train")[0]
    assert same(reader.read(record), from_files(reader, record))


def test_a_full_disk_is_noticed_before(scenes, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    reader = CachedReader(scenes, HALF, tmp_path / "cache")
    with pytest.warns(UserWarning, match="0 MiB are free"):
        reader.build(scenes.records("train"), "train")
    assert entries(reader) == {}


def test_a_disk_that_fills_up_meanwhile_leaves_whole_entries(tmp_path):
    resource = pytest.importorskip("resource")
    large = write_scenes(tmp_path / "large", count=1, size=(200, 200))
    reader = CachedReader(large, Resolution(), tmp_path / "cache")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # Python ignores SIGXFSZ: writing fails
    try:
        with pytest.warns(UserWarning, match="not complete"):
            reader.build(large.records("train"), "train")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert entries(reader) == {}
    record = large.records("train")[0]
    assert same(reader.read(record), from_files(reader, record))


def test_a_broken_image_is_named(scenes, tmp_path):
    broken = scenes.records("train")[2].image
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match=rf"{broken.name}.*cannot be decoded"):
        CachedReader(scenes, HALF, tmp_path / "cache").build(scenes.records("train"), "train")


# Domains with a cache.


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept" / "samples"


def mixture(scenes, cache: bool, resolution: Resolution, **options) -> DomainMixture:
    options = {"batch_size": 2, "crop": (10, 14), "workers": 0} | options
    return DomainMixture({"one": Domain(scenes, labeled=2, resolution=resolution, cache=cache)}, **options)


def first_epochs(data: DomainMixture):
    return [batch for start in (0, 1, 2) for batch in data.training(lambda start=start: start)]


@pytest.mark.parametrize("workers", [0, 2])
def test_training_batches_are_identical_at_the_owners_size(scenes, places, workers):
    augmentation = Augmentation(scale=(0.5, 1.5), color=0.3)
    options = {"augmentation": augmentation, "workers": workers}
    plain, cached = (first_epochs(mixture(scenes, cache, Resolution(), **options)) for cache in (False, True))
    assert len(plain) == len(cached) == 3
    for one, other in zip(plain, cached, strict=True):
        for kind in ("labeled", "unlabeled"):
            first, second = getattr(one, kind)["one"], getattr(other, kind)["one"]
            assert first.id == second.id
            assert same(first[:2], second[:2])
    assert len(list(places.iterdir())) == 1


def test_training_views_differ_little_at_a_smaller_size(places, tmp_path):
    smooth = torch.arange(96)[None] + torch.arange(64)[:, None]
    for split in ("train", "val"):
        write_mask(tmp_path / split / "images" / "a.png", torch.stack([smooth] * 3, 2))
        write_mask(tmp_path / split / "masks" / "a.png", (smooth > 80).byte())
    scenes = Folder(tmp_path, THREE)
    record = scenes.records("train")[0]
    plain = Split(scenes, [record], CropTransform(HALF, (20, 28), Augmentation()))
    domain = Domain(scenes, resolution=HALF, cache=True)
    cached = Split(domain.reader, [record], CropTransform(domain.resolution_left, (20, 28), Augmentation()))
    for seed in range(10):
        one, other = (split.draw(0, torch.Generator().manual_seed(seed))[0] for split in (plain, cached))
        assert (one.image.int() - other.image.int()).abs().max() <= 3
        assert (one.mask != other.mask).float().mean() < 0.06


def test_evaluation_is_identical_at_any_size(scenes, places):
    for resolution in (Resolution(), HALF, Resolution(size=(9, 31))):
        plain, cached = (mixture(scenes, cache, resolution) for cache in (False, True))
        cached.validation()  # fills the cache
        for full in (False, True):
            pairs = zip(plain.evaluation("one", None, full), cached.evaluation("one", None, full), strict=False)
            assert all(same(one[:2], other[:2]) for one, other in list(pairs)[:4])
    assert len(list(places.iterdir())) == 3


def test_a_split_reads_through_the_cache_as_through_the_dataset(reader):
    records = reader.dataset.records("train")
    plain = Split(reader.dataset, records, ResizeTransform(HALF))
    cached = Split(reader, records, ResizeTransform(Resolution()))
    assert all(same(plain[i][:2], cached[i][:2]) for i in range(4))


def test_without_the_option_nothing_is_kept(scenes, places):
    first_epochs(mixture(scenes, False, HALF))
    assert not places.exists()


class Archive(CamVid):
    def read_image(self, path):
        return torch.full((3, 4, 4), int(path.name), dtype=torch.uint8)


def test_an_entry_of_an_archive_counts_as_long_as_the_archive_is_unchanged(tmp_path):
    (tmp_path / "archive.h5").write_text("12")
    dataset, record = Archive(tmp_path), Record(tmp_path / "archive.h5" / "7", None)
    reader = CachedReader(dataset, Resolution(), tmp_path / "cache")
    reader.build([record], "train")
    assert len(entries(reader)) == 1
    assert is_kept(reader, record)
    (tmp_path / "archive.h5").write_text("123")
    assert not is_kept(reader, record)


def test_every_core_loads_but_for_many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert [loading_processes(processes) for processes in (1, 8, 32, 64, 100)] == [4, 4, 2, 1, 1]
