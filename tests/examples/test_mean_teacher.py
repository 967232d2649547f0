"""A method from outside the library, in one file: trained, validated, predicted with and reported by its name."""

import json
import re
from pathlib import Path

import pytest
import torch
from examples.mean_teacher import MeanTeacher
from safetensors.torch import load_file

from semiverse.cli.main import main
from semiverse.run import Run
from tests.methods.worlds import learner, mixture, take_step
from tests.tiny import train_words

METHOD = {"class_path": "examples.mean_teacher.MeanTeacher", "init_args": {"consistency": 2.0, "warmup": 0.5}}
CHANGES = {
    "method": METHOD,
    "data.augmentation": {"color": 0.3},
    "trainer": {"max_steps": 6, "accelerator": "cpu"},
    "validate_every": 3,
}


def test_it_is_one_file_of_at_most_80_lines():
    assert len((Path(__file__).parents[2] / "examples" / "mean_teacher.py").read_text().splitlines()) <= 80


def test_the_teacher_is_the_moving_average_of_the_student():
    method = learner(lambda model: MeanTeacher(model, decay=0.75))
    method.steps_done = 9  # so that the average is no longer plain
    before = {name: value.clone() for name, value in method.teacher.named_parameters()}
    take_step(method)
    for name, student in method.model.named_parameters():
        expected = 0.75 * before[name] + 0.25 * student
        torch.testing.assert_close(dict(method.teacher.named_parameters())[name], expected)


def test_student_and_teacher_see_the_same_pixels_in_other_colours():
    data = mixture()
    method = learner(MeanTeacher, data)
    method.draws()
    assert method.draws().views == 2
    assert MeanTeacher(method.model, consistency=0.0).draws().unlabeled_from is None


@pytest.mark.slow
def test_it_trains_validates_predicts_and_is_reported_like_a_method_of_the_library(tmp_path):
    words = train_words(tmp_path, CHANGES)
    assert main(words) == 0
    run = Run(tmp_path / "run")
    state = torch.load(run.last, weights_only=True)["state_dict"]
    saved = load_file(run.model / "model.safetensors")
    best = torch.load(run.best, weights_only=True)["state_dict"]
    assert all(torch.equal(saved[name], best[f"teacher.{name}"]) for name in saved)
    assert any(not torch.equal(state[f"teacher.{name}"], state[f"model.{name}"]) for name in saved)
    assert json.loads(run.method.read_text())["reads"]["consistency"]["kind"] == "unlabeled"

    assert main(["evaluate", str(run.folder)]) == 0
    scores = json.loads((run.folder / "evaluation.json").read_text())["domains"]
    row = next(row for row in run.read_metrics() if float(row["sum_miou"]) == max(
        float(other["sum_miou"]) for other in run.read_metrics()))  # fmt: skip
    for domain, score in scores.items():
        assert score["miou"] == pytest.approx(float(row[f"{domain}/miou"]), abs=5e-3)  # what was validated

    alone = train_words(tmp_path, {key: value for key, value in CHANGES.items() if key != "method"}, "alone")
    assert main(alone) == 0
    assert main(["report", str(run.folder), str(tmp_path / "alone"), "--out", str(tmp_path / "report")]) == 0
    page = re.sub(r"\s+", " ", (tmp_path / "report" / "index.html").read_text())
    assert "unlabelled images, through a mean teacher: run against alone" in page.lower()
    assert "Squared difference of student and teacher" in page
    assert "Cells where student and teacher choose the same class" in page
