"""Configurations of version 0.1: read as what they meant, with a warning that shows the form of today."""

from functools import partial
from pathlib import Path

import pytest

from semiverse.cli.call import parse
from semiverse.cli.main import main
from semiverse.commands.train import train
from semiverse.configuration import describe, dump_yaml, load_yaml, modernized, rewritten
from semiverse.embeddings.sources import FeatureRows, RandomRows, RowsFromFile
from semiverse.methods import Consistency, Supervised, Universal
from semiverse.methods.strong_views import StrongView
from semiverse.run import Run
from tests.tiny import TINY

SGD = {"algorithm": "sgd", "decoder_factor": 1.0, "warmup": 0, "decay_steps": None}
"""What optimisers were, without a word."""
CONFIGURATIONS = {
    "Supervised": (
        "method: {class_path: Supervised, init_args: {lr: 0.01, momentum: 0.8, weight_decay: 0.001, clip: 2.0}}",
        "{method: {class_path: Supervised}, optimizer: {lr: 0.01, momentum: 0.8, weight_decay: 0.001, clip: 2.0}}",
    ),
    "Finetune": (
        "{model: {separate: true}, method: {class_path: semiverse.methods.Finetune, init_args: {power: 1.0}}}",
        "{model: {separate: true}, method: {class_path: semiverse.methods.Finetune}, optimizer: {power: 1.0}}",
    ),
    "Universal": (
        """
        model: {encoder: drn_d_22}
        method:
          class_path: Universal
          init_args: {alpha: 1.0, rows: {start: null}, zero_border: true, lr: 0.001, decay: epoch}
        """,
        """
        model: {encoder: drn_d_22, zero_border: true}
        method: {class_path: Universal, init_args: {alpha: 1.0, start: null}}
        optimizer: {lr: 0.001, decay: epoch}
        """,
    ),
    "Adversarial": (
        "method: {class_path: Adversarial, init_args: {threshold: 0.3, lr: 7.5e-4, head_lr: 3.33}}",
        "{method: {class_path: Adversarial, init_args: {threshold: 0.3}}, optimizer: {lr: 7.5e-4, head_factor: 3.33}}",
    ),
    "Latent": (
        "method: {class_path: Latent, init_args: {latent_classes: 5, discriminator_lr: 0.001, decay: step}}",
        """
        method: {class_path: Latent, init_args: {latent_classes: 5, discriminator_lr: 0.001}}
        optimizer: {decay: step}
        """,
    ),
    "Adaptation": (
        "method: {class_path: Adaptation, init_args: {targets: balanced, schedule: 250000, head_lr: 10.0}}",
        """
        method: {class_path: Adaptation, init_args: {targets: balanced}}
        optimizer: {decay_steps: 250000, head_factor: 10.0}
        """,
    ),
    "without a class": ("method: {lr: 0.01}", "{method: null, optimizer: {lr: 0.01}}"),
    "init_args alone": ("method: {init_args: {lr: 0.01}}", "{method: null, optimizer: {lr: 0.01}}"),
    "half of it new": (
        "{method: {class_path: Latent, init_args: {lr: 0.01}}, optimizer: {lr: 0.5, clip: 1.0}}",
        "{method: {class_path: Latent}, optimizer: {lr: 0.01, clip: 1.0}}",
    ),
}


