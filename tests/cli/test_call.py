"""From words to arguments: files, options by dotted path, words without a name, help."""

import sys
from collections.abc import Callable
from functools import partial

import pytest

from semiverse.cli.call import given_values, name_words, parse, set_value, split_words
from semiverse.cli.main import main
from semiverse.commands.evaluate import evaluate
from semiverse.commands.predict import predict
from semiverse.commands.report import report
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml, load_yaml, merged
from semiverse.configuration.options import options
from semiverse.datasets import SyntheticRooms
from semiverse.methods import Adversarial, Latent, Method, Universal
from semiverse.models import SegmentationModel
from tests.cli.outside import Optimizer, Weighted, practise
from tests.own_images import FOLDERS
from tests.tiny import TINY, config

STREETS = ["data", "domains", "streets"]


def test_options_reach_every_value_of_the_file(tmp_path):
    words = ["--config", str(config(tmp_path)), "--data.domains.streets.labeled", "3"]
    words += ["--data.domains.streets.dataset.init_args.images=7", "--trainer.max_steps", "9", "--model.width", "0.5"]
    arguments = parse(
        "train", train, (), [*words, "--method", "Universal", "--method.alpha", "0.5", "--optimizer.lr", "0.5"]
    )
    streets = arguments["data"].domains["streets"]
    assert (streets.labeled, streets.dataset.images, streets.dataset.val_images) == (3, 7, 2)
    assert arguments["trainer"] == {"max_steps": 9, "accelerator": "cpu"}
    assert arguments["model"].width == 0.5
    assert arguments["method"].keywords["alpha"] == 0.5
    assert (arguments["optimizer"].lr, arguments["optimizer"].momentum) == (0.5, None)


@pytest.mark.parametrize(
    "words",
    [
        ["--classes", "road"],
        ["--classes", "[road]"],
        ["--classes=[road, sky]"],
        ["--classes", "road", "--classes", "sky"],
    ],
)
def test_one_of_a_list_is_enough_and_again_adds_another(words, trained):
    expected = ["road", "sky"] if "sky" in " ".join(words) else ["road"]
    assert parse("evaluate", evaluate, ("run",), [str(trained), *words])["classes"] == expected


def test_argument_named_like_a_word_of_python_is_an_option_without_its_underscore():
    assert parse("report", report, ("runs...",), ["a", "--as", "x", "--as", "y"])["as_"] == ["x", "y"]
    assert "as_" not in options(report)
    with pytest.raises(ValueError, match=r"as_ is no option.*did you mean 'as'"):
        parse("report", report, ("runs...",), ["a", "--as_", "x"])


def test_later_files_and_options_win(tmp_path):
    config(tmp_path)
    (tmp_path / "second.yaml").write_text("seed: 5\ndata: {batch_size: 3}\n")
    files = ["--config", str(tmp_path / "tiny.yaml"), "--config", str(tmp_path / "second.yaml")]
    values = given_values(train, (), [*files, "--seed", "6"])
    assert values["seed"] == "6"
    assert values["data"] == TINY["data"] | {"batch_size": 3}


def test_another_class_drops_the_options_of_the_first(tmp_path):
    first = {"class_path": "Adversarial", "init_args": {"labeled_adversary": 0.5}}
    words = ["--config", str(config(tmp_path, {"method": first})), "--method", "Latent", "--method.latent_classes", "5"]
    arguments = parse("train", train, (), words)
    method = arguments["method"]
    assert method.func is Latent
    assert method.keywords["latent_classes"] == 5
    assert method.keywords["labeled_adversary"] == 0.01  # its default, not the 0.5 of the first
    assert arguments["optimizer"].lr == 0.01  # which is no option of the method


@pytest.mark.parametrize(
    "words",
    [
        ["RUN", "a.png", "b", "--domain", "x", "--overlay", "false"],
        ["--domain", "x", "RUN", "--overlay", "false", "a.png", "b"],
        ["--overlay=false", "RUN", "a.png", "--domain=x", "b"],
        ["--run", "RUN", "--images", "[a.png, b]", "--domain", "x", "--overlay", "false"],
    ],
)
def test_words_without_a_name_may_stand_anywhere(words):
    arguments = parse("predict", predict, ("run", "images..."), words)
    assert (str(arguments["run"]), [str(path) for path in arguments["images"]]) == ("RUN", ["a.png", "b"])
    assert (arguments["domain"], arguments["overlay"]) == ("x", False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["--overwrite"], True), (["--overwrite", "true"], True), (["--overwrite", "false"], False), ([], False)],
)
def test_flag_needs_no_value(words, expected):
    arguments = parse("predict", predict, ("run", "images..."), ["RUN", *words, "--out", "y", "a.png"])
    assert arguments["overwrite"] is expected
    assert [str(path) for path in arguments["images"]] == ["a.png"]


