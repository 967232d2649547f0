"""What methods declare reaches the page, wherever they were written; the report itself knows none of them."""

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import semiverse.methods
import semiverse.reporting
from semiverse.cli.main import main
from semiverse.commands.report import report
from semiverse.methods import Method
from semiverse.methods.method import Curve, Role
from semiverse.reporting.comparisons import compare
from semiverse.reporting.curves import curve_pictures
from semiverse.reporting.figures import Picture
from semiverse.reporting.runs import read_runs
from tests.reporting.made_up_runs import make_run, read
from tests.tiny import UNIVERSAL, WORLD, train_words

METHODS = sorted(
    (kind for kind in vars(semiverse.methods).values() if inspect.isclass(kind) and issubclass(kind, Method)),
    key=lambda kind: kind.__name__,
)
INVENTED = {
    "reads": {
        "pull": Role("unlabeled", "what a teacher says of unlabelled images")._asdict(),
        "teacher.start": Role("labeled", "a start from afar")._asdict(),
    },
    "records": {
        "pull": Curve("Distance to the teacher", "metres")._asdict(),
        "up": Curve("Ups and downs", "% of days", "mood", ", up", factor=100)._asdict(),
        "down": Curve("Ups and downs", "% of days", "mood", ", down", factor=100)._asdict(),
        "taught": Curve("Pixels taught", "% of pixels", scale="log", factor=100, by_class=True)._asdict(),
    },
}
ROWS = (
    "step,street/miou,street/miou_by_vote,street/pull,left/up,left/down,street/taught/sky,street/taught/lamp,new/thing\n"
    "10,0.1,0.2,3,0.5,0.25,0.01,0.02,7\n20,0.3,0.4,2,0.75,0.25,0.03,0.04,8\n"
)


def invented(folder: Path, arguments: dict[str, Any], rows: str = ROWS, **declared: Any) -> Path:
    """A run of a method that is nowhere, which told the run what it is."""
    run = make_run(folder, {"street": 0.45}, "Elsewhere", arguments)
    (run / "metrics.csv").write_text(rows)
    (run / "method.json").write_text(json.dumps(INVENTED | declared))
    return run


def drawn(*folders: Path) -> dict[str, Picture]:
    return {picture.name: picture for picture in curve_pictures(read(*folders))}


# A method from outside the library.


def test_invented_method_has_titles_units_panels_and_curves_by_class(tmp_path: Path) -> None:
    pictures = drawn(invented(tmp_path / "mine", {"pull": 0.1}))
    assert list(pictures) == ["validation_miou", "mood", "taught_street", "loss_pull", "loss_thing"]
    assert pictures["loss_pull"].caption == "Distance to the teacher; means since the previous validation."
    assert pictures["loss_pull"].figure.axes[0].get_ylabel() == "metres"
    (left,) = pictures["mood"].figure.axes
    assert (left.get_title(), left.get_ylabel(), pictures["mood"].caption) == ("left", "% of days", "Ups and downs.")
    assert [line.get_ydata().tolist() for line in left.lines] == [[50, 75], [25, 25]]
    assert [text.get_text() for text in pictures["mood"].figure.legends[0].get_texts()] == ["mine, up", "mine, down"]
    assert pictures["taught_street"].caption.startswith("Pixels taught, by class of street;")
    (by_class,) = pictures["taught_street"].figure.axes
    assert by_class.get_title() == "mine" and by_class.get_yscale() == "symlog"
    assert [line.get_ydata().tolist() for line in by_class.lines] == [[1, 3], [2, 4]]
    (scores,) = pictures["validation_miou"].figure.axes
    assert [line.get_ydata().tolist() for line in scores.lines] == [[10, 30], [20, 40]]


def test_number_that_is_not_declared_keeps_the_name_of_its_column(tmp_path: Path) -> None:
    pictures = drawn(invented(tmp_path / "mine", {}))
    assert pictures["loss_thing"].caption.startswith("thing; ")
    assert [axes.get_title() for axes in pictures["loss_thing"].figure.axes] == ["new"]


