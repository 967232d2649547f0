"""Images of large folders in columns: the records of a list of them, kept in the cache, refreshed, never trusted."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from semiverse.data import list_images, listing, records
from semiverse.data.listing import image_records, images_below, paired
from semiverse.data.pairing import Record
from semiverse.data.records import Records, drawn, joined
from semiverse.data.walking import walk
from semiverse.datasets import Folder
from semiverse.files import states
from semiverse.mixture import Domain
from semiverse.mixture.domain import choose_labeled, choose_unlabeled

NAMES = ["b.PNG", "deep/er/c.jpg", "a.v2.jpeg", "deep.jpg", "deep/a.png", "deep-er.png", "été/ñ.png", "deep/er.png"]
OLD = time.time() - 100


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "listings"


@pytest.fixture
def few(monkeypatch):
    """Folders are large from three images on."""
    monkeypatch.setattr(listing, "LARGE", 2)
    monkeypatch.setattr(records, "LARGE", 2)
    monkeypatch.setattr(states, "SETTLED", -1.0)


def fill(folder, names=NAMES):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def plain(folder):
    """The records as they were made before there were columns."""
    return [Record(path, None, name) for name, path in walk(folder).files if path.suffix != ".txt"]


def test_columns_hold_the_same_records_in_the_same_order(tmp_path, few, cache):
    folder = fill(tmp_path / "photos", [*NAMES, "notes.txt", ".hidden.png", ".cache/a.png"])
    expected = plain(folder)
    for _ in range(2):  # made, and read back
        found = image_records(folder)
        assert isinstance(found, Records) and list(found) == expected and len(found) == len(NAMES)
        assert found[-1] == expected[-1] and list(found[1:6:2]) == expected[1:6:2]
        assert list_images(folder) == {record.name: record.image for record in expected}
    assert len(list(cache.iterdir())) == 1
    with pytest.raises(IndexError):
        found[len(NAMES)]


def test_small_folders_have_lists_and_no_index(tmp_path, cache):
    folder = fill(tmp_path / "photos")
    assert image_records(folder) == plain(folder)
    assert not cache.exists()


def add(folder):
    fill(folder, ["deep/new.png"])


def remove(folder):
    (folder / "deep/er/c.jpg").unlink()


def rename(folder):
    (folder / "été").rename(folder / "summer")


def replace_with_older(folder):
    """What copying programs do: another content, and an old time."""
    fill(folder, ["deep/er/other.png"])
    os.utime(folder / "deep/er", (OLD, OLD))


def link(folder):
    fill(folder.parent / "elsewhere", ["x.png"])
    (folder / "linked").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("change", [add, remove, rename, replace_with_older, link])
def test_what_changed_is_seen_and_what_did_not_is_not_looked_at_again(change, tmp_path, few, monkeypatch):
    folder, looked = fill(tmp_path / "photos"), []
    image_records(folder)
    time.sleep(0.02)
    look = listing.look_into
    monkeypatch.setattr(listing, "look_into", lambda one, problems: looked.append(one) or look(one, problems))
    image_records(folder)
    assert not looked
    change(folder)
    for _ in range(2):
        assert list(image_records(folder)) == plain(folder)
    assert looked and len(looked) < 4  # of the four folders that there are, and only once


def test_folders_that_just_changed_are_looked_at_again(tmp_path, few, monkeypatch):
    monkeypatch.setattr(states, "SETTLED", 60.0)
    folder, looked = fill(tmp_path / "photos"), []
    image_records(folder)
    monkeypatch.setattr(listing, "look_into", lambda one, problems: looked.append(one) or walk_into(one, problems))
    image_records(folder)
    assert len(looked) == 4


walk_into = listing.look_into


def test_links_that_lead_nowhere_are_looked_at_again(tmp_path, few):
    folder = fill(tmp_path / "photos")
    (folder / "later.png").symlink_to(tmp_path / "later")
    assert len(image_records(folder)) == len(NAMES) + 1
    fill(tmp_path / "later", ["inside.png"])
    assert "later.png/inside" in list_images(folder)


def truncated(kept):
    kept.write_bytes(kept.read_bytes()[:-3])


def altered(kept):
    content = bytearray(kept.read_bytes())
    content[-2] ^= 1
    kept.write_bytes(content)


def empty(kept):
    kept.write_bytes(b"")


def other_text(kept):
    kept.write_bytes(b"no index at all" * 10)


@pytest.mark.parametrize("damage", [truncated, altered, empty, other_text])
def test_a_damaged_index_is_made_anew(damage, tmp_path, few, cache):
    folder = fill(tmp_path / "photos")
    image_records(folder)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    damage(kept)
    assert list(image_records(folder)) == plain(folder)
    assert kept.read_bytes() == whole


def test_an_index_of_another_folder_is_made_anew(tmp_path, few, cache):
    one, other = fill(tmp_path / "one"), fill(tmp_path / "other", NAMES[:3])
    image_records(one)
    image_records(other)
    paths = sorted(cache.iterdir(), key=lambda path: path.stat().st_size)
    paths[1].write_bytes(paths[0].read_bytes())
    assert list(image_records(one)) == plain(one)


def test_without_a_cache_that_can_be_written_it_is_looked_at_every_time(tmp_path, few, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEMIVERSE_CACHE", str(tmp_path / "file"))
    folder = fill(tmp_path / "photos")
    assert list(image_records(folder)) == list(image_records(folder)) == plain(folder)


def test_names_that_differ_in_their_extension_are_refused_as_in_small_folders(tmp_path, few):
    folder = fill(tmp_path / "photos", [*NAMES, "deep.png"])
    with pytest.raises(ValueError, match=r"deep\.jpg and deep\.png differ only in their extension"):
        images_below(folder)


def test_folders_whose_accents_are_stored_in_two_ways_are_one(tmp_path):
    folder = fill(tmp_path / "photos", ["\u00e9/a.png", "e\u0301/a.png"])
    if len(list(folder.iterdir())) == 2:  # the file system tells them apart
        with pytest.raises(ValueError, match="differ only in how accents are stored"):
            images_below(folder)


def test_images_are_paired_with_their_masks_in_columns(tmp_path, few):
    root = tmp_path / "yard"
    fill(root / "images", NAMES)
    fill(root / "masks", [str(Path(name).with_suffix(".png")) for name in NAMES if name != "deep.jpg"])
    some = Folder(root, ["a", "b"], without_mask="unlabeled").subset("all")
    assert isinstance(some, Records)
    assert [record.id for record in some if record.mask is None] == ["deep"]
    assert all(record.mask.stem == record.image.stem for record in some if record.mask is not None)
    assert some.masked().sum() == len(NAMES) - 1
    with pytest.raises(FileNotFoundError, match=rf"no mask for 1 of {len(NAMES)} images, first: .*deep\.jpg"):
        Folder(root, ["a", "b"]).subset("all")
    assert list(paired(images_below(root / "masks"), images_below(root / "masks"), root, False))


def test_budgets_and_unlabelled_images_are_the_same_out_of_columns(tmp_path, monkeypatch):
    root = tmp_path / "yard"
    fill(root / "images", NAMES)
    fill(root / "masks", [str(Path(name).with_suffix(".png")) for name in NAMES])
    fill(root / "more", ["x.png", "y/z.png"])

    def chosen():
        dataset = Folder(root, ["a", "b"])
        domain = Domain(
            dataset, labeled=3, train="all", cover_classes=False, exclude_labeled=True, unlabeled_folder=root / "more"
        )
        labeled = choose_labeled("yard", domain, 0, list)
        twice = Domain(dataset, labeled=3, train="all", unlabeled_split="all", cover_classes=False)
        return (
            list(labeled),
            list(choose_unlabeled("yard", domain, labeled)),
            list(choose_unlabeled("", twice, labeled)),
        )

    expected = chosen()
    monkeypatch.setattr(listing, "LARGE", 2)
    monkeypatch.setattr(records, "LARGE", 2)
    assert chosen() == expected
    assert len(expected[1]) == len(NAMES) - 3 + 2 and len(expected[2]) == len(NAMES)
    assert all(record.mask is None for record in expected[1])


def test_sequences_are_joined_and_sampled_without_lists(tmp_path, few):
    folder = fill(tmp_path / "photos")
    found, own = image_records(folder), [Record(Path("a.png"), Path("b.png"))]
    both = joined([found, own, found[2:4]])
    assert list(both) == [*found, *own, *list(found)[2:4]]
    assert both.masked().tolist() == [record.mask is not None for record in both]
    assert list(both.each_once([found[0].image])) == [*list(found)[1:], *own]
    some = drawn(found, 3)
    assert len(some) == 3 and list(some) == list(drawn(found, 3)) and drawn(found, 100) is found
    assert np.all(np.diff([list(found).index(record) for record in some]) > 0)
