"""What the report draws of evaluations with details: figures and tables of hand-made values."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from semiverse.commands.report import report
from semiverse.configuration import dump_yaml
from semiverse.reporting.details import (
    across_pictures,
    class_figure,
    confusion_figure,
    domain_pictures,
    pooled,
    reliability_figure,
)
from semiverse.reporting.page import file_names
from semiverse.reporting.runs import read_runs
from semiverse.reporting.scores import evaluations, further_table
from semiverse.reporting.settings import Setting, settings
from semiverse.reporting.tables import MISSING, Entry, as_csv, mark_best
from tests.reporting.made_up_runs import make_run, read

CLASSES = {"street": ("sky", "lamp"), "room": ("wall", "sky", "door")}
BINS = [
    {"confidence": None, "accuracy": None, "pixels": 0},
    {"confidence": 0.5, "accuracy": 0.25, "pixels": 100},
    {"confidence": 0.9, "accuracy": 0.8, "pixels": 300},
]


def domain_values(domain: str, details: bool = True, **changes: object) -> dict:
    """What an evaluation says of a domain."""
    first, *others = CLASSES[domain]
    values: dict = {
        "images": 2,
        "miou": 0.5,
        "pixel_accuracy": 0.7,
        "iou": {first: 0.6} | dict.fromkeys(others, 0.4),
        "confusion": {first: {first: 30, others[0]: 10}, others[0]: {others[0]: 10}},
        "split": "val",
        "via": "decoder",
        "variant": "default",
    }
    if details:
        other = next(name for name in CLASSES if name != domain)
        values |= {
            "image_miou": 0.45,
            "boundary_miou": 0.3,
            "boundary_width": 5.5,
            "calibration": {"error": 0.1375, "bins": BINS},
            "seen_as": {other: {first: {CLASSES[other][0]: 30, CLASSES[other][1]: 10}}},
        }
    return values | changes


def write_run(folder: Path, seed: int = 0, domains: Sequence[str] = ("street", "room"), **changes: object) -> Path:
    """An evaluated run without a model, whose data is nowhere."""
    folder.mkdir(parents=True)
    dataset = {"class_path": "semiverse.datasets.CamVid", "init_args": {"root": "/no-such-data"}}
    config = {
        "data": {"domains": {name: {"dataset": dataset, "val": "val"} for name in domains}, "seed": seed},
        "method": {"class_path": "semiverse.methods.Supervised", "init_args": {}},
        "model": {"encoder": "drn_d_22", "decoder": "linear", "separate": changes.pop("separate", False)},
        "optimizer": {"lr": changes.pop("lr", 0.1)},
        "seed": seed,
    }
    (folder / "config.yaml").write_text(dump_yaml(config))
    values = {name: domain_values(name, **changes) for name in domains}  # type: ignore[arg-type]
    across = {"street/sky": {"room/sky": 0.25}, "room/sky": {"street/sky": 0.25}}
    evaluation = {"domains": values, "centroid_similarity": across, "same_name_similarity": 0.25}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def write_features(run: Path, domains: Sequence[str] = ("street", "room")) -> None:
    """Ten pixels of every class, each class around a direction of its own."""
    titles = [(domain, title) for domain in domains for title in CLASSES[domain]]
    values = np.repeat(np.eye(len(titles), 8), 10, axis=0) + 0.1 * np.random.default_rng(0).random(
        (len(titles) * 10, 8)
    )
    names, classes = np.array(titles).repeat(10, axis=0).T
    np.savez(run / "features.npz", features=values.astype(np.float32), domains=names, classes=classes)


def compared(*folders: Path) -> list[Setting]:
    return settings(read_runs(list(folders)))


# Reliability.


def test_bins_of_several_runs_count_every_pixel_once() -> None:
    other = [
        {"confidence": 0.1, "accuracy": 0.3, "pixels": 100},
        {"confidence": 0.6, "accuracy": 0.75, "pixels": 300},
        {"confidence": None, "accuracy": None, "pixels": 0},
    ]
    bins = pooled([{"bins": BINS}, {"bins": other}])
    assert bins.confidence.tolist() == pytest.approx([0.1, (0.5 * 100 + 0.6 * 300) / 400, 0.9])
    assert bins.accuracy.tolist() == pytest.approx([0.3, (0.25 * 100 + 0.75 * 300) / 400, 0.8])
    assert bins.share.tolist() == [100 / 800, 400 / 800, 300 / 800]


def test_bins_without_pixels_are_no_points_and_no_bars() -> None:
    bins = pooled([{"bins": BINS}])
    assert np.isnan(bins.confidence[0]) and bins.share[0] == 0
    figure = reliability_figure({"joint": [{"bins": BINS, "error": 0.1375}]})
    upper, lower = figure.axes
    diagonal, curve = upper.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert curve.get_xydata().ravel() == pytest.approx([50, 25, 90, 80])
    assert [bar.get_height() for bar in lower.patches] == [0, 25, 75]


def test_legend_has_the_calibration_error_and_its_spread_in_percent() -> None:
    errors = [{"bins": BINS, "error": 0.1}, {"bins": BINS, "error": 0.12}]
    figure = reliability_figure({"joint": errors, "_$alone$": errors[:1]})
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[1:] == ["joint: calibration error 11.0 ± 1.4 %", "_$alone$: calibration error 10.0 %"]
    left, right = (bars.patches[1] for bars in figure.axes[1].containers)
    assert left.get_x() + left.get_width() == pytest.approx(right.get_x())


# Classes beside their frequencies.


def test_bars_stand_by_frequency_and_absent_classes_have_a_dash() -> None:
    joint = [{"lamp": 0.2, "sky": 0.8, "gone": None}, {"lamp": 0.4, "sky": 0.9, "gone": None}]
    alone = [{"lamp": None, "sky": 0.5, "gone": None}]
    left, right = class_figure({"joint": joint, "alone": alone}, {"lamp": 0.01, "sky": 0.6}).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["sky", "lamp", "gone"]
    bars = [[bar.get_width() for bar in bars.patches] for bars in left.containers if hasattr(bars, "patches")]
    assert bars[0][:2] == pytest.approx([85, 30]) and np.isnan(bars[0][2])
    assert bars[1][0] == 50 and np.isnan(bars[1][1:]).all()
    assert [text.get_text() for text in left.texts] == [MISSING] * 3
    assert right.get_xscale() == "log"
    assert right.lines[0].get_xydata().ravel() == pytest.approx([60, 0, 1, 1])


def test_settings_that_colours_cannot_tell_apart_get_figures_of_their_own(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"run{i}", {"street": 0.1 * i}, optimizer__lr=0.01 * (i + 1)) for i in range(9)]
    found = evaluations("street", read(*runs))
    first, second = domain_pictures("street", found, {"sky": (0.5, 3), "lamp": (0.1, 2)})
    shown = [len(picture.figure.axes[0].containers) for picture in (first, second)]
    assert first.name == second.name == "class_iou_street"
    assert [count // 2 for count in shown] == [8, 1]  # bars, and whiskers on them


def test_bars_need_neither_details_nor_data(tmp_path: Path) -> None:
    found = evaluations("street", compared(write_run(tmp_path / "a", details=False)))
    (picture,) = domain_pictures("street", found, {})
    assert picture.name == "class_iou_street"
    shares = picture.figure.axes[1].lines[0].get_xdata()
    assert list(shares) == [80, 20]  # the rows of the confusion: 40 and 10 pixels


# Further scores.


def test_further_scores_have_means_and_spreads_and_the_best_is_marked(tmp_path: Path) -> None:
    calibrations = [{"error": error, "bins": BINS} for error in (0.1, 0.12, 0.2)]
    runs = [
        write_run(tmp_path / "joint_0", 0, image_miou=0.4, calibration=calibrations[0]),
        write_run(tmp_path / "joint_1", 1, image_miou=0.5, calibration=calibrations[1]),
        write_run(tmp_path / "other", lr=0.2, image_miou=0.6, boundary_miou=None, calibration=calibrations[2]),
    ]
    table = further_table("street", evaluations("street", compared(*runs)))
    assert table is not None and table.name == "further_scores_street"
    assert [column.heading for column in table.columns] == [
        "run", "mIoU", "mIoU of single images", "boundary mIoU (within 5.5 pixels)", "pixel accuracy",
        "calibration error (lower is better)",
    ]  # fmt: skip
    texts = [[cell.shown for cell in row.cells] for row in table.rows]
    assert texts[0] == ["joint, mean of 2 runs", "50.0 ± 0.0", "45.0 ± 7.1", "30.0 ± 0.0", "70.0 ± 0.0", "11.0 ± 1.4"]
    assert texts[1] == ["other", "50.0", "60.0", MISSING, "70.0", "20.0"]
    assert [[cell.best for cell in row.cells] for row in table.rows] == [
        [False, True, False, False, True, True],
        [False, True, True, False, True, False],
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert rows[0]["calibration_error"] == "0.11" and rows[0]["calibration_error_spread"] == "0.014142"


def test_columns_that_nobody_filled_are_left_out(tmp_path: Path) -> None:
    table = further_table("street", evaluations("street", compared(write_run(tmp_path / "a", details=False))))
    assert table is not None
    assert [column.key for column in table.columns] == ["run", "miou", "pixel_accuracy"]
    bare = write_run(tmp_path / "b", details=False, pixel_accuracy=None)
    assert further_table("street", evaluations("street", compared(bare))) is None


def test_single_value_is_not_the_lowest_of_anything() -> None:
    cells = [Entry("1.0", 0.01), Entry(MISSING)]
    mark_best(cells, lowest=True)
    assert not any(cell.best for cell in cells)
    cells = [Entry("0.0", 0.0001), Entry("0.0", 0.0), Entry("0.2", 0.002)]
    mark_best(cells, lowest=True)
    assert [cell.best for cell in cells] == [True, True, False]


# From one domain to another.


def test_heat_map_has_a_row_a_true_class_and_a_column_an_answer() -> None:
    seen = {"sky": {"wall": 30, "door": 10}}
    axes = confusion_figure(seen, ["sky", "$lamp$"], ["wall", "sky", "door"], ("answer", "truth")).axes[0]
    shown = axes.images[0].get_array()
    assert shown[0].tolist() == [75, 0, 25] and shown.mask[1].all()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["sky", "$lamp$ (no pixels)"]
    assert [text.get_text() for text in axes.texts] == ["75", "25"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "truth")


def test_every_ordered_pair_of_domains_has_a_heat_map(tmp_path: Path) -> None:
    pictures, problems = across_pictures(compared(write_run(tmp_path / "a")))
    assert problems == []
    assert [picture.name for picture in pictures] == [
        "seen_as_street_room_a_decoder_val",
        "seen_as_room_street_a_decoder_val",
    ]
    axes = pictures[0].figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["wall", "sky", "door"]
    assert axes.images[0].get_array()[0].tolist() == [75, 25, 0]


def test_answers_of_a_domain_that_was_not_scored_are_those_that_occur(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", domains=["street"])
    (picture,), _ = across_pictures(compared(run))
    assert [text.get_text() for text in picture.figure.axes[0].get_xticklabels()] == ["wall", "sky"]


def test_run_with_one_domain_has_neither_heat_maps_nor_similarities(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", domains=["street"], seen_as={})
    write_features(run, ["street"])
    pictures, problems = across_pictures(compared(run))
    assert [picture.name for picture in pictures] == ["features_a"] and problems == []


def test_one_remark_names_all_runs_without_details_and_the_command(tmp_path: Path) -> None:
    plain = [write_run(tmp_path / name, lr=i, details=False) for i, name in enumerate("ab")]
    detailed = write_run(tmp_path / "c", lr=0.3)
    _, problems = across_pictures(compared(*plain, detailed))
    assert len(problems) == 1
    assert " a, b, which were evaluated" in problems[0] and "semiverse evaluate RUN --details true" in problems[0]


def test_run_that_was_never_evaluated_is_not_blamed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    (run / "evaluation.json").unlink()
    assert across_pictures(compared(run)) == ([], [])


def test_damaged_features_are_pointed_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    (run / "features.npz").write_bytes(b"PK damaged")
    pictures, problems = across_pictures(compared(run))
    assert len(pictures) == 2 and len(problems) == 1 and "features.npz: it is damaged" in problems[0]


def test_maps_of_features_of_runs_on_the_same_domains_share_a_figure(tmp_path: Path) -> None:
    both = [
        write_run(tmp_path / name, lr=0.1 * i, separate=name == "apart") for i, name in enumerate(("apart", "joint"))
    ]
    alone = write_run(tmp_path / "alone", domains=["street"])
    for run in both:
        write_features(run)
    write_features(alone, ["street"])
    pictures, _ = across_pictures(compared(*both, alone))
    maps = {picture.name: picture for picture in pictures if picture.name.startswith("features")}
    assert list(maps) == ["features_room_street", "features_alone"]
    caption = maps["features_room_street"].caption
    assert caption.startswith("Encoder features of apart and joint at random labelled pixels")
    assert "of the same name: 0.25 (apart) and 0.25 (joint)." in caption and "encoder of its own in apart:" in caption
    pictures, _ = across_pictures(compared(*both), ["sky", "room/wall"])
    (picture,) = [picture for picture in pictures if picture.name.startswith("features")]
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["street", "room", "sky", "wall"]
    points = [part for part in picture.figure.axes[0].collections if len(part.get_offsets())]
    assert [len(part.get_offsets()) for part in points] == [10, 20]


def test_centroids_of_separate_encoders_are_not_compared(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", separate=True)
    write_features(run)
    pictures, _ = across_pictures(compared(run))
    assert pictures[-1].name == "features_a" and "their features do not compare" in pictures[-1].caption


# The page.


@pytest.mark.slow
def test_report_shows_details_and_says_nothing_of_missing_ones(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", domains=["street"])
    write_features(run)
    page = report([run], images=0)
    drawn = {path.stem for path in (page.parent / "figures").glob("*.png")}
    assert drawn == {
        "class_iou_street", "reliability_street", "confusion_street_a_decoder_val",
        "seen_as_street_room_a_decoder_val", "features_a", "class_similarity_a",
    }  # fmt: skip
    assert (page.parent / "tables" / "further_scores_street.tex").is_file()
    text = page.read_text(encoding="utf-8")
    assert "of the same name: 0.25" in text and "mIoU of single images" in text
    assert "evaluated without details" not in text


def test_report_of_runs_without_details_has_none_of_their_figures(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", domains=["street"], details=False)
    page = report([run], images=0)
    text = page.read_text(encoding="utf-8")
    assert text.count("semiverse evaluate RUN --details true") == 1 and 'id="across"' not in text
    drawn = {path.stem for path in (page.parent / "figures").glob("*.png")}
    assert drawn == {"class_iou_street", "confusion_street_a_decoder_val"}


def test_names_that_differ_only_in_special_signs_are_files_of_their_own() -> None:
    assert file_names(["seen x/first", "seen x_first", "seen x first", "other"]) == [
        "seen_x_first", "seen_x_first_2", "seen_x_first_3", "other"
    ]  # fmt: skip


@pytest.mark.slow
def test_special_signs_in_names_reach_the_figures_as_they_are(tmp_path: Path) -> None:
    run = write_run(tmp_path / "$a_b$ <c>", domains=["street"])
    page = report([run], images=0)
    assert "$a_b$ &lt;c&gt;" in page.read_text(encoding="utf-8")
    assert (page.parent / "figures" / "seen_as_street_room__a_b_c__decoder_val.png").is_file()
