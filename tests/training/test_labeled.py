"""A run keeps which images had labels, and does not go on with others."""

import json
from pathlib import Path

import numpy as np
import pytest

from semiverse.cli.main import main
from semiverse.data import digest
from semiverse.mixture import Domain, DomainMixture
from semiverse.reporting.runs import read_run
from semiverse.run import Run
from semiverse.training.start import note_labeled, refuse_other_labels
from tests.fakes import Numbered, write_mask, write_photo
from tests.tiny import UNIVERSAL, contents, train_words


def add_image(root: Path, name: str) -> None:
    write_photo(root / "images" / f"{name}.png", seed=ord(name), size=(32, 40))
    write_mask(root / "masks" / f"{name}.png", (np.indices((32, 40))[0] > 15).astype(np.uint8))


def on_meadow(root: Path, **domain: object) -> dict[str, object]:
    for name in "abcdef":
        add_image(root, name)
    dataset = {"class_path": "Folder", "init_args": {"root": str(root), "classes": ["grass", "stone"]}}
    domain = {"labeled": "1/2"} | domain
    return {"data.domains": {"meadow": {"dataset": dataset, "train": "all", "val": "all", **domain}}}


def unfinish(run: Path) -> None:
    """As if it had been stopped after its last checkpoint."""
    (run / "finished.json").unlink()


def assert_refused(words: list[str], run: Path, capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    before = contents(run)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in (*parts, str(run), "expected the same", "--out")), said
    assert contents(run) == before


def test_a_run_keeps_ids_rule_seed_and_digest(tmp_path):
    words = train_words(tmp_path, on_meadow(tmp_path / "meadow") | {"data.seed": 5})
    assert main(words) == 0
    facts = json.loads((tmp_path / "run" / "labeled.json").read_text())["meadow"]
    assert len(facts["ids"]) == 3 and facts["sha256"] == digest(facts["ids"]) and facts["seed"] == 5
    assert facts["rule"].startswith("1/2 of the images of all with masks, in the order of a permutation by the seed")
    assert read_run(tmp_path / "run", "run").labeled == {"meadow": facts["ids"]}


def test_a_run_does_not_go_on_if_the_files_lead_to_other_labels(tmp_path, capsys):
    words, run = train_words(tmp_path, on_meadow(tmp_path / "meadow")), tmp_path / "run"
    assert main(words) == 0
    unfinish(run)
    for name in "gh":
        add_image(tmp_path / "meadow", name)
    assert_refused(words, run, capsys, "domain meadow: the labelled images are not those that", "came, such as")
    for name in "gh":
        for part in ("images", "masks"):
            (tmp_path / "meadow" / part / f"{name}.png").unlink()
    assert main(words) == 0
    assert Run(run).finished


def test_a_run_does_not_go_on_with_an_edited_list(tmp_path, capsys):
    (tmp_path / "few.txt").write_text("a\nb\nc\n")
    changes = on_meadow(tmp_path / "meadow", labeled=None, labeled_list=str(tmp_path / "few.txt"))
    words, run = train_words(tmp_path, changes), tmp_path / "run"
    assert main(words) == 0
    unfinish(run)
    for text, change in (
        ("a\nb\nd\n", "1 of 3 left, such as c, 1 came, such as d"),
        ("a\nb\n", "(1 of 3 left, such as c)"),
        ("b\na\nc\n", "(the same in another order)"),
    ):
        (tmp_path / "few.txt").write_text(text)
        assert_refused(words, run, capsys, change)
    (tmp_path / "few.txt").write_text("# the same\nimages/a.png masks/a.png\nb.png\nc")
    assert main(words) == 0


@pytest.mark.slow
def test_networks_of_other_labels_are_not_shared(tmp_path, capsys):
    shared = {"networks": str(tmp_path / "shared"), "networks_trainer": {"max_steps": 1, "accelerator": "cpu"}}
    changes = on_meadow(tmp_path / "meadow") | {"method": UNIVERSAL} | shared
    assert main(train_words(tmp_path, changes, "first")) == 0
    for name in "gh":
        add_image(tmp_path / "meadow", name)
    assert_refused(train_words(tmp_path, changes, "second"), tmp_path / "shared", capsys, "domain meadow")


def test_labels_of_a_run_of_version_0_1_are_compared_as_well(tmp_path):
    def mixture(seed: int) -> DomainMixture:
        return DomainMixture({"one": Domain(Numbered(20), labeled=5)}, workers=0, seed=seed)

    run = Run(tmp_path)
    refuse_other_labels(run, mixture(0))  # nothing is known
    note_labeled(run, mixture(0))
    facts = json.loads((tmp_path / "labeled.json").read_text())
    (tmp_path / "labeled.json").write_text(json.dumps({"one": facts["one"]["ids"]}))
    refuse_other_labels(run, mixture(0))
    with pytest.raises(ValueError, match="domain one: the labelled images are not those"):
        refuse_other_labels(run, mixture(1))
