"""Which images of a domain are shown."""

import json
from pathlib import Path

import pytest

from semiverse.reporting.examples import (
    Examples,
    add_predictions,
    choice,
    choose_examples,
    example_picture,
    image_scores,
    read_examples,
)
from semiverse.reporting.runs import Setting
from tests.reporting.made_up_runs import change_evaluation, make_run, read

IDS = ["a", "b", "c", "d", "e"]
BASE = {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.4, "e": 0.6}
BETTER = {"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.7, "e": 0.5}


def test_best_and_worst_go_by_the_mean_and_improvement_by_the_baseline() -> None:
    chosen = choose_examples({"base": BASE, "better": BETTER}, "base", IDS, 3)
    assert chosen == [("a", "best"), ("b", "worst"), ("d", "most improved")]


def test_no_image_is_chosen_twice_and_no_more_than_there_are() -> None:
    chosen = choose_examples({"base": BASE, "better": BETTER}, "base", IDS, 9)
    assert sorted(one for one, _ in chosen) == IDS
    assert [kind for _, kind in chosen].count("most improved") == 1  # d; b, which gained too, is the worst already


def test_one_setting_has_best_and_worst_alone() -> None:
    assert choose_examples({"base": BASE}, "base", IDS, 4) == [
        ("a", "best"),
        ("e", "best"),
        ("b", "worst"),
        ("d", "worst"),
    ]


@pytest.mark.parametrize(("count", "kinds"), [(0, []), (1, ["worst"]), (2, ["best", "worst"])])
def test_few_images_show_the_worst_first(count: int, kinds: list[str]) -> None:
    assert [kind for _, kind in choose_examples({"base": BASE, "better": BETTER}, "base", IDS, count)] == kinds


def test_images_that_are_gone_or_not_scored_everywhere_are_left_out() -> None:
    scores = {"base": BASE, "better": {"b": 0.2, "c": 0.5, "gone": 0.0}}
    assert {one for one, _ in choose_examples(scores, "base", IDS, 4)} == {"b", "c"}
    assert choose_examples({}, "base", IDS, 4) == []


def test_nothing_that_got_worse_counts_as_improved() -> None:
    lower = {one: value - 0.05 for one, value in BASE.items()}
    assert {kind for _, kind in choose_examples({"base": BASE, "lower": lower}, "base", IDS, 4)} == {"best", "worst"}


def test_scores_are_those_of_the_split_by_the_decoder_of_the_first_run(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"joint_{seed}", {"street": 0.4}, seed=seed) for seed in range(2)]
    for run, value in zip(runs, (0.1, 0.2), strict=True):
        change_evaluation(run, "street", image_mious={"a": value, "b": None})
    compared = read(*runs)
    assert image_scores(compared, "street", "val") == {"joint": {"a": 0.1}}
    assert image_scores(compared, "street", "test") == {}


def test_choice_is_told_in_words() -> None:
    assert choice([], {}, "base") == "chosen evenly"
    assert choice(["best", "worst"], {"base": BASE}, "base") == "the best and worst by their own mIoU"
    told = choice(["best", "most improved"], {"base": BASE, "better": BETTER}, "base")
    assert told.endswith("in the mean over the settings, and those that gained most over base")


@pytest.fixture
def shown(trained: Path, tmp_path: Path) -> tuple[Examples, list[Setting]]:
    """Examples of streets of a trained run whose first image is its worst."""
    run = tmp_path / "run"
    run.mkdir()
    for part in ("config.yaml", "labeled.json", "model"):
        (run / part).symlink_to(trained / part)
    common = {"miou": 0.2, "iou": {}, "split": "val", "via": "decoder"}
    splits = {"streets": common | {"image_mious": {}}}
    (run / "evaluation.json").write_text(json.dumps({"domains": splits}))
    ids = [sample.id for sample in read_examples(read(run), 2)[0][0].samples]
    change_evaluation(run, "streets", image_mious={ids[0]: 0.125, ids[1]: 0.5})
    compared = read(run)
    examples, problems = read_examples(compared, 2)
    assert problems == [] and add_predictions(examples, compared, "cpu") == []
    return examples[0], compared


@pytest.mark.slow
def test_rows_are_labelled_with_their_kind_and_mIoU(shown: tuple[Examples, list[Setting]]) -> None:
    example, compared = shown
    assert example.kinds == ["best", "worst"]
    texts = [text.get_text() for text in example_picture(example, compared).figure.texts]
    names = [sample.id for sample in example.samples]
    assert texts[:6] == [names[0], "best", "mIoU 50.0", names[1], "worst", "mIoU 12.5"]


@pytest.mark.slow
def test_domain_without_details_shows_evenly_chosen_images(shown: tuple[Examples, list[Setting]]) -> None:
    (rooms,) = [example for example in read_examples(shown[1], 2)[0] if example.domain == "rooms"]
    assert rooms.kinds == [] and len(rooms.samples) == 2
