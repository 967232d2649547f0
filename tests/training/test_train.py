"""What a training leaves behind and says."""

import contextlib
import csv
import json
import os
import re
import signal
import sys

import pytest
import torch
from safetensors.torch import load_file

from semiverse import ModelConfig, SegmentationModel, train
from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.datasets import SyntheticRooms, SyntheticStreets
from semiverse.methods import Optimizer, Supervised
from semiverse.mixture import Domain, DomainMixture
from semiverse.run import Run
from tests.tiny import UNIVERSAL, at_step, command_in_child, contents, needs_fork, needs_glibc, result, train_words


def test_run_folder_holds_what_is_promised(trained):
    files = set(contents(trained))
    assert {"config.yaml", "environment.json", "labeled.json", "method.json", "metrics.csv", "finished.json"} <= files
    assert {f"model/{name}" for name in ("config.json", "labels.json", "model.safetensors")} <= files
    assert {"checkpoints/last.ckpt", "checkpoints/best.ckpt"} <= files
    assert any(name.startswith("tensorboard/events") for name in files)
    assert not [name for name in files if name.endswith(".part")]
    assert set(json.loads((trained / "environment.json").read_text())) >= {"command", "seed", "versions", "revision"}
    labeled = json.loads((trained / "labeled.json").read_text())
    assert {name: len(facts["ids"]) for name, facts in labeled.items()} == {"streets": 4, "rooms": 3}


def test_columns_of_metrics_are_step_losses_scores_rate_and_speed(tmp_path):
    words = train_words(tmp_path, {"trainer.max_steps": 3, "validate_every": 2})
    assert main(words) == 0
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    losses, scores = ["streets/supervised", "rooms/supervised"], ["streets/miou", "rooms/miou", "sum_miou"]
    assert header == ["step", *losses, *scores, "learning_rate", "images_per_second"]
    assert [row[0] for row in rows] == ["2", "3"]  # the last step is always validated
    assert all(len(row) == len(header) and all(float(value) >= 0 for value in row) for row in rows)


