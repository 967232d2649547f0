"""Where a root is looked for."""

from pathlib import Path

import pytest

from semiverse.files import find_folder


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working directory and a folder of datasets."""
    work, datasets = tmp_path / "work", tmp_path / "datasets"
    work.mkdir()
    datasets.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("SEMIVERSE_DATA", str(datasets))
    return work, datasets


def test_an_absolute_folder_is_taken_as_it_is(places, tmp_path):
    assert find_folder(tmp_path / "work", "CamVid") == tmp_path / "work"


def test_the_working_directory_comes_before_the_datasets(places):
    work, datasets = places
    (datasets / "camvid").mkdir()
    assert find_folder(Path("camvid"), "CamVid") == datasets / "camvid"
    (work / "camvid").mkdir()
    assert find_folder(Path("camvid"), "CamVid") == Path("camvid")


def test_the_datasets_are_in_data_unless_the_environment_says_otherwise(places, monkeypatch):
    work, _ = places
    monkeypatch.delenv("SEMIVERSE_DATA")
    (work / "data" / "camvid").mkdir(parents=True)
    assert find_folder(Path("camvid"), "CamVid").samefile(work / "data" / "camvid")


def test_variables_and_the_home_folder_are_filled_in(places, tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", str(tmp_path))
    assert find_folder(Path("$HERE/work"), "CamVid") == tmp_path / "work"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_folder(Path("~/work"), "CamVid") == tmp_path / "work"


def test_a_missing_folder_names_both_places_and_who_needs_it(places):
    work, datasets = places
    with pytest.raises(FileNotFoundError, match=f"CamVid: no folder {work}/camvid nor {datasets}/camvid; .*SEMIVERSE"):
        find_folder(Path("camvid"), "CamVid")


def test_a_file_is_no_folder(places):
    work, _ = places
    (work / "camvid").write_text("a file")
    with pytest.raises(FileNotFoundError, match=f"no folder {work}/camvid;"):
        find_folder(Path("camvid"), "CamVid")
