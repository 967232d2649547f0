"""Benchmarks are not timed in tests, but each has to be there and to start."""

from importlib import import_module
from pathlib import Path

import pytest
from benchmarks.__main__ import NAMES

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize("name", NAMES)
def test_benchmark_can_be_imported_and_run(name):
    module = import_module(f"benchmarks.{name}")
    assert callable(module.run) and module.__doc__


def test_every_file_is_a_benchmark_or_how_it_is_measured():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*NAMES, "__init__", "__main__", "measure"}
