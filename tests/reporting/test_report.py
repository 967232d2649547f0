"""The report: tables from hand-made scores, and the page of a run that was really trained."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from semiverse.cli.main import main
from semiverse.commands.evaluate import evaluate
from semiverse.commands.report import report
from semiverse.commands.train import train
from semiverse.configuration import dump_yaml, load_yaml
from semiverse.datasets.synthetic import SyntheticRooms, SyntheticStreets
from semiverse.mixture import Domain, DomainMixture
from semiverse.models import ModelConfig
from semiverse.reporting.examples import evenly
from semiverse.reporting.page import duration, summary_sentences
from semiverse.reporting.runs import find_runs, read_runs
from semiverse.reporting.scores import class_table, difference_table, evaluations, score_table
from semiverse.reporting.settings import settings
from semiverse.reporting.tables import MISSING, Column, Entry, Row, Table, as_csv, as_latex, as_markdown, mark_best

pytestmark = pytest.mark.slow


def write_run(folder: Path, seed: int = 0, method: str = "Supervised", rows: str = "", **evaluations: dict) -> Path:
    """A run folder with two domains whose data is nowhere; evaluations by the end of their file's name."""
    folder.mkdir(parents=True)
    dataset = {"class_path": "semiverse.datasets.CamVid", "init_args": {"root": "/no-such-data"}}
    domains = {name: {"dataset": dataset, "val": "val"} for name in ("street", "room")}
    config = {
        "data": {"domains": domains, "seed": seed},
        "method": {"class_path": f"semiverse.methods.{method}", "init_args": {}},
        "model": {"encoder": "drn_d_22", "decoder": "linear"},
        "seed": seed,
    }
    (folder / "config.yaml").write_text(dump_yaml(config))
    (folder / "labeled.json").write_text(json.dumps({"street": ["a", "b"], "room": ["c", "d", "e"]}))
    if rows:
        (folder / "metrics.csv").write_text(rows)
    for name, domains in evaluations.items():
        (folder / f"{name}.json").write_text(json.dumps({"domains": domains}))
    return folder


def scored(street: float, room: float, via: str = "decoder", images: int = 7) -> dict:
    """What an evaluation says of two domains."""
    ious = {"sky": street, "lamp": None}
    common = {"images": images, "split": "val", "via": via, "variant": "default"}
    return {"street": {"miou": street, "iou": ious, **common}, "room": {"miou": room, "iou": {"wall": room}, **common}}


def compared(*folders: Path) -> list:
    return settings(read_runs(list(folders)))


def texts(table: Table) -> list[list[str]]:
    return [[cell.shown for cell in row.cells] for row in table.rows]


@pytest.fixture(scope="module")
def world() -> DomainMixture:
    domains = {
        "streets": Domain(SyntheticStreets(images=8, val_images=3, size=(32, 48)), labeled=4),
        "rooms": Domain(SyntheticRooms(images=8, val_images=3, size=(32, 48)), labeled=4),
    }
    return DomainMixture(domains, batch_size=2, crop=(32, 48), workers=0)


@pytest.fixture(scope="module")
def trained(world: DomainMixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    options = {"max_steps": 4, "accelerator": "cpu"}
    run = train(world, model=ModelConfig("drn_d_22", width=0.0625), trainer=options, out=out, validate_every=2)
    evaluate(run, world, device="cpu")
    return run


@pytest.fixture(scope="module")
def page(trained: Path) -> Path:
    return report([trained], images=2, device="cpu")


# Tables of hand-made scores.


def test_runs_that_differ_only_in_the_seed_become_one_row_with_mean_and_spread(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"joint_{i}", i, evaluation=scored(0.4 + 0.1 * i, 0.2)) for i in range(2)]
    table = score_table(compared(*runs))
    assert texts(table)[0][:4] == ["joint, mean of 2 runs", "45.0 ± 7.1", "20.0 ± 0.0", "65.0 ± 7.1"]
    assert [row.member for row in table.rows] == [False, True, True]
    assert texts(table)[2][1:4] == ["50.0", "20.0", "70.0"]
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert rows[0]["sum_miou"] == "0.65" and rows[0]["sum_miou_spread"] == "0.070711" and rows[1]["sum_miou"] == "0.6"


def test_runs_of_different_methods_stay_apart_and_the_best_is_marked(tmp_path: Path) -> None:
    low = write_run(tmp_path / "low", evaluation=scored(0.30004, 0.5))
    high = write_run(tmp_path / "high", method="Universal", evaluation=scored(0.30001, 0.6))
    table = score_table(compared(low, high))
    best = [[cell.best for cell in row.cells][1:4] for row in table.rows]
    assert best == [[True, False, False], [True, True, True]]  # equal to the digit that is shown
    assert any("once" in note for note in table.notes)


def test_budgets_methods_and_seconds_stand_in_the_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "first", evaluation=scored(0.3, 0.5))
    (run / "finished.json").write_text('{"steps": 40, "seconds": 12.4}')
    table = score_table(compared(run))
    assert [column.heading for column in table.columns][-3:] == [
        "method", "labelled (street + room)", "training (seconds)"
    ]  # fmt: skip
    assert texts(table)[0][-3:] == ["Supervised", "2 + 3", "12"]


