"""What is compared with what, what came of it, and what the page says of it."""

import csv
from pathlib import Path
from typing import Any

import pytest

from semiverse.commands.report import report
from semiverse.reporting.comparisons import changes, compare, lessons
from semiverse.reporting.verdicts import Comparison, verdict_on, verdict_table
from tests.reporting.made_up_runs import change_evaluation, make_run, read

FULL = {"alpha": 0.1, "beta": 0.1, "anchor": 1.0, "rows": {"start": None}}
ANCHORED = FULL | {"alpha": 0.0, "beta": 0.0}
STARTED = ANCHORED | {"anchor": 0.0, "rows": {"start": "first"}}
EQUAL = {"street": 0.4, "room": 0.3}


def compared(*folders: Path) -> dict[str, list[tuple[str, str]]]:
    """Names of what is measured and of what it is measured against, by what is judged."""
    found: dict[str, list[tuple[str, str]]] = {}
    for pair in compare(read(*folders)):
        found.setdefault(pair.kind, []).append((pair.ours.name, pair.theirs.name))
    return found


def only(*folders: Path) -> Comparison:
    (pair,) = compare(read(*folders))
    return pair


# What settings learn from.


@pytest.mark.parametrize(
    ("method", "arguments", "terms", "unlabeled"),
    [
        ("Supervised", {}, "", False),
        ("Universal", FULL, "label embeddings as anchor", True),
        ("Universal", FULL | {"alpha": 0.0, "anchor": 0.0}, "", True),
        ("Universal", ANCHORED, "label embeddings as anchor", False),
        ("Universal", STARTED, "start from a supervised network", False),
        (
            "Adversarial",
            {"labeled_adversary": 0.01, "unlabeled_adversary": 0.0, "pseudo_weight": 0.0},
            "adversary on labelled images",
            False,
        ),
        ("Adversarial", {"labeled_adversary": 0.0, "unlabeled_adversary": 0.0, "pseudo_weight": 0.1}, "", True),
        (
            "Latent",
            {"unlabeled_adversary": 0.0, "pseudo_weight": 0.0, "consistency_weight": 0.1, "labeled_adversary": 0.0},
            "second branch",
            True,
        ),
        ("Adaptation", {"adversary": 0.0, "auxiliary_adversary": 0.0, "auxiliary_weight": 0.0}, "", False),
        ("Adaptation", {"adversary": 0.001, "auxiliary_adversary": 0.0, "auxiliary_weight": 0.0}, "", True),
    ],
)
def test_roles_follow_the_weights_of_the_terms(
    tmp_path: Path, method: str, arguments: dict[str, Any], terms: str, unlabeled: bool
) -> None:
    (setting,) = read(make_run(tmp_path / "run", EQUAL, method, arguments))
    found = lessons(setting.runs[0])
    assert found is not None
    assert (", ".join(found.labeled), ", ".join(found.unlabeled), found.separate) == (
        terms,
        "unlabelled images" * unlabeled,
        False,
    )


def test_weights_do_not_matter_where_no_unlabelled_image_may_be_used(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"street": 0.4}, "Universal", FULL, data__domains__street__unlabeled=False)
    found = lessons(read(run)[0].runs[0])
    assert found is not None and not found.unlabeled


@pytest.mark.parametrize(("folder", "words"), [("pseudo", ("pseudo-labels made once",)), (None, ())])
def test_pseudolabels_count_where_a_domain_has_them(tmp_path: Path, folder: str | None, words: tuple[str, ...]) -> None:
    arguments = {"pseudo_weight": 1.0, "strong": None}
    run = make_run(
        tmp_path / "run", {"street": 0.4}, "Supervised", arguments, data__domains__street__pseudolabels=folder
    )
    found = lessons(read(run)[0].runs[0])
    assert found is not None and found.unlabeled == words


def test_unknown_methods_have_no_role_and_compare_with_nothing(tmp_path: Path) -> None:
    mine, plain = make_run(tmp_path / "mine", EQUAL, "Mine"), make_run(tmp_path / "plain", EQUAL)
    assert lessons(read(mine)[0].runs[0]) is None
    assert compared(mine, plain) == {}


# Which comparisons the runs allow.


