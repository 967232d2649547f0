"""What is done of some work, noted so that a killed call goes on and several processes merge."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from semiverse.inference.journal import Journal

CALL = {"run": "r", "scales": (1.0,)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def begin(folder, monkeypatch, rank=0, processes=1, call=CALL, fresh=False):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    journal = Journal(folder, "predict", call, fresh)
    journal.start()
    return journal


def test_the_last_of_three_processes_merges_in_the_order_of_the_keys(tmp_path, monkeypatch):
    journals = [begin(tmp_path, monkeypatch, rank, 3) for rank in range(3)]
    merged = {}
    for rank in (2, 0, 1):
        for key in "abcdefg"[rank::3]:
            journals[rank].note(key, {"file": key})
        last = journals[rank].finish("abcdefg", merged.update)
        assert last == (rank == 1) == bool(merged)
    assert list(merged) == list("abcdefg") and merged["c"] == {"file": "c"}
    assert names(tmp_path) == []


def test_a_line_that_was_cut_and_bytes_that_are_no_text_cost_one_entry(tmp_path, monkeypatch):
    journal = begin(tmp_path, monkeypatch)
    for key in "abc":
        journal.note(key, {"done": True})
    journal.close()
    file = tmp_path / ".predict_0.jsonl"
    file.write_bytes(file.read_bytes()[:-5] + b"\xff\xfe")
    again = begin(tmp_path, monkeypatch)
    assert again.begun and list(again.entries) == ["a", "b"]
    again.note("c", {"done": True})
    assert list(Journal(tmp_path, "predict", CALL).entries) == ["a", "b", "c"]


def test_more_or_fewer_processes_go_on_with_what_others_noted(tmp_path, monkeypatch):
    for rank in range(2):
        begin(tmp_path, monkeypatch, rank, 2).note("ab"[rank], {})
    alone, merged = begin(tmp_path, monkeypatch), {}
    assert sorted(alone.entries) == ["a", "b"]
    alone.note("c", {})
    assert alone.finish("abc", merged.update) and list(merged) == ["a", "b", "c"] and names(tmp_path) == []


@pytest.mark.parametrize(
    "other", [{"call": {"run": "r", "scales": (1.0, 2.0)}}, {"fresh": True}], ids=["call", "fresh"]
)
def test_another_call_and_one_that_starts_over_know_nothing(other, tmp_path, monkeypatch):
    begin(tmp_path, monkeypatch).note("a", {})
    journal = begin(tmp_path, monkeypatch, **other)
    assert not journal.begun and journal.entries == {}
    assert not journal.finish("a", lambda _: pytest.fail("nothing is done"))


def test_processes_that_start_over_together_count_for_one_another(tmp_path, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "1234")
    begin(tmp_path, monkeypatch, 1, 2).note("b", {"old": True})
    journals, merged = [begin(tmp_path, monkeypatch, rank, 2, fresh=True) for rank in range(2)], {}
    journals[0].note("a", {})
    assert not journals[0].finish("ab", merged.update)
    journals[1].note("b", {})
    assert journals[1].finish("ab", merged.update) and merged["b"] == {}


def test_threads_note_whole_lines(tmp_path, monkeypatch):
    journal = begin(tmp_path, monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: journal.note(str(i), {"text": "x" * 500}), range(200)))
    lines = (tmp_path / ".predict_0.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines if line]) == 201


def test_what_is_noted_is_on_its_way_before_the_process_dies(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from semiverse.inference.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]), 'predict', {}); j.start(); j.note('a', {}); os.kill(os.getpid(), 9)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment).returncode == -9
    assert Journal(tmp_path, "predict", {}).entries == {"a": {}}
