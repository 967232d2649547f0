"""Progress: a bar in a terminal after two seconds; elsewhere a line now and then, and none for short work."""

import io
import logging

import pytest

from semiverse import progress as module
from semiverse.progress import Progress, progress


class Terminal(io.StringIO):
    """Standard error of somebody who watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    passed = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: passed[0])
    return passed


def test_items_come_as_they_are_and_short_work_says_nothing(capsys, caplog):
    caplog.set_level(logging.INFO)
    assert list(progress(range(5), "counting")) == list(range(5))
    assert capsys.readouterr().err == "" and not caplog.records


def test_a_line_now_and_then_where_nobody_watches(clock, capsys, caplog):
    caplog.set_level(logging.INFO)
    for _ in progress(range(20), "counting", unit="images", total=30, done=10):
        clock[0] += 10
    assert capsys.readouterr().err == ""
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "counting: 13 of 30 images, about 3 min left"
    assert len(said) == 6  # in 200 seconds, one each 30


def test_the_latest_note_and_bytes_are_said(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress("archive", 4_000_000, "B") as shown:
        clock[0] += 31
        shown.advance(1_000_000, "first part")
    assert [record.getMessage() for record in caplog.records] == ["archive: 1 of 4 MB, about 2 min left, first part"]
    assert shown.done == 1_000_000


def test_a_bar_is_drawn_in_a_terminal(monkeypatch, caplog, capsys):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    with Progress("counting", 3, "images", delay=0) as shown:
        shown.advance(3, "nearly there")
        shown.say("a line")
    assert "counting" in screen.getvalue() and "images/s" in screen.getvalue()
    assert capsys.readouterr().out == "a line\n" and not caplog.records


def test_a_bar_waits_two_seconds(monkeypatch):
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    assert list(progress("abc", "spelling")) == ["a", "b", "c"]
    assert "spelling" not in screen.getvalue()


def test_no_standard_error_at_all(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert list(progress("abc", "spelling")) == ["a", "b", "c"]
