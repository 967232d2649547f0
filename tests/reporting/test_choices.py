"""Which images of a domain are shown."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from semiverse.commands.report import report
from semiverse.data import Sample
from semiverse.inference.predictor import Predictor
from semiverse.labels import IGNORE, LabelSpace
from semiverse.models import SegmentationModel
from semiverse.reporting.examples import (
    Examples,
    add_predictions,
    choice,
    choose_examples,
    example_picture,
    image_scores,
    read_examples,
)
from semiverse.reporting.settings import Setting
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
    assert problems == [] and add_predictions(examples, {"run": run}, "cpu") == []
    return examples[0], compared


@pytest.mark.slow
def test_rows_are_labelled_with_their_kind_and_mIoU(shown: tuple[Examples, list[Setting]]) -> None:
    example, compared = shown
    assert example.kinds == ["best", "worst"]
    texts = [text.get_text() for text in example_picture(example, compared)[0].figure.texts]
    names = [sample.id for sample in example.samples]
    assert texts[:6] == [names[0], "best", "mIoU 50.0", names[1], "worst", "mIoU 12.5"]


@pytest.mark.slow
def test_domain_without_details_shows_evenly_chosen_images(shown: tuple[Examples, list[Setting]]) -> None:
    (rooms,) = [example for example in read_examples(shown[1], 2)[0] if example.domain == "rooms"]
    assert rooms.kinds == [] and len(rooms.samples) == 2


# What is drawn of them.

LETTERS = LabelSpace("letters", ("a", "b", "c"), ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
NOTHING = torch.full((2, 3), IGNORE, dtype=torch.uint8)


def letters(mask: Tensor, **predictions: Tensor) -> Examples:
    """One grey image of the domain ``abc``."""
    sample = Sample(torch.full((3, 2, 3), 100, dtype=torch.uint8), mask, "one")
    return Examples("abc", LETTERS, [sample], 5, {}, predictions={name: [m] for name, m in predictions.items()})


def drawn(example: Examples, compared: list[Setting], classes: list[str] | None = None) -> tuple[list[str], list]:
    """Headings and pictures of the only row."""
    (picture,) = example_picture(example, compared, classes)
    axes = [axes.images[0].get_array().tolist() for axes in picture.figure.axes]
    return [text.get_text() for text in picture.figure.texts][1:], axes


@pytest.fixture
def setting(tmp_path: Path) -> list[Setting]:
    return read(make_run(tmp_path / "first"))


def test_truth_that_does_not_exist_has_no_column(setting: list[Setting]) -> None:
    prediction = torch.tensor([[0, 1, 2], [0, 1, 2]], dtype=torch.uint8)
    headings, pictures = drawn(letters(NOTHING, first=prediction), setting)
    assert headings == ["image", "first"] and len(pictures) == 2
    assert pictures[1][0] == [[200, 0, 0], [0, 200, 0], [0, 0, 200]]
    one_pixel = NOTHING.clone()
    one_pixel[0, 0] = 1
    headings, pictures = drawn(letters(one_pixel, first=prediction), setting)
    assert headings == ["image", "truth", "first"]
    assert pictures[1] == [[[0, 200, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0]] * 3]
    captions = [example_picture(letters(mask, first=prediction), setting)[0].caption for mask in (NOTHING, one_pixel)]
    assert ["Black in the truth" in caption for caption in captions] == [False, True]


@pytest.mark.parametrize("named", ["b", "abc/b"])
def test_selected_classes_are_shown_alone_over_the_pale_image(setting: list[Setting], named: str) -> None:
    prediction = torch.tensor([[0, 0, 1], [0, 1, 1]], dtype=torch.uint8)
    example = letters(torch.tensor([[2, 2, 2], [2, 2, 1]], dtype=torch.uint8), first=prediction)
    headings, pictures = drawn(example, setting, [named, "elsewhere/a"])
    assert headings == ["image", "truth", "first"]
    left_out, border, inside = [178] * 3, [0, 0, 0], [36, 196, 36]  # 0.8 of the colour, 0.2 of 128 + 100 / 2
    assert pictures[2] == [[left_out, border, inside], [border, inside, inside]]
    (picture,) = example_picture(example, setting, [named])
    assert "Only b is shown." in picture.caption and "Black" not in picture.caption
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["b"]


def test_caption_says_who_takes_the_images_for_those_of_another_domain(setting: list[Setting]) -> None:
    example = letters(NOTHING, first=NOTHING, e1=NOTHING, e2=NOTHING)
    example.seen_as = {"first": "game", "e1": "camvid", "e2": "camvid"}
    (picture,) = example_picture(example, setting)
    assert picture.caption.endswith(
        "chosen evenly. first takes them for images of game. e1 and e2 take them for images of camvid."
    )


def test_domain_without_a_selected_class_has_no_picture(setting: list[Setting]) -> None:
    assert example_picture(letters(NOTHING, first=NOTHING), setting, ["elsewhere/a", "d"]) == []


def test_model_that_does_not_know_the_domain_takes_it_for_the_first_that_it_knows(trained: Path) -> None:
    spaces = SegmentationModel.load(trained).label_spaces
    image = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8)
    sample = Sample(image, torch.full((32, 48), IGNORE, dtype=torch.uint8), "one")
    labels = LabelSpace("of the campus", spaces["rooms"].classes)

    def shown(*seen_as: str) -> tuple[Examples, list[str]]:
        example = Examples("campus", labels, [sample], 1, {})
        return example, add_predictions([example], {"run": trained}, "cpu", seen_as)

    example, problems = shown("nowhere", "rooms", "streets")
    assert problems == ["No model knows nowhere; expected one of rooms, streets: correct --as."]
    assert example.seen_as == {"run": "rooms"}
    expected = Predictor(SegmentationModel.load(trained), device="cpu")(image, "rooms").mask
    assert torch.equal(example.predictions["run"][0], expected)
    assert shown()[0].predictions == {} and shown()[1] == []
    example, problems = shown("streets")
    assert example.predictions == {} and problems == [
        "No predictions of run for campus: it was trained on other classes."
    ]


@pytest.mark.slow
def test_model_of_no_run_is_a_column_beside_runs(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.copytree(trained / "model", tmp_path / "released" / "model")
    page = report([tmp_path / "released", trained], out=tmp_path / "page", images=1, device="cpu", classes=["sky"])
    text = page.read_text(encoding="utf-8")
    assert "Only sky is shown." in text and "Report of run" in text
    assert (page.parent / "figures" / "examples_streets.png").is_file()
    assert not (page.parent / "figures" / "examples_rooms.png").exists()  # which have no sky


def test_folder_of_a_model_alone_is_no_report(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "model", tmp_path / "released")
    with pytest.raises(FileNotFoundError, match="released is no run folder"):
        report([tmp_path / "released"])


def test_class_that_no_domain_has_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "first", {"street": 0.5})
    with pytest.raises(ValueError, match=r"no class room/sky, sea; expected some of lamp, sky: correct --classes"):
        report([run], images=0, classes=["sky", "street/lamp", "room/sky", "sea"])