def test_scores_by_embedding_come_from_a_further_evaluation(tmp_path: Path) -> None:
    further = scored(0.2, 0.1, via="embedding")
    run = write_run(tmp_path / "first", evaluation=scored(0.4, 0.3), evaluation_embedding=further)
    table = score_table(compared(run))
    assert [column.key for column in table.columns][1:7] == [
        "street/miou", "room/miou", "sum_miou",
        "street/miou_by_embedding", "room/miou_by_embedding", "sum_miou_by_embedding",
    ]  # fmt: skip
    assert texts(table)[0][1:7] == ["40.0", "30.0", "70.0", "20.0", "10.0", "30.0"]


def test_scores_of_another_split_get_a_column_of_their_own(tmp_path: Path) -> None:
    test_scores = {"street": scored(0.9, 0.9)["street"] | {"split": "test"}}
    run = write_run(tmp_path / "first", evaluation=scored(0.4, 0.3), evaluation_test=test_scores)
    table = score_table(compared(run))
    assert "street (decoder, split test)" in [column.heading for column in table.columns]
    assert texts(table)[0][1:5] == ["40.0", "30.0", "70.0", "90.0"]


def test_unfinished_run_shows_its_last_validation_and_says_so(tmp_path: Path) -> None:
    rows = "step,street/miou,room/miou\n10,0.1,0.2\n20,0.3,0.25\n"
    unfinished = write_run(tmp_path / "slow", rows=rows)
    evaluated = write_run(tmp_path / "done", method="Universal", evaluation=scored(0.2, 0.2))
    table = score_table(compared(unfinished, evaluated))
    assert texts(table)[0][:4] == ["slow (unfinished, step 20)", "30.0†", "25.0†", "55.0†"]
    assert any("Last validation" in note and "slow (step 20)" in note for note in table.notes)
    assert not any(cell.best for row in table.rows for cell in row.cells)  # they do not compete with evaluations


def test_domain_without_evaluation_falls_back_to_validation(tmp_path: Path) -> None:
    only_street = {"street": scored(0.4, 0.0)["street"]}
    rows = "step,street/miou,room/miou\n20,0.9,0.25\n"
    run = write_run(tmp_path / "first", rows=rows, evaluation=only_street)
    assert texts(score_table(compared(run)))[0][1:3] == ["40.0", "25.0†"]


def test_run_without_any_score_is_listed_as_such(tmp_path: Path) -> None:
    table = score_table(compared(write_run(tmp_path / "new")))
    assert texts(table)[0][0] == "new (unfinished, step 0)"
    assert table.notes == ["Neither evaluated nor validated yet: new."]


def test_different_numbers_of_images_are_pointed_out(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", evaluation=scored(0.4, 0.3, images=7))
    two = write_run(tmp_path / "b", method="Universal", evaluation=scored(0.4, 0.3, images=9))
    assert "Runs were scored on different numbers of street images: [7, 9]." in score_table(compared(one, two)).notes


def test_class_table_has_absent_classes_frequencies_and_the_best_of_each_class(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", evaluation=scored(0.4, 0.3))
    two = write_run(tmp_path / "b", method="Universal", evaluation=scored(0.5, 0.3))
    found = evaluations("street", compared(one, two))
    table = class_table("street", found, {"sky": (0.125, 6), "lamp": (0.0, 0)}, {"sky": (1, 2, 3)})
    assert table is not None
    assert texts(table) == [["sky", "40.0", "50.0", "12.50", "6"], ["lamp", MISSING, MISSING, "0.00", "0"]]
    assert [cell.best for cell in table.rows[0].cells] == [False, False, True, False, False]
    assert table.rows[0].cells[0].color == (1, 2, 3)
    assert class_table("garden", evaluations("garden", compared(one, two)), {}, {}) is None


def test_differences_name_only_the_values_that_differ(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, "Universal")])
    keys = [row.cells[0].text for row in difference_table(runs).rows]
    assert {"seed", "data.seed", "method.class_path"} <= set(keys)
    assert "model.encoder" not in keys


def test_zero_is_never_the_best() -> None:
    cells = [Entry("0.0", 0.0), Entry("0.0", 0.0)]
    mark_best(cells)
    assert not any(cell.best for cell in cells)


def test_markdown_and_latex_escape_what_would_break_them() -> None:
    cells = [Entry("a_b | 50%", "a"), Entry("1.0 ± 0.1", 0.01, best=True)]
    table = Table("t", "Caption.", [Column("run", "run"), Column("mIoU", "miou")], [Row(cells)])
    assert "| a_b \\| 50% | **1.0 ± 0.1** |" in as_markdown(table)
    assert r"a\_b | 50\% & \textbf{1.0 $\pm$ 0.1} \\" in as_latex(table)


