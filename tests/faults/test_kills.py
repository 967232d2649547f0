"""One or two of the moments that ``make faults`` tries by the twenty."""

import pytest

from tests.faults import kills
from tests.faults.processes import Fault, contents, run
from tests.faults.readers import RUN
from tests.faults.targets import all_targets, methods
from tests.methods.test_contract import METHODS
from tests.tiny import needs_fork

pytestmark = [needs_fork, pytest.mark.slow]


@pytest.fixture(autouse=True)
def trained_run(trained):
    RUN.setdefault("run", trained)


@pytest.mark.parametrize(
    "name, faults",
    [
        ("check --fix", [Fault("kill", 20), Fault("ENOSPC", 12), Fault("EIO", 30)]),
        ("init", [Fault("kill", 6), Fault("EROFS", 4)]),
        ("split", [Fault("kill", 14), Fault("size", 10)]),
        ("predict", [Fault("kill", 25), Fault("EDQUOT", 9)]),
        ("pseudolabel", [Fault("kill", 46), Fault("kill", 47), Fault("size", 100)]),  # 46 and 47: all is done
    ],
)
def test_a_call_that_something_happened_to_can_be_repeated(name, faults, tmp_path):
    target = next(one for one in all_targets() if one.name == name)
    whole = kills.undisturbed(target, tmp_path / "t")
    assert {fault: kills.trial(target, tmp_path / "t", whole, fault) for fault in faults} == {
        fault: [] for fault in faults
    }


def test_every_method_is_killed_in_the_campaign():
    assert {kind.__name__ for kind in METHODS} <= methods().keys()


def test_what_happens_is_noticed(tmp_path):
    """The harness itself: a command that is killed, and a folder that is not as it should be."""
    target = next(one for one in all_targets() if one.name == "init")
    whole = kills.undisturbed(target, tmp_path / "t")
    work = tmp_path / "t" / "work"
    assert whole.ended.events > 3 and "mine.yaml" in whole.contents
    kills.fresh(tmp_path / "t" / "prepared", work)
    assert run(target.words(work), work, Fault("kill", 2)).code == -9
    assert contents(work) != whole.contents