def test_text_that_looks_like_a_number_stays_text():
    arguments = parse("predict", predict, ("run", "images..."), ["7", "8", "--domain", "9", "--out", "10"])
    assert [str(arguments[name]) for name in ("run", "domain", "out")] == ["7", "9", "10"]
    assert isinstance(arguments["domain"], str)


def test_word_too_many_and_value_too_few_are_refused():
    with pytest.raises(ValueError, match="'stray' stands alone"):
        name_words(["run", "stray"], ("run",))
    with pytest.raises(ValueError, match="--out has no value"):
        split_words(["--out"], {})


def test_data_of_a_run_is_known_and_can_be_changed(trained):
    words = [str(trained), "--data.domains.rooms.dataset.init_args.val_images", "5"]
    data = parse("evaluate", evaluate, ("run",), words)["data"]
    assert data.domains["rooms"].dataset.val_images == 5
    assert data.domains["streets"].dataset.val_images == 2
    assert given_values(evaluate, ("run",), [str(trained / "model")])["data"] == given_values(
        evaluate, ("run",), ["--run", str(trained)]
    )["data"]  # fmt: skip


def test_file_made_for_training_serves_evaluation(tmp_path):
    values = given_values(evaluate, ("run",), [str(tmp_path), "--config", str(config(tmp_path))])
    assert values.keys() == {"run", "data"}
    assert given_values(
        evaluate, ("run",), [str(tmp_path), "--config", str(config(tmp_path, {"splitt": "x"}))]
    ).keys() == {
        "run",
        "data",
        "splitt",  # unknown everywhere, so that it is refused
    }


def test_merging_keeps_what_only_one_side_says():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}) == {"a": {"b": 4, "c": 2}, "d": 3}
    assert merged({"class_path": "A", "init_args": {"x": 1}}, {"class_path": "B"}) == {"class_path": "B"}
    assert merged({"class_path": "A", "init_args": {"x": 1}}, {"class_path": "A", "init_args": {"y": 2}}) == {
        "class_path": "A",
        "init_args": {"x": 1, "y": 2},
    }


def test_path_leads_into_the_arguments_of_a_class():
    values = {"method": "Universal", "data": "{batch_size: 2}"}
    set_value(values, ["method", "alpha"], "1")
    set_value(values, ["data", "seed"], "3")
    assert values == {
        "method": {"class_path": "Universal", "init_args": {"alpha": "1"}},
        "data": {"batch_size": 2, "seed": "3"},
    }


def test_printed_configuration_repeats_the_call(tmp_path, capsys):
    words = ["train", "--config", str(config(tmp_path)), "--out", "there", "--seed", "4"]
    assert main([*words, "--print_config"]) == 0
    (tmp_path / "printed.yaml").write_text(printed := capsys.readouterr().out)
    assert main(["train", "--config", str(tmp_path / "printed.yaml"), "--print_config"]) == 0
    assert capsys.readouterr().out == printed
    assert load_yaml(printed)["data"]["crop"] is None  # every value, also those that are not set