@pytest.mark.slow
def test_invented_method_is_measured_against_what_learns_from_less(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", {"street": 0.4})
    mine = invented(tmp_path / "mine", {"pull": 0.1, "teacher": {"start": None}})
    started = invented(tmp_path / "started", {"pull": 0.0, "teacher": {"start": "afar"}})
    found = {(pair.ours.name, pair.theirs.name): pair.kind for pair in compare(read(plain, mine, started))}
    assert found == {
        ("mine", "plain"): "what a teacher says of unlabelled images",
        ("started", "plain"): "a start from afar",
    }
    text = report([plain, mine], images=0, out=tmp_path / "page").read_text(encoding="utf-8")
    assert "What a teacher says of unlabelled images: mine against plain" in text
    assert "mine scores 5.0 points more than plain in the mIoU of street" in text
    assert "is not known" not in text


def test_two_methods_may_call_different_numbers_by_one_name(tmp_path: Path) -> None:
    other = {"records": {"pull": Curve("Force of gravity", "newton")._asdict()}}
    pictures = curve_pictures(read(invented(tmp_path / "a", {}), invented(tmp_path / "b", {"pull": 1}, **other)))
    pulls = [picture for picture in pictures if picture.name == "loss_pull"]
    assert [picture.caption.partition(";")[0] for picture in pulls] == ["Distance to the teacher", "Force of gravity"]
    assert [len(picture.figure.axes[0].lines) for picture in pulls] == [1, 1]


# Runs that say nothing of their method.


def test_earlier_run_is_asked_by_its_class(tmp_path: Path) -> None:
    run = make_run(tmp_path / "old", {"street": 0.4}, "Universal", {"anchor": 1.0})
    (run / "metrics.csv").write_text("step,street/anchor\n10,1\n")
    assert drawn(run)["loss_anchor"].caption.startswith("Cross entropy of similarities with label rows")


def test_method_that_is_gone_is_named_once_and_leaves_names_of_columns(tmp_path: Path) -> None:
    for seed in range(2):
        run = make_run(tmp_path / "runs" / f"gone_{seed}", {"street": 0.4}, "Gone", seed=seed)
        (run / "metrics.csv").write_text("step,street/pulling_up\n10,1\n")
    make_run(tmp_path / "runs" / "plain", {"street": 0.3})
    text = report([tmp_path / "runs"], images=0).read_text(encoding="utf-8")
    assert text.count("What semiverse.methods.Gone learns from and records is not known") == 1
    assert "pulling up; means since the previous validation" in text and 'id="verdicts"' not in text


def test_damaged_declaration_is_pointed_out(tmp_path: Path) -> None:
    run = invented(tmp_path / "mine", {}, reads={"pull": {"kind": "unlabeled"}})
    (facts,) = read_runs([run])
    assert facts.declared is None
    assert any("What semiverse.methods.Elsewhere learns from" in problem for problem in facts.problems)


# The library's own methods.


def test_report_knows_no_method_no_option_and_no_record_by_name() -> None:
    methods = {kind.__name__ for kind in METHODS} - {"Method"}
    declared = {name for kind in METHODS for name in (*kind.reads, *kind.records)} - {""}
    for file in Path(semiverse.reporting.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not texts & (methods | declared), file
        assert not names & methods, file


def changes_for(kind: type[Method]) -> dict[str, Any]:
    """What the tiny experiment needs to train a method with all of its terms."""
    options: dict[str, dict[str, Any]] = {
        "Universal": UNIVERSAL["init_args"] | {"warmup": [0.0, 0.5]},
        "Adversarial": {"pseudo_from": 0},
        "Latent": {"pseudo_from": 0, "pseudo_weight": 0.1, "consistency_from": 0, "latent_classes": 3},
    }
    method = {"class_path": kind.__name__, "init_args": options.get(kind.__name__, {})}
    changes: dict[str, Any] = {"method": method, "networks_trainer": {"max_steps": 1, "accelerator": "cpu"}}
    if kind.__name__ == "Finetune":
        changes["model.separate"] = True
    if kind.__name__ == "Adaptation":  # which needs another domain with the same classes
        dusk = {"class_path": "SyntheticStreets", "init_args": WORLD | {"style": "dusk"}}
        changes["data.domains.rooms"] = {"dataset": dusk, "labeled": 0}
    return changes


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind is not Method], ids=lambda kind: kind.__name__)
def test_every_method_is_reported_with_a_title_for_all_that_it_records(kind: type[Method], tmp_path: Path) -> None:
    assert main(train_words(tmp_path, changes_for(kind))) == 0
    (facts,) = read_runs([tmp_path / "run"])
    assert facts.run.method.is_file() and facts.problems == () and facts.declared is not None
    recorded = {column.split("/")[1] for row in facts.rows for column in row if "/" in column}
    assert {name for name in recorded if not name.startswith("miou")} == set(facts.declared.records) & recorded
    assert (
        set(facts.declared.records) - {"pseudolabeled", "anchor"} <= recorded
    )  # which only some domains and runs have
    page = report([tmp_path / "run"], images=1, device="cpu")
    figures = {path.stem for path in (page.parent / "figures").glob("*.png")}
    assert {"validation_miou", "loss_supervised", "pace", "examples_streets", "examples_rooms"} <= figures
    if kind.__name__ == "Adaptation":
        (panels,) = [
            picture for picture in curve_pictures(read(tmp_path / "run")) if picture.name == "source_or_target"
        ]
        assert [axes.get_title() for axes in panels.figure.axes] == ["main", "auxiliary"]