@pytest.mark.parametrize(("old", "new"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_options_move_to_where_they_stand_today(old, new):
    values, expected = load_yaml(old), load_yaml(new)
    with pytest.warns(UserWarning, match=r"options of version 0\.1 are read"):
        found = modernized(values)
    assert found == expected  # nothing but what was said, so that it goes with other files
    assert modernized(values, silent=True) == expected | {"optimizer": SGD | expected["optimizer"]}  # that of a run
    assert values == load_yaml(old)  # which stays as it was
    assert rewritten(expected) == (expected, {})


def test_a_run_of_universal_that_knew_no_pass_goes_on_as_it_was(tmp_path):
    run, now = Run(tmp_path), describe({"method": partial(Universal, theta=0.5)})
    before = load_yaml(dump_yaml(now))
    del before["method"]["init_args"]["update_from"]
    run.claim(before)
    run.append_metrics({"step": 1})
    run.claim(now)
    with pytest.raises(ValueError, match=r"update_from: epoch, now pass"):
        run.claim(describe({"method": partial(Universal, theta=0.5, update_from="pass")}))


ROWS = {
    "{source: random, start: null}": {"rows": {"class_path": "RandomRows"}, "start": None},
    "{source: supervised}": {"rows": None},
    "{file: rows.safetensors, source: random}": {
        "rows": {"class_path": "RowsFromFile", "init_args": {"file": "rows.safetensors"}}
    },
    "{joint_pca: true, start: rooms}": {
        "rows": {"class_path": "FeatureRows", "init_args": {"joint_pca": True}},
        "start": "rooms",
    },
    # as a run folder has them, with every value
    "{source: supervised, file: null, joint_pca: false, project_from_pca: false, start: first, pixels: 50000}": {
        "rows": None,
        "start": "first",
    },
}


@pytest.mark.parametrize(("old", "new"), ROWS.items())
def test_label_embeddings_become_a_source(old, new):
    values = {"method": {"class_path": "Universal", "init_args": {"alpha": 0.5, "rows": load_yaml(old)}}}
    with pytest.warns(UserWarning):
        found = modernized(values)
    assert found == {"method": {"class_path": "Universal", "init_args": {"alpha": 0.5} | new}}


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ("RandomRows", RandomRows),
        ({"class_path": "RowsFromFile", "init_args": {"file": "rows.safetensors"}}, RowsFromFile),
        ({"class_path": "FeatureRows", "init_args": {"joint_pca": True}}, FeatureRows),
    ],
)
def test_sources_of_today_are_built_and_described(rows, kind):
    values = TINY | {"method": {"class_path": "Universal", "init_args": {"rows": rows, "start": None}}}
    assert rewritten(values) == (values, {})
    words = [word for name, value in values.items() for word in (f"--{name}", dump_yaml(value))]
    method = parse("train", train, (), words)["method"]
    assert isinstance(method.keywords["rows"], kind)
    assert describe(method)["init_args"]["rows"]["class_path"].endswith(kind.__name__)


@pytest.mark.parametrize(
    "values",
    [
        {"method": {"class_path": "mine.Teacher", "init_args": {"lr": 0.1, "rows": {"source": "random"}}}},
        {"method": "Universal"},
        {"method": {"class_path": "Universal", "init_args": None}},
        {"method": {"class_path": "Adversarial", "init_args": {"discriminator_lr": 0.1}}},
        {"optimizer": {"lr": 0.1}, "model": {"zero_border": True}},
        {},
    ],
)
def test_what_is_somebody_elses_or_of_today_is_left_alone(values):
    assert modernized(values) is values


@pytest.mark.parametrize(("crop", "color"), [(None, "mean"), ([32, 32], "black")])
def test_a_run_that_wrote_no_colour_of_padding_had_black_where_it_had_any(crop, color):
    old = {"data": {"domains": {"a": {"labeled": 4}}, "crop": crop}, "model": {"width": 1.0}}
    new = modernized(old, silent=True)
    domain = {"labeled": 4, "crop": None, "pseudolabels": None}
    assert new["data"] == {"domains": {"a": domain}, "crop": crop, "balance": None}
    of_then = {"encoder": "drn_d_22", "decoder": "linear", "output_stride": 8}
    of_then |= {"head_deviation": None, "decoder_norm": False, "frozen": 0}  # and none of its own is pre-trained
    assert new["model"] == {"width": 1.0, "padding": color} | of_then
    assert modernized(old) is old  # of a file that somebody writes, the defaults are today's
    of_today = old | {"model": {"padding": "mean"}}
    assert modernized(of_today, silent=True) == of_today | {
        "data": {"domains": {"a": {"labeled": 4, "pseudolabels": None}}, "crop": crop}
    }