def test_help_of_a_command_is_short_and_has_every_option_with_its_default(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 45
    for option in ("data", "method", "model", "trainer", "out", "seed", "keep", "validate_every", "networks", "check"):
        assert f"\n  --{option} " in text
    assert "default: runs/first" in text and "[best, last; default: best]" in text
    assert "--method.help NAME" in text and "Supervised" in text


def test_help_on_a_method_lists_its_options_and_those_of_every_method(capsys):
    assert main(["train", "--method.help", "Universal"]) == 0
    text = capsys.readouterr().out
    assert "Weight of the entropy against the labels of other domains (Eq. 3)" in text
    assert "\n  --method.centroids " in text and "\n  --method.theta " in text
    assert "--method.model" not in text and "--method.momentum" not in text
    assert main(["train", "--optimizer.help"]) == 0
    assert "\n  --optimizer.momentum" in capsys.readouterr().out


def test_help_leads_from_class_to_class(capsys):
    assert main(["train", "--method.help"]) == 0
    assert "Finetune" in (text := capsys.readouterr().out) and "\n  Method " not in text
    assert main(["train", "--data.help"]) == 0
    assert "\n  --data.batch_size " in (text := capsys.readouterr().out) and "--data.domains.help" in text
    assert main(["train", "--data.domains.help"]) == 0
    assert "\n  --data.domains.labeled_list" in capsys.readouterr().out
    assert main(["train", "--data.domains.dataset.help", "Folder"]) == 0
    assert "\n  --data.domains.dataset.ignore_color" in capsys.readouterr().out
    assert main(["train", "--method.rows.help"]) == 0
    assert "RandomRows" in capsys.readouterr().out
    assert main(["train", "--method.rows.help", "FeatureRows"]) == 0
    assert "\n  --method.rows.joint_pca" in capsys.readouterr().out


def test_help_on_an_unknown_class_is_refused(capsys):
    assert main(["train", "--method.help", "Universel"]) == 2
    assert "did you mean 'Universal'?" in capsys.readouterr().err
    assert main(["train", "--methods.help"]) == 2
    assert "did you mean 'method'?" in capsys.readouterr().err


def test_missing_optional_package_is_told_without_a_traceback(tmp_path, monkeypatch, capsys):
    FOLDERS["market"](tmp_path / "market")
    files = {split: f"annotations/instances_{split}.json" for split in ("train", "val")}
    dataset = {"class_path": "Coco", "init_args": {"root": str(tmp_path / "market"), "annotations": files}}
    (tmp_path / "market.yaml").write_text(dump_yaml({"data": {"domains": {"market": {"dataset": dataset}}}}))
    monkeypatch.setitem(sys.modules, "pycocotools", None)  # as if it were not installed
    words = ["check", "--config", str(tmp_path / "market.yaml")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("semiverse check: polygons of COCO files need the package pycocotools")
    assert 'pip install "semiverse[coco]"' in said and "Traceback" not in said
    with pytest.raises(ImportError, match="pycocotools"):
        main([*words, "--debug"])


@pytest.mark.parametrize("kind", [Adversarial, Latent, Universal], ids=lambda kind: kind.__name__)
def test_a_method_that_is_named_has_its_own_defaults_and_not_those_of_the_default_method(kind):
    room = ["--data.domains.rooms.dataset.class_path", "SyntheticRooms"]
    method = parse("train", train, (), [*room, "--method", kind.__name__])["method"]
    assert describe(method) == describe(kind)


def learn(method: Callable[[SegmentationModel], Method] = Adversarial) -> None:
    """What a command line is parsed for here.

    Args:
        method: A method.
    """


def test_options_of_the_default_method_need_no_class_name():
    method = parse("learn", learn, (), ["--method.init_args.threshold", "0.25"])["method"]
    assert describe(method) == describe(partial(Adversarial, threshold=0.25))


def test_a_section_of_plain_values_is_built_and_a_class_from_outside_takes_those_of_its_base():
    words = ["--method", "tests.cli.outside.Weighted", "--method.weight", "2", "--method.threshold", "0.5"]
    found = parse("practise", practise, (), [*words, "--optimizer.kind=adamw", "--optimizer.lr", "1e-3"])
    assert found["method"].func is Weighted and found["method"].keywords["weight"] == 2
    assert found["method"].keywords["threshold"] == 0.5
    assert found["optimizer"] == Optimizer("adamw", 0.001)
    assert parse("practise", practise, (), [])["optimizer"] == Optimizer()


def test_a_list_of_objects_is_built_and_mistakes_in_it_are_found():
    words = ["--sources", "SyntheticRooms", "--sources", "{class_path: tests.fakes.Numbered, init_args: {count: 3}}"]
    rooms, numbered = parse("practise", practise, (), words)["sources"]
    assert isinstance(rooms, SyntheticRooms) and numbered.count == 3
    with pytest.raises(ValueError, match=r"sources.0.init_args.imags is no option; .* did you mean 'images'"):
        parse("practise", practise, (), ["--sources", "{class_path: SyntheticRooms, init_args: {imags: 3}}"])
    with pytest.raises(ValueError, match=r"optimizer.kind is 'adam'; expected sgd, adamw: did you mean 'adamw'"):
        parse("practise", practise, (), ["--optimizer.kind", "adam"])
