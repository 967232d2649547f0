"""Where a root is looked for, what is said of data that is wrong, and writing as a whole."""

import os
import pickle
from pathlib import Path

import pytest

from semiverse.files import (
    DataProblem,
    MissingData,
    find_folder,
    previous_folder,
    read_json,
    replaced_folder,
    work_beside,
    write_cached,
)


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


@pytest.mark.parametrize("kind", [DataProblem, MissingData])
def test_a_problem_says_its_parts_in_one_sentence_also_from_another_process(kind):
    problem = pickle.loads(pickle.dumps(kind("a.txt: nothing", "a list", "write it", Path("a.txt"))))
    assert (str(problem), problem.remedy) == ("a.txt: nothing; expected a list: write it", "write it")
    assert isinstance(problem, kind) and isinstance(problem, ValueError) and problem.listing == Path("a.txt")
    assert str(kind("what a worker process said")) == "what a worker process said"
    assert isinstance(problem, FileNotFoundError) is (kind is MissingData)


def test_a_folder_is_replaced_as_a_whole_or_stays(tmp_path):
    folder = tmp_path / "model"
    with replaced_folder(folder) as new:
        (new / "a").write_text("1")
    with pytest.raises(OSError, match="full"), replaced_folder(folder) as new:
        (new / "a").write_text("2")
        raise OSError("full")
    assert (folder / "a").read_text() == "1"
    assert not previous_folder(folder).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_cached_replaces_and_leaves_nothing_beside(tmp_path):
    for content in (b"1", "2"):
        write_cached(tmp_path / "deep" / "a", content)
    assert [(path.name, path.read_text()) for path in (tmp_path / "deep").iterdir()] == [("a", "2")]


def test_a_place_to_work_is_empty_and_gone_afterwards(tmp_path):
    left = tmp_path / ".model.onnx.new" / "of a killed call"
    left.mkdir(parents=True)
    with work_beside(tmp_path / "model.onnx") as place:
        assert not list(place.iterdir())
        (place / "a").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_in_a_cache_is_swept_after_a_day(tmp_path):
    old, young = tmp_path / ".a.json.1.part", tmp_path / ".b.json.2.part"
    for path in (old, young):
        path.touch()
    os.utime(old, (1e9, 1e9))
    write_cached(tmp_path / "c.json", "{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.json.2.part", "c.json"]


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"b": [{"a": 1, "a": 1}]}'])
def test_a_key_of_json_that_stands_twice_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json: .*'a' stands twice"):
        read_json(tmp_path / "a.json", "values")


def test_messages_have_one_line_of_bearable_length():
    told = str(DataProblem("x\n" + "9" * 10**6, "y", "z"))
    assert "\n" not in told and len(told) < 1000
