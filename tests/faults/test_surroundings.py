"""One or two of the moments at which clocks jump, files change, and processes share a cache."""

import pytest

from tests.faults import changes, clocks, kills, shared
from tests.faults.processes import Fault
from tests.faults.readers import RUN
from tests.faults.targets import CHANGED, DISTURBED, SHARED
from tests.tiny import needs_fork

pytestmark = [needs_fork, pytest.mark.slow]


@pytest.fixture(autouse=True)
def trained_run(trained):
    RUN.setdefault("run", trained)


def failures(trials, target, folder, faults):
    """What is wrong after each fault, and what an undisturbed call leaves."""
    whole = kills.undisturbed(target, folder / "t", trials.where(target))
    found = {fault: trials.trial(target, folder / "t", whole, fault) for fault in faults}
    return {fault: wrong for fault, wrong in found.items() if wrong}, whole.contents


def named(targets, name):
    return next(one for one in targets if one.name == name)


@pytest.mark.parametrize("name", ["predict", "cache"])
def test_what_time_it_is_changes_nothing(name, tmp_path):
    faults = [Fault("back", 5), Fault("ahead", 9), Fault("of 1970", 20), Fault("of next year", 25)]
    assert failures(clocks.JUMPS, named(DISTURBED, name), tmp_path, faults)[0] == {}


@pytest.mark.parametrize(
    "name, faults",
    [
        ("predict", [Fault("cut", 4), Fault("vanish", 6)]),
        ("train", [Fault("empty", 30), Fault("other", 16), Fault("vanish", 91)]),
        ("check", [Fault("cut", 27)]),
    ],
)
def test_a_file_that_changes_is_named_or_was_read_before(name, faults, tmp_path):
    assert failures(changes.OPENINGS, named(CHANGED, name), tmp_path, faults)[0] == {}


def test_results_of_others_that_are_not_as_they_were_are_noticed(tmp_path):
    """The harness itself."""
    target = named(CHANGED, "predict")
    whole = kills.undisturbed(target, tmp_path / "t", target.reads)
    spoilt = whole._replace(contents=whole.contents | {f"out/{number}.png": b"" for number in range(3)})
    found = changes.trial(target, tmp_path / "t", spoilt, Fault("vanish", 1))
    assert len(found) == 2 and all("is named, but another one: out/" in one for one in found)


@pytest.mark.parametrize("name, kept", [("index", "listings"), ("drawings", "idd"), ("images", "samples")])
def test_processes_that_fill_one_cache_end_as_they_do_alone(name, kept, tmp_path):
    wrong, contents = failures(shared.SHARES, named(SHARED, name), tmp_path, [Fault("kill", 4)])
    assert wrong == {}
    assert any(path.startswith(f"cache/{kept}/") for path in contents)
