"""A run that is stopped anywhere and called again ends as if it had never stopped, bit for bit."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from semiverse.commands import train as training
from semiverse.run import Run
from semiverse.training.recorder import Recorder
from tests.fakes.basic import draw, write_mask, write_photo
from tests.tiny import (
    UNIVERSAL,
    WORLD,
    at_step,
    command_in_child,
    command_in_children,
    needs_fork,
    result,
    same,
    state,
    train_words,
)

pytestmark = needs_fork

METHODS = {
    "supervised": {"model.decoder": "aspp"},  # with dropout: the only random numbers of a step
    "universal": {"method": UNIVERSAL, "networks_trainer": {"max_steps": 5, "accelerator": "cpu"}},
}
WITH_TWO_OPTIMIZERS = {
    "Latent": {"init_args": {"latent_classes": 3, "consistency_from": 6, "pseudo_weight": 0.1}},
    "Adversarial": {"init_args": {"pseudo_from": 3}},
    "Adaptation": {"init_args": {}},
}
TARGETS = {
    f"data.domains.{name}": {
        "dataset": {"class_path": "SyntheticStreets", "init_args": WORLD | {"style": style, "images": images}},
        "labeled": 0,
    }
    for name, style, images in (("rooms", "dusk", 6), ("rain", "rain", 2))  # in the place of rooms, and beside them
}
SHORTER = {"trainer": {"max_steps": 13, "accelerator": "cpu"}}
METHODS |= {name: SHORTER | {"method": {"class_path": name} | method} for name, method in WITH_TWO_OPTIMIZERS.items()}
METHODS["Adaptation"] |= TARGETS
WITH_ONE = {
    "Finetune": {"model.separate": True, "networks_trainer": {"max_steps": 2, "accelerator": "cpu"}},
    "examples.mean_teacher.MeanTeacher": {"data.augmentation": {"color": 0.3}},
    "Consistency": {"data.crop": [24, 32], "data.balance": {"temperature": 0.05}},
}
OPTIONS = {
    "Consistency": {"cross_mix": 0.5, "views": 2, "floor": 0.1, "threshold": 0.3, "adjust": 0.5, "ramp": [0.0, 0.1]}
    | {"anchor": 1.0, "embed_dim": 8, "rows": {"class_path": "RandomRows"}}
}
METHODS |= {
    name: SHORTER | {"method": {"class_path": name, "init_args": OPTIONS.get(name, {})}} | changes
    for name, changes in WITH_ONE.items()
}
LENGTH = {"trainer": {"max_steps": 20, "accelerator": "cpu"}, "validate_every": 7, "data.domains.streets.labeled": 6}
"""An epoch has three steps; checkpoints are written after steps 4, 7, 8, 12, 14, 16, 20."""


def save_often() -> None:
    """Checkpoints every four steps, in this process."""
    training.Recorder = partial(Recorder, save_every=4)


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(kind: str, step: int) -> Callable[[], None]:
    """End this process when a method of this class begins a step."""

    def prepare() -> None:
        save_often()
        at_step(kind, step, die)()

    return prepare


def kill_before_rename(number: int) -> None:
    """End this process before this many files or folders have taken their final names."""
    seen = []

    def counted(rename):
        def renamed(self, target):
            seen.append(target)
            if len(seen) == number:
                die()
            return rename(self, target)

        return renamed

    Path.replace, Path.rename = counted(Path.replace), counted(Path.rename)


@pytest.fixture(scope="module", params=["supervised", "universal"])
def whole(request, tmp_path_factory):
    """Changes to the tiny experiment, and its run without a stop."""
    folder, changes = tmp_path_factory.mktemp(request.param), LENGTH | METHODS[request.param]
    assert command_in_child(train_words(folder, changes), save_often) == 0
    return changes, folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "workers"),
    [
        pytest.param(2, 0, id="before-the-first-checkpoint"),
        pytest.param(13, 0, id="right-after-an-epoch"),
        pytest.param(10, 2, id="within-an-epoch"),
        pytest.param(15, 0, id="right-after-a-validation"),
        pytest.param(19, 2, id="in-the-last-epoch"),
    ],
)
def test_killed_run_ends_like_the_whole_one(whole, step, workers, tmp_path):
    changes, reference = whole
    words = train_words(tmp_path, changes | {"data.workers": workers})
    kind = "Universal" if "networks_trainer" in changes else "Supervised"
    assert command_in_child(words, kill_at(kind, step)) == -signal.SIGKILL
    assert not Run(tmp_path / "run").finished
    assert command_in_child(words, save_often) == 0
    assert result(tmp_path / "run") == result(reference)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Supervised", "Consistency"])
def test_killed_run_with_pseudolabels_ends_like_the_whole_one(kind, tmp_path):
    for i in range(5):
        write_photo(tmp_path / "pseudo" / "images" / f"{i}.png", seed=i, size=(32, 48))
        write_mask(tmp_path / "pseudo" / "masks" / f"{i}.png", draw(i, (0, 1, 4, 255), (32, 48)))
    changes = {"data.domains.streets.pseudolabels": str(tmp_path / "pseudo"), "method": {"class_path": kind}}
    changes |= {"trainer": {"max_steps": 9, "accelerator": "cpu"}}
    assert command_in_child(train_words(tmp_path, changes, "whole"), save_often) == 0
    words = train_words(tmp_path, changes | {"data.workers": 2})
    assert command_in_child(words, kill_at(kind, 6)) == -signal.SIGKILL
    assert command_in_child(words, save_often) == 0
    assert result(tmp_path / "run") == result(tmp_path / "whole")
    assert "streets/pseudolabeled" in Run(tmp_path / "run").read_metrics()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("whole", WITH_TWO_OPTIMIZERS, indirect=True)
def test_killed_run_of_two_optimizers_ends_like_the_whole_one_after_the_steps_it_was_asked_for(whole, tmp_path):
    changes, reference = whole
    words = train_words(tmp_path, changes | {"data.workers": 2})
    assert command_in_child(words, kill_at(changes["method"]["class_path"], 10)) == -signal.SIGKILL
    assert state(tmp_path / "run")["steps_done"] == 8
    assert command_in_child(words, save_often) == 0
    assert result(tmp_path / "run") == result(reference)
    ended = state(tmp_path / "run")
    assert same(ended, state(reference))
    rows = Run(reference).read_metrics()
    assert [row["step"] for row in rows] == ["7", "13"]
    assert float(rows[-1]["rain/main_adversarial" if "data.domains.rain" in changes else "streets/pseudo_label"]) > 0
    assert json.loads((reference / "finished.json").read_text())["steps"] == 13 == ended["steps_done"]
    adam = ended["optimizers"][1]["state"]
    assert adam and all(parameter["step"] == 13 for parameter in adam.values())


@pytest.mark.slow
@pytest.mark.parametrize("whole", WITH_ONE, indirect=True)
def test_killed_run_of_further_methods_ends_like_the_whole_one(whole, tmp_path):
    changes, reference = whole
    words = train_words(tmp_path, changes)
    assert command_in_child(words, kill_at(changes["method"]["class_path"].rpartition(".")[2], 10)) == -signal.SIGKILL
    assert state(tmp_path / "run")["steps_done"] == 8
    assert command_in_child(words, save_often) == 0
    assert result(tmp_path / "run") == result(reference)
    assert same(state(tmp_path / "run"), state(reference))


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 3], ids=lambda step: f"step{step}")
@pytest.mark.parametrize("whole", ["universal"], indirect=True)
def test_run_killed_while_its_networks_train_ends_like_the_whole_one(whole, step, tmp_path):
    changes, reference = whole
    words = train_words(tmp_path, changes)
    assert command_in_child(words, kill_at("Supervised", step)) == -signal.SIGKILL
    assert command_in_child(words, save_often) == 0
    assert result(tmp_path / "run") == result(reference)
    assert result(tmp_path / "run" / "networks") == result(reference / "networks")


@pytest.mark.slow
def test_run_killed_before_any_file_takes_its_place_ends_like_the_whole_one(tmp_path):
    changes = {"trainer": {"max_steps": 3, "accelerator": "cpu"}, "validate_every": 2}
    assert command_in_child(train_words(tmp_path, changes, "whole")) == 0
    codes = []
    while 0 not in codes:
        number = len(codes) + 1
        words = train_words(tmp_path, changes, f"run{number}")
        codes.append(command_in_child(words, partial(kill_before_rename, number)))
        assert command_in_child(words) == 0
        assert result(tmp_path / f"run{number}") == result(tmp_path / "whole"), number
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert len(codes) > 10


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "method"), [("ddp", "universal"), ("fsdp", "Adversarial")])
def test_killed_run_of_two_processes_ends_like_the_whole_one(strategy, method, tmp_path):
    trainers = {
        "trainer": {"max_steps": 6, "accelerator": "cpu", "devices": 2, "strategy": strategy},
        "networks_trainer": {"max_steps": 1, "accelerator": "cpu"},
    }
    changes = LENGTH | METHODS[method] | trainers

    assert command_in_children(train_words(tmp_path, changes, "whole"), 2, save_often) == [0, 0]
    words = train_words(tmp_path, changes)
    assert command_in_children(words, 2, kill_at(method.title(), 5)) == [-signal.SIGKILL] * 2
    assert Run(tmp_path / "run").last.is_file() and not Run(tmp_path / "run").finished
    assert command_in_children(words, 2, save_often) == [0, 0]
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_interrupted_run_says_so_and_can_go_on(tmp_path, capfd):
    changes = {"trainer": {"max_steps": 4, "accelerator": "cpu"}, "validate_every": 2}
    words = train_words(tmp_path, changes)
    assert command_in_child(words, at_step("Supervised", 3, lambda: os.kill(os.getpid(), signal.SIGINT))) == 130
    said = capfd.readouterr().err
    assert said.strip().splitlines() == ["semiverse train: stopped; the same call goes on from the last checkpoint"]
    assert command_in_child(words) == 0
    assert command_in_child(train_words(tmp_path, changes, "whole")) == 0
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_full_disk_leaves_the_previous_checkpoint(tmp_path, capfd):
    resource = pytest.importorskip("resource")
    changes = {"trainer": {"max_steps": 6, "accelerator": "cpu"}, "validate_every": 2}
    words = train_words(tmp_path, changes)
    assert command_in_child(words, at_step("Supervised", 3, lambda: os.kill(os.getpid(), signal.SIGKILL))) < 0
    checkpoint = Run(tmp_path / "run").last.read_bytes()

    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    capfd.readouterr()
    assert command_in_child(words, fill_disk) == 2
    said = capfd.readouterr().err
    assert "cannot be written" in said and "File too large" in said and "expected free space" in said
    assert "Traceback" not in said
    assert Run(tmp_path / "run").last.read_bytes() == checkpoint
    assert command_in_child(words) == 0
    assert command_in_child(train_words(tmp_path, changes, "whole")) == 0
    assert result(tmp_path / "run") == result(tmp_path / "whole")