def test_the_decay_of_a_teacher_is_not_that_of_a_learning_rate(tmp_path):
    values = {"method": {"class_path": "Consistency", "init_args": {"decay": 0.99}}}
    assert modernized(values) == values
    run, now = Run(tmp_path), describe({"method": partial(Consistency, decay=0.99)})
    run.claim(now)
    run.append_metrics({"step": 1})
    run.claim(now)


@pytest.mark.parametrize("kind", [Supervised, Consistency])
def test_a_run_that_knew_no_pseudolabels_goes_on_as_it_was(kind, tmp_path):
    run, data = Run(tmp_path), {"domains": {"a": {"labeled": 4, "crop": None, "pseudolabels": None}}}
    now = describe({"method": partial(kind), "model": {"padding": "mean"}, "data": data})
    before = load_yaml(dump_yaml(now))
    del before["data"]["domains"]["a"]["pseudolabels"], before["method"]["init_args"]["pseudo_weight"]
    if kind is Supervised:
        del before["method"]["init_args"]["strong"]
    run.claim(before)
    run.append_metrics({"step": 1})
    run.claim(now)
    with pytest.raises(ValueError, match=r"pseudo_weight: 1.0, now 0.5"):
        run.claim(now | describe({"method": partial(kind, pseudo_weight=0.5)}))


@pytest.mark.parametrize("kind", [Supervised, Consistency])
def test_a_run_of_fewer_options_of_views_and_labels_goes_on_as_it_was(kind, tmp_path):
    run = Run(tmp_path)
    now = describe({"method": partial(kind, strong=StrongView(box=0.25)), "model": {"padding": "mean"}})
    before = load_yaml(dump_yaml(now))
    arguments = before["method"]["init_args"]
    arguments.pop("trust", None)
    del arguments["strong"]["hide"]
    run.claim(before)
    run.append_metrics({"step": 1})
    run.claim(now)
    with pytest.raises(ValueError, match=r"hide: 0.0, now 0.7"):
        run.claim(
            describe({"method": partial(kind, strong=StrongView(box=0.25, hide=0.7)), "model": {"padding": "mean"}})
        )


def test_warning_shows_what_to_write():
    old = (
        "method: {class_path: Universal, init_args: {lr: 0.01, zero_border: true, rows: {source: random, start: null}}}"
    )
    with pytest.warns(UserWarning) as caught:
        new = modernized(load_yaml(old))
    shown = load_yaml(str(caught[0].message).partition("write instead:\n")[2])
    assert shown == {
        "method": {"init_args": {"start": None, "rows": {"class_path": "RandomRows"}}},
        "optimizer": {"lr": 0.01},
        "model": {"zero_border": True},
    }
    assert rewritten(shown)[1] == {} and new["method"]["init_args"] == shown["method"]["init_args"]


@pytest.mark.parametrize("option", ["--method.init_args.lr", "--method.lr"])
def test_words_of_the_command_line_are_understood(option, tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text(dump_yaml(TINY))
    words = ["--config", str(tmp_path / "tiny.yaml"), option, "0.1", "--print_config"]
    assert main(["train", *words]) == 0
    said = capsys.readouterr()
    assert "warning: options of version 0.1" in said.err and "optimizer:\n  lr: 0.1" in said.err
    assert load_yaml(said.out)["optimizer"]["lr"] == 0.1


def test_old_file_trains_and_its_run_has_the_form_of_today(tmp_path, capsys):
    old = {key: value for key, value in TINY.items() if key != "optimizer"}
    old |= {"method": {"class_path": "Supervised", "init_args": {"lr": 0.02, "decay": "step"}}}
    (tmp_path / "old.yaml").write_text(dump_yaml(old))
    words = ["train", "--config", str(tmp_path / "old.yaml"), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert "warning: options of version 0.1" in capsys.readouterr().err
    written = load_yaml(Run(tmp_path / "run").config.read_text())
    assert (written["optimizer"]["lr"], written["optimizer"]["decay"], written["optimizer"]["power"]) == (
        0.02,
        "step",
        0.9,
    )
    assert rewritten(written)[1] == {}
    assert Path(tmp_path / "run" / "model" / "model.safetensors").is_file()
