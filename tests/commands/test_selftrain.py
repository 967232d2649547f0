"""Self-training: every part is made once, goes on where it was stopped, and is what its pieces make by hand."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.configuration import load_yaml
from semiverse.labels import IGNORE
from semiverse.run import Run
from tests.tiny import UNIVERSAL, config, contents, result, train_words

VIEWS = ["--pseudolabels.scales", "[1.0]", "--pseudolabels.flip", "false", "--pseudolabels.keep", "0.7"]
ALIKE = ["--rounds_trainer", "{}"]
"""Rounds as long as the first run."""


def words(folder, *rest, changes=None, out="self"):
    file = config(folder, {"keep": "last"} | (changes or {}), f"{out}.yaml")
    return ["selftrain", "--config", str(file), "--out", str(folder / out), *VIEWS, "--device", "cpu", *map(str, rest)]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Two rounds."""
    folder = tmp_path_factory.mktemp("rounds")
    assert main(words(folder, "--rounds", 2, *ALIKE)) == 0
    return folder / "self"


@pytest.mark.slow
def test_a_round_is_what_three_commands_make(rounds, tmp_path):
    assert main(train_words(tmp_path, {"keep": "last"}, "first")) == 0
    assert result(tmp_path / "first") == result(rounds / "first")
    folders = {}
    for domain in ("streets", "rooms"):
        folders[domain] = tmp_path / f"labels_{domain}"
        asked = ["pseudolabel", str(tmp_path / "first"), "--domain", domain, "--keep", "0.7", "--device", "cpu"]
        assert main([*asked, "--out", str(folders[domain])]) == 0
        made = contents(rounds / "round1" / "labels" / domain / "masks")
        assert made == contents(folders[domain] / "masks") and made
    changes = {f"data.domains.{name}.pseudolabels": str(path) for name, path in folders.items()}
    assert main(train_words(tmp_path, changes | {"keep": "last"}, "second")) == 0
    assert result(tmp_path / "second") == result(rounds / "round1")


@pytest.mark.slow
def test_every_round_is_labelled_by_the_run_before(rounds):
    for before, now in (("first", "round1"), ("round1", "round2")):
        for domain in ("streets", "rooms"):
            facts = json.loads((rounds / now / "labels" / domain / "pseudolabels.json").read_text(encoding="utf-8"))
            assert facts["model"] == str(rounds / before / "model") and facts["keep"] == 0.7
            values = load_yaml(Run(rounds / now).config.read_text(encoding="utf-8"))
            assert values["data"]["domains"][domain]["pseudolabels"] == str(rounds / now / "labels" / domain)
    sizes = {name: len(contents(rounds / "round2" / "labels" / name / "masks")) for name in ("streets", "rooms")}
    assert sizes == {"streets": 2, "rooms": 3}  # of six images four and three have labels


@pytest.mark.slow
def test_scores_and_gains_are_kept_and_reported(rounds, tmp_path):
    known = json.loads((rounds / "rounds.json").read_text(encoding="utf-8"))["rounds"]
    assert [one["title"] for one in known] == ["first", "round1", "round2"]
    for one, before in zip(known, [None, *known], strict=False):
        scores = json.loads((rounds / one["title"] / "evaluation.json").read_text(encoding="utf-8"))
        assert one["mious"] == {name: values["miou"] for name, values in scores["domains"].items()}
        assert one["sum_miou"] == pytest.approx(scores["sum_miou"])
        gain = None if before is None else one["sum_miou"] - before["sum_miou"]
        assert one["gain"] == pytest.approx(gain)
        assert set(one["kept"]) == (set() if before is None else {"streets", "rooms"})
        for name, kept in one["kept"].items():
            files = (rounds / one["title"] / "labels" / name / "masks").iterdir()
            shares = [(np.asarray(Image.open(file)) != IGNORE).mean() for file in files]
            assert kept == pytest.approx(np.mean(shares), abs=1e-4) and 0 < kept < 1
    shutil.copytree(rounds / "first", tmp_path / "first")  # one run is reported faster than three
    shutil.copy(rounds / "rounds.json", tmp_path)
    assert main(["report", str(tmp_path), "--images", "0"]) == 0
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Rounds of self-training" in page and f"{100 * known[2]['gain']:+.1f}" in page