def test_configuration_of_a_run_repeats_it(tmp_path):
    assert main(train_words(tmp_path)) == 0
    again = ["train", "--config", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert result(tmp_path / "again") == result(tmp_path / "run")
    assert (tmp_path / "again" / "config.yaml").read_text() == (tmp_path / "run" / "config.yaml").read_text()


def test_finished_run_is_left_as_it_is(tmp_path, capsys):
    words = train_words(tmp_path)
    assert main(words) == 0
    before = contents(tmp_path / "run")
    assert main(words) == 0
    assert contents(tmp_path / "run") == before


def test_fabric_and_torch_say_nothing_and_the_end_is_summed_up(tmp_path, capfd):
    assert main(train_words(tmp_path, {"validate_every": 1})) == 0
    said = capfd.readouterr()
    assert said.err == ""
    first, second, summary = said.out.splitlines()
    assert first.startswith("step      1 of 2: streets/miou 0.")
    assert second.startswith("step      2 of 2: streets/miou 0.")
    assert summary.startswith(f"{tmp_path / 'run' / 'model'}: best weights, of step ")
    assert "sum_miou" in summary and summary.endswith(" s)")


@pytest.mark.parametrize(
    ("trainer", "steps"),
    [
        ({"max_epochs": 2}, 4),  # four labelled images of the larger list, two at a time
        ({"max_epochs": 2, "max_steps": 3}, 3),
        ({"max_epochs": 1, "max_steps": 3}, 2),
    ],
)
def test_length_in_epochs_and_steps(trainer, steps, tmp_path):
    assert main(train_words(tmp_path, {"trainer": trainer | {"accelerator": "cpu"}})) == 0
    assert json.loads((tmp_path / "run" / "finished.json").read_text())["steps"] == steps


def test_best_weights_are_those_of_the_best_validation_and_last_ones_of_the_last(tmp_path):
    changes = {"trainer.max_steps": 4, "validate_every": 1, "optimizer.lr": 0.1}
    for keep in ("best", "last"):
        assert main(train_words(tmp_path, changes | {"keep": keep}, keep)) == 0
    best, last = Run(tmp_path / "best"), Run(tmp_path / "last")
    scores = [float(row["sum_miou"]) for row in best.read_metrics()]
    facts = json.loads((best.folder / "finished.json").read_text())
    assert facts["best_sum_miou"] == max(scores) and scores[facts["best_step"] - 1] == max(scores)
    weights = {run: load_file(run.model / "model.safetensors") for run in (best, last)}
    for run, checkpoint in ((best, best.best), (last, last.last)):
        state = torch.load(checkpoint, weights_only=True)["state_dict"]
        assert all(torch.equal(weights[run][name], state[f"model.{name}"]) for name in weights[run])


def test_an_image_that_is_gone_at_the_end_does_not_undo_a_training(tmp_path, monkeypatch, caplog):
    def gone(model, data):
        raise FileNotFoundError("street0001.png: no such file")

    monkeypatch.setattr("semiverse.training.recorder.note_domains", gone)
    assert main(train_words(tmp_path)) == 0
    model = SegmentationModel.load(tmp_path / "run")
    assert Run(tmp_path / "run").finished and model.domain_statistics is None
    assert "street0001.png" in caplog.text


def test_the_same_call_from_python(tmp_path):
    world = {"images": 6, "val_images": 2, "size": (32, 48)}
    data = DomainMixture(
        {
            "streets": Domain(SyntheticStreets(**world), labeled=4),
            "rooms": Domain(SyntheticRooms(**world), labeled=3),
        },
        batch_size=2,
        workers=0,
    )
    trainer = {"max_steps": 2, "accelerator": "cpu"}
    moves = Optimizer(lr=0.01)
    model = ModelConfig("drn_d_22", width=0.0625, head_deviation=None)
    run = train(data, Supervised, model, trainer, tmp_path / "python", optimizer=moves)
    assert main(train_words(tmp_path)) == 0
    assert result(run) == result(tmp_path / "run")
    assert load_yaml((run / "config.yaml").read_text()) == load_yaml((tmp_path / "run" / "config.yaml").read_text())


def test_networks_of_a_method_lie_in_the_run_or_are_shared(trained, tmp_path):
    own = SegmentationModel.load(trained / "networks")
    assert own.config.separate
    # `trained` names no folder of networks; a run that names the same values elsewhere reads them there.
    changes = {"method": UNIVERSAL, "networks_trainer": {"max_steps": 1, "accelerator": "cpu"}}
    before = contents(trained / "networks")
    assert main(train_words(tmp_path, changes | {"networks": str(trained / "networks")})) == 0
    assert contents(trained / "networks") == before
    assert result(tmp_path / "run") == result(trained)


def test_supervised_networks_start_from_the_weights_that_the_model_starts_from(tmp_path):
    assert main(train_words(tmp_path, out="joint")) == 0
    joint = SegmentationModel.load(tmp_path / "joint")
    changes = {"method": UNIVERSAL, "model.weights": str(tmp_path / "joint"), "optimizer.lr": 1e-12}
    assert main(train_words(tmp_path, changes)) == 0  # nothing moves but the statistics of batch norm
    networks = SegmentationModel.load(tmp_path / "run" / "networks").networks
    for domain in joint.label_spaces:
        theirs, ours = joint.network(domain).named_parameters(), networks[domain].named_parameters()
        for (_, before), (name, after) in zip(theirs, ours, strict=True):
            torch.testing.assert_close(after, before, rtol=0, atol=1e-8, msg=name)


def test_seed_changes_weights_and_nothing_else_does(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        assert main(train_words(tmp_path, {"seed": seed}, name)) == 0
    assert result(tmp_path / "one")[0] != result(tmp_path / "two")[0]


@needs_fork
@needs_glibc
def test_steps_on_a_cpu_take_memory_that_earlier_ones_freed(tmp_path):
    """Of 64 MiB that were freed, in pages that the system has to clear before they can be used again."""
    import resource

    def cleared() -> float:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(b"1") * (64 << 20)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / (64 << 20)

    def look() -> None:
        cleared()
        assert cleared() < 0.1

    assert command_in_child(train_words(tmp_path), at_step("Supervised", 1, look)) == 0


@needs_fork
def test_bar_shows_steps_and_losses_and_starts_where_training_does(tmp_path):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    changes = {"trainer": {"max_steps": 12, "accelerator": "cpu"}, "validate_every": 6}
    words = train_words(tmp_path, changes)
    assert command_in_child(words, at_step("Supervised", 8, lambda: os.kill(os.getpid(), signal.SIGKILL))) < 0
    terminal, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, bytes([40, 0, 120, 0, 0, 0, 0, 0]))

    def on_screen() -> None:
        sys.stdout = sys.stderr = os.fdopen(screen, "w", buffering=1)

    assert command_in_child(words, on_screen) == 0
    os.close(screen)
    shown = read_all(terminal)
    first, *_, last = [part for part in re.split(r"[\r\n]+", shown) if part.startswith("run: ")]
    assert " 6/12 " in first and " 12/12 " in last
    assert "supervised " in last
    assert "\rstep     12 of 12: streets/miou" in shown  # above the bar, on a line of its own
    said = [line for line in shown.splitlines() if line.strip()]  # the bar is wiped away in the end
    assert said[-1].startswith(f"{tmp_path / 'run' / 'model'}: best weights")


def read_all(terminal: int) -> str:
    """Everything that was written to a terminal whose other end is closed."""
    read = b""
    with contextlib.suppress(OSError):  # the end
        while more := os.read(terminal, 65536):
            read += more
    return read.decode()