def test_summary_names_the_best_setting_and_its_scores(tmp_path: Path) -> None:
    one = write_run(tmp_path / "plain", evaluation=scored(0.4, 0.3))
    two = write_run(tmp_path / "joined", method="Universal", evaluation=scored(0.5, 0.3))
    sentences = summary_sentences(compared(one, two), {"street": 2})
    assert sentences[0].startswith(
        "2 runs (Supervised and Universal) on street (2 classes, 2 labelled images) and room"
    )
    assert sentences[1] == "Highest sum of mIoU by decoder: joined, 80.0 (street 50.0, room 30.0)."


@pytest.mark.parametrize(("seconds", "text"), [(41.2, "41 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_have_a_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("total", "count", "expected"), [(100, 4, [12, 37, 62, 87]), (2, 4, [0, 1]), (5, 0, [])])
def test_examples_are_spread_evenly(total: int, count: int, expected: list[int]) -> None:
    assert evenly(total, count) == expected


# Run folders.


def test_folder_of_runs_stands_for_its_runs_and_an_earlier_report_is_passed_over(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in ("a", "b")]
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("earlier")
    assert find_runs([tmp_path]) == runs
    assert find_runs(sorted(tmp_path.iterdir())) == runs


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config.yaml.*expected what semiverse train wrote"):
        find_runs([tmp_path])


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["x/first"], ["first"]),
        (["x/first", "y/second"], ["first", "second"]),
        (["x/first", "y/first"], ["x", "y"]),
        (["x/first", "y/first", "y/second"], ["x/first", "y/first", "y/second"]),
        (["few/joint/seed0", "many/joint/seed0"], ["few", "many"]),
        (["few/joint/seed0", "many/joint/seed0", "many/full/seed0"], ["few/joint", "many/joint", "many/full"]),
    ],
)
def test_runs_have_the_shortest_names_that_tell_them_apart(
    tmp_path: Path, folders: list[str], expected: list[str]
) -> None:
    runs = [write_run(tmp_path / folder) for folder in folders]
    assert [run.name for run in read_runs(runs)] == expected


# The page.


def test_page_holds_scores_classes_pictures_and_configuration(page: Path, trained: Path) -> None:
    text = page.read_text(encoding="utf-8")
    evaluation = json.loads((trained / "evaluation.json").read_text())
    assert page == trained / "report" / "index.html"
    for domain, result in evaluation["domains"].items():
        assert f"Domain {domain}" in text
        assert f"{100 * result['miou']:.1f}" in text
        assert all(f"</i>{title}" in text for title in result["iou"])
    assert "max_steps: 4" in text and "torchvision" in text


def test_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|@import|url\(|https?://", text)
    sources = re.findall(r'<img src="data:image/png;base64,([^"]+)"', text)
    assert len(sources) >= 4
    sizes = [Image.open(io.BytesIO(base64.b64decode(source))).size for source in sources]
    assert all(min(size) > 100 for size in sizes)


def test_tables_and_figures_are_also_files(page: Path) -> None:
    for name in ("scores", "classes_streets", "classes_rooms"):
        assert all((page.parent / "tables" / f"{name}.{ending}").is_file() for ending in ("csv", "md", "tex"))
    for name in ("validation_miou", "loss_supervised", "pace", "examples_streets", "examples_rooms"):
        assert (page.parent / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (page.parent / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_rendering_again_replaces_the_report_by_the_same(page: Path, trained: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in page.parent.rglob("*.*") if path.suffix != ".pdf"}

    before = contents()
    report([trained], images=2, device="cpu")
    assert contents() == before


def test_command_line_compares_two_runs(trained: Path, tmp_path: Path) -> None:
    config = load_yaml((trained / "config.yaml").read_text())
    other = tmp_path / "<b>other"
    other.mkdir()
    (other / "config.yaml").write_text(dump_yaml(config | {"seed": 1, "keep": "last"}))
    (other / "evaluation.json").write_text("{damaged")
    assert main(["report", str(trained), str(other), "--out", str(tmp_path / "page"), "--device", "cpu"]) == 0
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;other (unfinished, step 0)" in text and "<b>" not in text
    assert "evaluation.json: not readable as JSON" in text and "No predictions of &lt;b&gt;other" in text


def test_page_without_data_is_made_without_pictures_and_says_so(tmp_path: Path) -> None:
    matrix = {"sky": {"sky": 3, "lamp": 1}}
    domains = scored(0.75, 0.5)
    domains["street"]["confusion"] = matrix
    write_run(tmp_path / "runs" / "a", evaluation=domains)
    page = report([tmp_path / "runs"])
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "runs" / "report" / "index.html"
    assert "No pictures of street and no class frequencies" in text and "no-such-data" in text
    assert [path.stem for path in sorted(page.parent.glob("figures/*.png"))] == [
        "class_iou_street",
        "confusion_street_a_decoder_val",
    ]


@pytest.mark.parametrize("name", ["index.html", "tables/scores.csv"])
def test_files_that_no_report_wrote_are_never_overwritten(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "a", evaluation=scored(0.4, 0.3))
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ValueError, match=f"{name}, which semiverse report did not write"):
        report([run], out=tmp_path / "out", images=0)
    assert mine.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*.*") if path != mine] == []