def test_network_that_was_never_trained_compares_with_nothing(tmp_path: Path) -> None:
    start, trained = (make_run(tmp_path / name, EQUAL, "Universal", FULL) for name in ("start", "trained"))
    plain = make_run(tmp_path / "plain", EQUAL)
    (start / "finished.json").write_text('{"steps": 0, "seconds": 0.0}')
    assert lessons(read(start)[0].runs[0]) is None
    assert compare(read(start, plain)) == []
    assert compare(read(trained, plain)) != []


def test_whole_ladder_is_climbed_step_by_step(tmp_path: Path) -> None:
    alone = make_run(tmp_path / "alone", EQUAL, model__separate=True)
    finetuned = make_run(tmp_path / "finetuned", EQUAL, "Finetune", model__separate=True)
    joint = make_run(tmp_path / "joint", EQUAL)
    anchored = make_run(tmp_path / "anchored", EQUAL, "Universal", ANCHORED)
    full = make_run(tmp_path / "full", EQUAL, "Universal", FULL)
    found = compared(full, anchored, joint, finetuned, alone)
    assert found == {
        "other domain": [("joint", "alone")],
        "transfer from the other domain": [("finetuned", "alone")],
        "unlabelled images": [("full", "anchored")],
        "unlabelled images and label embeddings as anchor": [("full", "joint")],
        "label embeddings as anchor": [("anchored", "joint")],
    }
    assert list(found) == [  # in the order of the ladder, whatever that of the runs
        "other domain", "transfer from the other domain", "unlabelled images",
        "unlabelled images and label embeddings as anchor", "label embeddings as anchor",
    ]  # fmt: skip


def test_several_things_at_once_are_judged_where_no_run_stands_between(tmp_path: Path) -> None:
    alone = make_run(tmp_path / "alone", EQUAL, model__separate=True)
    full = make_run(tmp_path / "full", EQUAL, "Universal", FULL)
    kinds = "other domain, unlabelled images and label embeddings as anchor"
    assert compared(alone, full) == {kinds: [("full", "alone")]}


def test_start_from_a_supervised_network_is_a_step_of_its_own(tmp_path: Path) -> None:
    joint = make_run(tmp_path / "joint", EQUAL)
    started = make_run(tmp_path / "started", EQUAL, "Universal", STARTED)
    full = make_run(tmp_path / "full", EQUAL, "Universal", STARTED | {"alpha": 0.1, "beta": 0.1, "anchor": 1.0})
    found = compared(joint, started, full)
    assert found["start from a supervised network"] == [("started", "joint")]
    assert found["unlabelled images and label embeddings as anchor"] == [("full", "started")]
    everything = "unlabelled images, label embeddings as anchor and start from a supervised network"
    assert found[everything] == [("full", "joint")]