@pytest.mark.slow
def test_nothing_is_done_twice(rounds, tmp_path):
    copy = tmp_path / "self"
    shutil.copytree(rounds, copy, symlinks=True)
    known = contents(rounds)
    assert main(words(rounds.parent, "--rounds", 2, *ALIKE)) == 0
    again = contents(rounds)
    assert {name for name in known if known[name] != again.get(name)} <= {
        "rounds.json"
    } and known.keys() == again.keys()


@pytest.mark.slow
def test_an_interrupted_labelling_and_training_go_on(rounds, capsys):
    labels = rounds / "round2" / "labels"
    masks = contents(labels / "rooms" / "masks")
    before = result(rounds / "round2")
    (labels / "rooms" / "pseudolabels.json").unlink()  # as if it had stopped there
    next((labels / "rooms" / "masks").iterdir()).unlink()
    for part in ("finished.json", "evaluation.json"):
        (rounds / "round2" / part).unlink()
    assert main(words(rounds.parent, "--rounds", 2, *ALIKE)) == 0
    assert contents(labels / "rooms" / "masks") == masks
    assert result(rounds / "round2") == before


@pytest.mark.slow
def test_a_finished_run_can_be_the_teacher(rounds, tmp_path):
    teacher = rounds / "first"
    known = contents(teacher)
    assert main(words(tmp_path, "--teacher", teacher, *ALIKE)) == 0
    assert contents(teacher) == known
    assert result(tmp_path / "self" / "round1") == result(rounds / "round1")
    titles = [one["title"] for one in json.loads((tmp_path / "self" / "rounds.json").read_text())["rounds"]]
    assert titles == ["teacher", "round1"]


@pytest.mark.slow
def test_labels_made_otherwise_are_refused(rounds, capsys):
    assert main([*words(rounds.parent, "--rounds", 2, *ALIKE), "--pseudolabels.keep", "0.5"]) == 2
    assert "keep: 0.7, now 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "rest", "message"),
    [
        ({}, ["--rounds", 0], "rounds is 0; expected at least 1"),
        ({"data.domains.streets.labeled": None, "data.domains.rooms.labeled": None}, [], "images without labels"),
        ({"method": UNIVERSAL}, [], "Universal does not learn from pseudo-labels"),
        ({"data.domains.rooms.pseudolabels": "elsewhere"}, [], "domain rooms has pseudolabels"),
        ({}, ["--pseudolabels.threshold", "0.5"], "threshold and keep are both given"),
        ({}, ["--pseudolabels.keep", "0"], "keep is 0"),
        ({}, ["--teacher", "nowhere"], "nowhere"),
        ({}, ["--rounds_trainer.max_steps", "0"], "trainer max_steps is 0"),
        ({}, ["--rounds_trainer.steps", "3"], "trainer has no option 'steps'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(changes, rest, message, tmp_path, capsys):
    assert main(words(tmp_path, *rest, changes=changes)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "self").exists()


def test_domains_without_unlabelled_images_learn_as_before(tmp_path):
    changes = {"data.domains.streets.labeled": None, "trainer.max_steps": 1}
    assert main(words(tmp_path, changes=changes)) == 0
    domains = load_yaml(Run(tmp_path / "self" / "round1").config.read_text(encoding="utf-8"))["data"]["domains"]
    assert domains["streets"]["pseudolabels"] is None
    assert domains["rooms"]["pseudolabels"] == str(tmp_path / "self" / "round1" / "labels" / "rooms")


@pytest.mark.parametrize(("given", "steps"), [([], 4), (["--rounds_trainer.max_steps", 2], 2)])
def test_rounds_are_longer_than_the_first_run(given, steps, tmp_path):
    changes = {"data.domains.streets.labeled": None, "trainer.max_steps": 1}
    assert main(words(tmp_path, *given, changes=changes)) == 0
    trainers = {name: Run(tmp_path / "self" / name).read_config()["trainer"] for name in ("first", "round1")}
    assert trainers["first"]["max_steps"] == 1
    assert {**trainers["first"], "max_steps": steps} == trainers["round1"]
    known = json.loads((tmp_path / "self" / "rounds.json").read_text(encoding="utf-8"))["rounds"]
    assert [one["steps"] for one in known] == [1, steps]