def test_differences_of_one_seed_fit_into_a_sentence(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", {"street": 0.4, "room": 0.3}, model__separate=True)
    joint = make_run(tmp_path / "joint", {"street": 0.45, "room": 0.28})
    assert verdict_on(only(plain, joint)).sentences[0] == (
        "joint scores 3.0 points more than plain in the sum of mIoU (street 5.0, room -2.0) in the one seed run: "
        "one run cannot tell it from chance."
    )
    assert len([said for said in verdict_on(only(plain, joint)).sentences if "mIoU" in said]) == 1


def test_another_start_is_named_once(tmp_path: Path) -> None:
    own = make_run(tmp_path / "own", EQUAL, "Universal", FULL)
    started = make_run(tmp_path / "started", EQUAL, "Universal", FULL | {"rows": {"start": "first"}})
    pair = only(own, started)
    assert (pair.kind, pair.further) == ("start from a supervised network", [])


def test_run_of_one_domain_stands_for_a_separate_network_of_it(tmp_path: Path) -> None:
    street = make_run(tmp_path / "street", {"street": 0.4})
    joint = make_run(tmp_path / "joint", {"street": 0.45, "room": 0.3})
    pair = only(street, joint)
    assert (pair.kind, pair.ours.name) == ("other domain", "joint")
    assert list(pair.scores) == [("by decoder", "street")]
    assert pair.scores["by decoder", "street"].mean == pytest.approx(0.05)


def test_one_domain_with_unlabelled_images_is_measured_against_its_labels_alone(tmp_path: Path) -> None:
    weights = {"labeled_adversary": 0.0, "unlabeled_adversary": 0.001, "pseudo_weight": 0.1}
    plain = make_run(tmp_path / "plain", {"street": 0.4})
    adversarial = make_run(tmp_path / "adversarial", {"street": 0.45}, "Adversarial", weights)
    assert compared(plain, adversarial) == {"unlabelled images": [("adversarial", "plain")]}


def test_adaptation_is_measured_against_its_source(tmp_path: Path) -> None:
    off = {"adversary": 0.0, "auxiliary_adversary": 0.0, "auxiliary_weight": 0.0}
    budgets = {"street": 3, "room": 0}
    source = make_run(tmp_path / "source", EQUAL, "Adaptation", off, budgets=budgets)
    single = make_run(tmp_path / "single", EQUAL, "Adaptation", off | {"adversary": 0.001}, budgets=budgets)
    assert compared(source, single) == {"unlabelled images": [("single", "source")]}


@pytest.mark.parametrize(
    "other",
    [
        {"budgets": {"street": 6, "room": 3}},
        {"data__crop": [32, 32]},
        {"model__encoder": "resnet50"},
        {"data__domains__room__val": "test"},
    ],
)
def test_other_data_budgets_crops_or_networks_do_not_compare(tmp_path: Path, other: dict[str, Any]) -> None:
    joint = make_run(tmp_path / "joint", EQUAL)
    full = make_run(tmp_path / "full", EQUAL, "Universal", FULL)
    unlike = make_run(tmp_path / "unlike", EQUAL, "Universal", FULL, **other)
    assert len(compared(joint, full)) == 1
    assert compared(joint, unlike) == {}


def test_what_learns_from_less_gains_nothing(tmp_path: Path) -> None:
    joint, full = (
        read(make_run(tmp_path / method, EQUAL, method, FULL))[0].runs[0] for method in ("Supervised", "Universal")
    )
    assert changes(full, joint) and changes(joint, full) is None and changes(joint, joint) == []


def test_of_several_baselines_that_count_which_differ_in_least_else(tmp_path: Path) -> None:
    full = make_run(tmp_path / "full", EQUAL, "Universal", FULL)
    near = make_run(tmp_path / "near", EQUAL)
    far = make_run(tmp_path / "far", EQUAL, optimizer__lr=0.1, trainer__max_steps=200)
    assert [pairs for pairs in compared(far, near, full).values()] == [[("full", "near")]]
    said = verdict_on(only(far, full)).sentences
    assert said[-1] == "They also differ in optimizer.lr and trainer.max_steps, which may be the reason."


# What came of it.


def test_differences_are_paired_over_seeds_in_domains_and_sum(tmp_path: Path) -> None:
    joint = [make_run(tmp_path / f"joint_{i}", {"street": 0.4 + 0.1 * i, "room": 0.3}, seed=i) for i in range(3)]
    gains = (0.01, 0.02, 0.03)
    full = [
        make_run(tmp_path / f"full_{i}", {"street": 0.4 + 0.1 * i + gain, "room": 0.2}, "Universal", FULL, seed=i)
        for i, gain in enumerate(gains)
    ]
    stranger = make_run(tmp_path / "full_9", {"street": 0.9, "room": 0.9}, "Universal", FULL, seed=9)
    pair = only(*joint, *full, stranger)
    street, total = pair.scores["by decoder", "street"], pair.scores["by decoder", "sum"]
    assert (street.mean, street.count) == (pytest.approx(0.02), 3)
    assert street.low == pytest.approx(0.02 - 4.302652729911275 * 0.01 / 3**0.5)
    assert total.mean == pytest.approx(0.02 - 0.1) and total.hurt
    table = verdict_table([pair])
    assert [[cell.shown for cell in row.cells][1:] for row in table.rows] == [
        ["sum", "-8.0", "-10.5", "-5.5", "3", "hurt"],
        ["street", "2.0", "-0.5", "4.5", "3", "no difference can be told"],
        ["room", "-10.0", "-10.0", "-10.0", "3", "hurt"],
    ]
    assert verdict_on(pair).hurt and verdict_on(pair).title.startswith(
        "Unlabelled images and label embeddings as anchor: "
    )


def test_classes_that_lost_most_are_named_the_worst_first(tmp_path: Path) -> None:
    joint = make_run(tmp_path / "joint", EQUAL)
    full = make_run(tmp_path / "full", EQUAL, "Universal", FULL)
    change_evaluation(full, "street", iou={"sky": 0.33, "lamp": 0.46, "new": 0.2})
    change_evaluation(full, "room", iou={"sky": 0.3, "lamp": 0.25})
    said = verdict_on(only(joint, full))
    assert said.sentences[-1] == "Classes that lost more than 5 points: lamp of room (-25.0) and sky of street (-7.0)."
    assert not said.hurt  # one run is no proof


def test_class_whose_interval_lies_below_zero_is_a_warning(tmp_path: Path) -> None:
    runs = []
    for seed in range(2):
        runs.append(make_run(tmp_path / f"joint_{seed}", EQUAL, seed=seed))
        runs.append(make_run(tmp_path / f"full_{seed}", EQUAL, "Universal", FULL, seed=seed))
        change_evaluation(runs[-1], "room", iou={"sky": 0.3, "lamp": 0.3 + 0.002 * seed})
    pair = only(*runs)
    assert not any(change.hurt for change in pair.scores.values())
    assert (
        verdict_on(pair).hurt and "lamp of room (-19.9, 95 % interval -21.2 to -18.6)" in verdict_on(pair).sentences[-1]
    )


def test_trainings_that_go_on_and_runs_without_a_common_seed_are_not_compared(tmp_path: Path) -> None:
    joint = make_run(tmp_path / "joint", EQUAL)
    running = make_run(tmp_path / "running", None, "Universal", FULL)
    (running / "metrics.csv").write_text("step,street/miou,room/miou\n20,0.9,0.9\n")
    assert verdict_on(only(joint, running)).sentences[0].startswith("No two of their runs have the same seeds")
    other = make_run(tmp_path / "other", EQUAL, "Universal", ANCHORED, seed=5)
    assert only(joint, other).scores == {}


def test_last_validations_of_finished_runs_are_paired_only_with_each_other(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "joint", None), make_run(tmp_path / "full", None, "Universal", FULL)]
    for run, score in zip(runs, (0.4, 0.5), strict=True):
        (run / "metrics.csv").write_text(f"step,street/miou,room/miou\n20,{score},0.3\n")
        (run / "finished.json").write_text('{"steps": 20, "seconds": 1.0}')
    assert only(*runs).scores["by decoder", "sum"].mean == pytest.approx(0.1)
    evaluated = make_run(tmp_path / "evaluated", EQUAL)
    assert only(evaluated, runs[1]).scores == {}


# The page.


def test_page_and_tables_hold_the_verdicts_and_mark_warnings(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / "runs" / f"joint_{seed}", EQUAL, seed=seed)
        worse = {"street": 0.3 + 0.001 * seed, "room": 0.3}
        make_run(tmp_path / "runs" / f"full_{seed}", worse, "Universal", FULL, seed=seed)
    page = report([tmp_path / "runs"], images=0)
    text = page.read_text(encoding="utf-8")
    assert text.index('id="verdicts"') < text.index('id="scores"')
    assert '<div class="finding problem">' in text
    assert "Warning: Unlabelled images and label embeddings as anchor: full against joint" in text
    assert "full scores 10.0 points less than joint in the mIoU of street (95 % interval" in text
    rows = list(csv.DictReader((page.parent / "tables" / "verdicts.csv").read_text().splitlines()))
    assert list(rows[0]) == ["comparison", "domain", "difference", "low", "high", "seeds", "verdict"]
    assert [(row["domain"], row["difference"], row["seeds"]) for row in rows] == [
        ("sum", "-0.0995", "2"), ("street", "-0.0995", "2"), ("room", "0.0", "2"),
    ]  # fmt: skip
    assert all((page.parent / "tables" / f"verdicts.{ending}").is_file() for ending in ("md", "tex"))


@pytest.mark.parametrize("scores", [EQUAL, {"street": 0.4}, {"street": None}, None])
def test_single_run_has_a_page_without_verdicts(tmp_path: Path, scores: dict[str, float | None] | None) -> None:
    page = report([make_run(tmp_path / "only", scores)], images=0)
    assert 'id="verdicts"' not in page.read_text(encoding="utf-8")
    assert not (page.parent / "tables" / "verdicts.csv").exists()
